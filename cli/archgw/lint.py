"""Looks at preferences before anybody is routed by them: vague ones, unreached ones, pairs that claim the same asks.

What a preference is good for shows in what it wins. So a set of probes, asks of many kinds, is scored by the router
model, and the shares tell.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from archgw import vague
from router_service.plan import Plan, Route
from router_service.policies.policy import PreferenceReading, Scores

_REACHED = 0.4  # the least probability at which a probe counts as reaching a preference
_CLOSE = 0.2  # a runner-up with at least this probability contests a probe
_CONTESTED = 0.4  # of the probes that a pair wins, the share that both claim
_ENOUGH = 4
_ANY = 0.85  # of the probes, the share that only a vague preference claims; see `_claiming_any`
_PIECE = 2.5  # letters to a token of a word that is not known and so is read in pieces

Preferences = Sequence[tuple[str, str]]  # name, description
Score = Callable[[str], Scores]

_AS_IN = "name the acts and things, as in 'writing unit and integration tests, fixing flaky ones'"
_NO_CATCH_ALL = "what fits none goes to the default model by itself"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one preference, or with two, and what to do."""

    names: tuple[str, ...]
    message: str
    suggestion: str


@dataclass(frozen=True, slots=True)
class Contest:
    """Two preferences that are hard to tell apart: of the asks that one of them wins, those that both claim, the
    surest first."""

    one: str
    other: str
    won: int
    both: tuple[str, ...]


def findings(
    preferences: Preferences,
    probes: Sequence[str],
    router: Callable[[Preferences], Score],
    reading: Callable[[str, str], PreferenceReading],
    *,
    ours: bool,
) -> list[Finding]:
    """`router`: what scores asks by these preferences, by name. Vague ones are left out of it one by one: they change
    what the others look like.

    `ours`: whether it is the model that comes along: what it makes of vague preferences and unknown words was measured.
    """
    odd = wordless(preferences)
    odd += _unknown(_but(preferences, odd), reading) if ours else []
    clear = _but(preferences, odd)
    scored = _scored(clear, probes, router)
    while vaguest := _vaguest(clear, [scores for _, scores in scored]) if ours else None:
        odd.append(vaguest)
        clear = _but(clear, [vaguest])
        scored = _scored(clear, probes, router)
    shares = [(probe, scores.routes) for probe, scores in scored]
    return [*cut(preferences, reading), *odd, *overlapping(clear, shares), *_unreached(clear, shares)]


def findings_beside_an_llm(
    preferences: Preferences, probes: Sequence[str], router: Callable[[Preferences], Score]
) -> list[Finding]:
    """What can be said where an LLM routes, which is not asked: `router` is of the model that comes along."""
    found = wordless(preferences)
    clear = _but(preferences, found)
    shares = [(probe, scores.routes) for probe, scores in _scored(clear, probes, router)]
    return found + overlapping(clear, shares, judge=", by the model that comes along")


def cut(preferences: Preferences, reading: Callable[[str, str], PreferenceReading]) -> list[Finding]:
    """Preferences whose end the router model does not read."""
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
            close = sorted(((min(s[one], s[other]), ask) for ask, s in won), key=lambda item: -item[0])
            both = tuple(ask for share, ask in close if share >= _CLOSE)
            if len(both) >= _ENOUGH and len(both) >= _CONTESTED * len(won):
                found.append(Contest(one, other, len(won), both))
    return found


def wordless(preferences: Preferences) -> list[Finding]:
    """Preferences whose words do not say what belongs to them."""
    found = []
    for name, description in preferences:
        if vague.says_only_what_not(description):
            told, mend = (
                "says only what does not belong here",
                "say first what does: 'writing new functions, not for ...'",
            )
        elif vague.says_little(description):
            told, mend = "says little about what belongs here", f"{_AS_IN}; {_NO_CATCH_ALL}"
        else:
            continue
        found.append(Finding((name,), f"'{_short(description)}' {told}", mend))
    return found


