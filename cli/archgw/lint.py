"""Looks at preferences before anybody is routed by them: vague ones, unreached ones, pairs that claim the same asks.

What a preference is good for shows in what it wins. So a set of probes, asks of many kinds, is scored by the router
model, and the shares tell.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from router_service.plan import Plan, Route
from router_service.policies.policy import PreferenceReading

_VAGUE = frozenset(
    """all and any anything code coding etc everything for general help in kinds like misc of on or other others
    question questions request requests stuff such task tasks the things various with work""".split()  # noqa: SIM905
)
_FEW_WORDS = 2
_REACHED = 0.4  # the least probability at which a probe counts as reaching a preference
_CLOSE = 0.2  # a runner-up with at least this probability contests a probe
_CONTESTED = 0.4  # of the probes that a pair wins, the share that both claim
_ENOUGH = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one preference, or with two, and what to do."""

    names: tuple[str, ...]
    message: str
    suggestion: str


@dataclass(frozen=True, slots=True)
class Contest:
    """Two preferences that are hard to tell apart: of the asks that one of them wins, those that both claim."""

    one: str
    other: str
    won: int
    both: tuple[str, ...]


def findings(
    preferences: Sequence[tuple[str, str]], probes: Sequence[str], score: Callable[[str], Mapping[str, float]]
) -> list[Finding]:
    """`preferences`: (name, description); `score`: probabilities of an ask by preference name."""
    scored = [(probe, score(probe)) for probe in probes]
    return [*_vague(preferences), *_overlapping(preferences, scored), *_unreached(preferences, scored)]


def cut(preferences: Sequence[tuple[str, str]], reading: Callable[[str, str], PreferenceReading]) -> list[Finding]:
    """Preferences, (name, description), whose end the router model does not read."""
    readings = [(name, reading(name, description)) for name, description in preferences]
    return [
        Finding(
            (name,),
            f"too long: it is read up to '... {' '.join(read.kept.split()[-5:])}' ({read.most} of {read.tokens}"
            f" tokens), and not '{_short(read.lost)}'",
            "say it in fewer words, and first what must count, such as 'not for ...'; or make two preferences of it",
        )
        for name, read in readings
        if read.lost
    ]


def idle(plan: Plan, *, learns: bool, tells_difficulty: bool) -> list[Finding]:
    """Selection policies that can do nothing, or less than one may think.

    `learns`: whether anything is learned; `tells_difficulty`: whether the router model says how hard an ask is.
    """
    asked = [route for route in plan.routes if route.prefer != "listed" or route.by_difficulty]
    return [found for route in asked for found in _idle(route, learns=learns, tells_difficulty=tells_difficulty)]


def _idle(route: Route, *, learns: bool, tells_difficulty: bool) -> Iterator[Finding]:
    name, pool = (route.name,), route.candidates
    policy = route.prefer if route.prefer != "listed" else "difficulty: auto"
    if len(pool) == 1:
        told = f"{policy} has nobody to choose from but {pool[0].label}"
        yield Finding(name, told, "list more models, or leave the selection_policy out")
        return
    unknown = [candidate.label for candidate in pool if candidate.price is None]
    if unknown and (route.prefer == "cheapest" or (route.prefer == "balanced" and route.weights.cost)):
        told = f"the price of {', '.join(unknown)} is not known: taken to be the dearest"
        if len(unknown) == len(pool):
            told = "nobody's price is known: " + (
                "the written order holds" if route.prefer == "cheapest" else "what is left decides"
            )
        yield Finding(name, f"{policy}: {told}", "write it below the model, as in price: {input: 0.25, output: 2}")
    if route.prefer == "best" and not learns:
        yield Finding(name, "best: nothing is learned: the written order holds", "turn learning.enabled on")
    if route.by_difficulty and not tells_difficulty:
        yield Finding(
            name, "difficulty: auto does nothing: an LLM that routes does not say how hard an ask is", "leave it out"
        )


def contests(names: Sequence[str], scored: Sequence[tuple[str, Mapping[str, float]]]) -> list[Contest]:
    """`scored`: asks with the probabilities of the preferences by name."""
    winners = [(ask, s, max(s, key=lambda n: s[n])) for ask, s in scored if max(s.values(), default=0) > _CLOSE]
    found = []
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            won = [(ask, s) for ask, s, winner in winners if winner in (one, other)]
            both = tuple(ask for ask, s in won if min(s[one], s[other]) >= _CLOSE)
            if len(both) >= _ENOUGH and len(both) >= _CONTESTED * len(won):
                found.append(Contest(one, other, len(won), both))
    return found


def _vague(preferences: Sequence[tuple[str, str]]) -> list[Finding]:
    found = []
    for name, description in preferences:
        telling = {word for word in re.findall(r"\w{2,}", description.lower()) if word not in _VAGUE}
        if len(telling) < _FEW_WORDS and not re.search(r"[^\x00-\u024f]{2}", description):
            found.append(
                Finding(
                    (name,),
                    f"'{description}' says little about what belongs here",
                    "name the acts and things, as in 'writing unit and integration tests, fixing flaky ones'",
                )
            )
    return found


def _overlapping(
    preferences: Sequence[tuple[str, str]], scored: Sequence[tuple[str, Mapping[str, float]]]
) -> list[Finding]:
    return [
        Finding(
            (contest.one, contest.other),
            f"both claim asks such as '{_short(min(contest.both, key=len))}' ({len(contest.both)} of"
            f" {contest.won} probes)",
            "merge them, or say in one what belongs to the other: 'not for ...'",
        )
        for contest in contests([name for name, _ in preferences], scored)
    ]


def _unreached(
    preferences: Sequence[tuple[str, str]], scored: Sequence[tuple[str, Mapping[str, float]]]
) -> list[Finding]:
    found = []
    for name, _ in preferences:
        if any(max(s, key=lambda n: s[n]) == name and s[name] >= _REACHED for _, s in scored):
            continue
        ahead = [max(s, key=lambda n: s[n]) for _, s in sorted(scored, key=lambda item: -item[1][name])[:5]]
        rival = max(set(ahead), key=ahead.count) if ahead else ""
        taken = f"; its likeliest go to '{rival}'" if rival and rival != name else ""
        found.append(
            Finding(
                (name,),
                f"none of {len(scored)} everyday asks reaches it{taken}",
                'fine for a rare subject; try one of your own: archgw route --explain "..."',
            )
        )
    return found


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 70 else words[:67] + "..."