def _vaguest(preferences: Preferences, scored: Sequence[Scores]) -> Finding | None:
    """The preference that most asks, whatever they are about, fit better than "none" does.

    The model that comes along, asked with none to eight others: 85 good descriptions claim 60 % of the probes at most,
    `software development`, which most of them are about, 83 %, and 11 of 20 vague ones whose words we do not list more.
    """
    if not preferences:
        return None
    claims = {name: sum(s.routes[name] > s.none for s in scored) for name, _ in preferences}
    name, description = max(preferences, key=lambda one: (claims[one[0]], sum(s.routes[one[0]] for s in scored)))
    claimed = claims[name]
    if claimed < _ANY * len(scored):
        return None
    told = f"'{_short(description)}' fits nearly anything ({claimed} of {len(scored)} probes)"
    return Finding((name,), told, f"{_AS_IN}; {_NO_CATCH_ALL}")


def _unknown(preferences: Preferences, reading: Callable[[str, str], PreferenceReading]) -> list[Finding]:
    """Preferences of two words or more that are all read in pieces of a few letters: strange to the model."""
    found = []
    for name, description in preferences:
        words = re.findall(r"[a-z]{3,}", description.lower()) if description.isascii() else []
        if len(words) > 1 and all(len(word) <= _PIECE * reading("", word).tokens for word in words):
            told = f"the router model hardly knows the words of '{_short(description)}'"
            found.append(Finding((name,), told, "say in common words, too, what it is about"))
    return found


def overlapping(
    preferences: Preferences, scored: Sequence[tuple[str, Mapping[str, float]]], *, judge: str = ""
) -> list[Finding]:
    """Pairs that claim the same probes; `judge`: by whom, in words. Of two equal descriptions the config warns."""
    described = dict(preferences)
    return [
        Finding(
            (contest.one, contest.other),
            f"both claim asks such as '{_short(contest.both[0])}' ({len(contest.both)} of {contest.won} probes{judge})",
            "merge them, or say in one what belongs to the other: 'not for ...'",
        )
        for contest in contests([name for name, _ in preferences], scored)
        if _folded(described[contest.one]) != _folded(described[contest.other])
    ]


def _unreached(preferences: Preferences, scored: Sequence[tuple[str, Mapping[str, float]]]) -> list[Finding]:
    found = []
    for name, description in preferences:
        if any(max(s, key=lambda n: s[n]) == name and s[name] >= _REACHED for _, s in scored):
            continue
        told = f"none of {len(scored)} everyday asks reaches it"
        ahead = [max(s, key=lambda n: s[n]) for _, s in sorted(scored, key=lambda item: -item[1][name])[:5]]
        taken = [winner for winner, _ in Counter(ahead).most_common() if winner != name]
        about = f"{name} {description}"
        same = [n for n, d in preferences if n != name and vague.have_words_in_common(about, f"{n} {d}")]
        if same:
            rival = next((winner for winner in taken if winner in same), same[0])
            mend = f"merge them, or say in '{rival}' that it is not for what '{name}' is for"
            found.append(Finding((name,), f"{told}, and '{rival}' is for much the same", mend))
            continue
        mend = 'fine for a rare subject; try one of your own: archgw route --explain "..."'
        found.append(Finding((name,), told + (f"; its likeliest go to '{taken[0]}'" if taken else ""), mend))
    return found


def _scored(
    preferences: Preferences, probes: Sequence[str], router: Callable[[Preferences], Score]
) -> list[tuple[str, Scores]]:
    if not preferences:
        return []
    score = router(preferences)
    return [(probe, score(probe)) for probe in probes]


def _but(preferences: Preferences, found: Collection[Finding]) -> list[tuple[str, str]]:
    """Those of which nothing has been found that explains the rest."""
    told = {name for finding in found for name in finding.names}
    return [(name, description) for name, description in preferences if name not in told]


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 70 else words[:67] + "..."
