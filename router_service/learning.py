"""Learning: what is learned is a function of the evidence, and is computed anew from all of it whenever there is more.

Two things are learned, of each caller from that caller alone: which preference an ask belongs to (`corrections`), and
which model answers a preference well (`beliefs`). Undoing a lesson leaves its evidence out; nothing else remembers it.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from router_service import bank, beliefs, corrections
from router_service.bank import Bank
from router_service.beliefs import Opinion, Verdict, Worth
from router_service.evidence import NONE, Evidence, LeftOut, Turn, by_caller, left_out_of, lesson_id, since
from router_service.lessons import LOOKED_BACK, Lesson, Piece
from router_service.outcome import Seen
from router_service.plan import Plan, Route
from router_service.policies import preference
from router_service.policies.best import NEAR, nearest
from router_service.policies.policy import LEARNING, Decision, Scores, Setting

_MARGIN = 1.0  # of what is foretold worse than by the order: a third of one explicit word, gone wholly wrong, is chance


@dataclass(frozen=True)
class Learned:
    """What one caller has taught. `worths` by route id. `strange`: asks that another router model has seen. `gone`:
    preferences that were named as the right ones, and are in the config no more."""

    bank: Bank | None = None
    worths: Mapping[str, Worth] = field(default_factory=dict)
    lessons: tuple[Lesson, ...] = ()
    strange: int = 0
    threshold: float = 0.0  # what no preference reached was for none
    gone: tuple[str, ...] = ()


NOTHING = Learned()


def learn(evidence: Evidence, plan: Plan, model: str, *, now: float) -> dict[str, Learned]:
    """By caller. `model` is the fingerprint of the router model in use: what others saw cannot be compared. `now` in
    seconds since the epoch.
    """
    return {
        caller: _of(caller, turns, evidence.left_out, plan, model, now) for caller, turns in by_caller(evidence).items()
    }


def seen(scores: Scores, plan: Plan) -> Seen | None:
    """What is kept of an ask, to be learned from; None where nothing is to be learned, or nobody has read it."""
    if not plan.learning.enabled or scores.trouble:
        return None
    fits = [(route.name, scores.routes.get(route.id, 0.0)) for route in plan.routes]
    return Seen(scores.model, scores.vector, (*fits, (NONE, scores.none)))


def adjusted(scores: Scores, learned: Learned) -> Scores:
    """The scores after what was learned; the very same where nothing like the ask was ever corrected."""
    if learned is NOTHING:
        return scores
    told = {**scores.routes, "": scores.none}
    taken = _taken(told, "", learned.threshold)
    judged = (
        scores if taken is told else replace(scores, routes={id: taken[id] for id in scores.routes}, none=taken[""])
    )
    after = bank.adjusted(judged, learned.bank)
    return scores if after is judged else replace(after, before={id: told[id] for id in after.before})


def choose(plan: Plan, scores: Scores, setting: Setting, learned: Learned, chance: Callable[[], float]) -> Decision:
    """The decision by what is believed of the models; or, for the share of the requests that `learning.explore` gives
    to it, by beliefs that are drawn. Where those lead elsewhere, the sentence says so. `chance` is from 0 to 1.
    """
    setting = replace(setting, dearness=plan.learning.cost, beliefs=_believed(plan, scores, learned))
    known = preference.choose(plan, scores, setting)
    if not learned.worths or chance() >= plan.learning.explore:
        return known
    drawn = _believed(plan, scores, learned, random.Random(chance()))  # noqa: S311 - a draw, not a secret
    tried = preference.choose(plan, scores, replace(setting, beliefs=drawn))
    if tried.first is known.first:
        return known
    return replace(tried, reason=f"{tried.reason}; tried on purpose instead of {known.first.label} (learning.explore)")


def _of(caller: str, turns: Sequence[Turn], left_out: Sequence[LeftOut], plan: Plan, model: str, now: float) -> Learned:
    threshold = plan.routing.threshold
    comparable = [_as_taken(turn, threshold) for turn in turns if turn.asked.vector and turn.asked.model == model]
    examples, routed = corrections.learnt(caller, comparable, left_out, plan.routes, model)
    worths, chosen = _models(caller, turns, left_out, plan, now)
    strange = sum(bool(turn.asked.vector) and turn.asked.model != model for turn in turns)
    return Learned(examples, worths, (*routed, *chosen), strange, threshold, _gone(turns, plan))


def _gone(turns: Sequence[Turn], plan: Plan) -> tuple[str, ...]:
    there = {name.casefold() for name in (*(route.name for route in plan.routes), NONE)}
    return tuple(sorted({name for turn in turns if (name := turn.should_be) and name.casefold() not in there}))


def _taken(fits: Mapping[str, float], none: str, threshold: float) -> Mapping[str, float]:
    """As the ask is taken: where no preference reaches `routing.threshold`, all of it for none."""
    best = max((fit for name, fit in fits.items() if name != none), default=0.0)
    return fits if best >= threshold else {**dict.fromkeys(fits, 0.0), none: 1.0}


def _as_taken(turn: Turn, threshold: float) -> Turn:
    fits = _taken(dict(turn.asked.fits), NONE, threshold)
    return replace(turn, asked=replace(turn.asked, fits=tuple(fits.items())))


def _believed(plan: Plan, scores: Scores, learned: Learned, chance: random.Random | None = None) -> dict[str, Opinion]:
    """How good an answer of each candidate of the likeliest route is expected to be, by its id."""
    if not learned.worths:
        return {}
    route = max(plan.routes, key=lambda one: scores.routes.get(one.id, 0.0), default=None)
    worth = learned.worths.get(route.id) if route else None
    if route is None or worth is None:
        return {}
    difficulty = max(scores.difficulty, key=lambda one: scores.difficulty[one], default="")
    found = worth.opinions(difficulty) if chance is None else worth.drawn(difficulty, chance)
    return {one.id: found[one.label] for one in route.candidates if one.label in found}


def _models(
    caller: str, turns: Sequence[Turn], left_out: Sequence[LeftOut], plan: Plan, now: float
) -> tuple[dict[str, Worth], list[Lesson]]:
    half_life = plan.learning.half_life
    every = beliefs.verdicts(turns)
    undone = {
        name: left_out_of(caller, lesson_id(caller, "model", name), left_out)
        for name in {turn.asked.route for turn in turns} | {route.name for route in plan.routes}
    }
    counting = beliefs.verdicts(left for turn in turns if (left := since(turn, undone[turn.asked.route])))
    pooled = beliefs.pooled(counting, now=now, half_life=half_life)
    worths: dict[str, Worth] = {}
    lessons: list[Lesson] = []
    for route in plan.routes:
        labels = [candidate.label for candidate in route.candidates]
        found = beliefs.worth(counting, route.name, labels, now=now, half_life=half_life, pooled=pooled)
        why = _why_not(route, counting, labels, half_life)
        if found.overall and not why:
            worths[route.id] = found
        lesson = _chosen(caller, route, labels, found, counting, why)
        if lesson is None and undone[route.name]:
            pooled_then = beliefs.pooled(every, now=now, half_life=half_life)
            then = beliefs.worth(every, route.name, labels, now=now, half_life=half_life, pooled=pooled_then)
            lesson = _chosen(caller, route, labels, then, every, "")
            lesson = replace(lesson, state="undone") if lesson else None
        lessons += [lesson] if lesson else []
    return worths, lessons


def _why_not(route: Route, found: Sequence[Verdict], labels: Sequence[str], half_life: float) -> str:
    if route.prefer not in LEARNING:
        return f"your order holds here; 'selection_policy: {{prefer: {LEARNING[0]}}}' follows what is learned"
    learned, static = beliefs.foretells(found, route.name, labels, half_life=half_life)
    if learned > static + _MARGIN:
        return "on your past it foretells less well than your order which answers you like"
    return ""


def _chosen(
    caller: str, route: Route, labels: Sequence[str], found: Worth, verdicts: Sequence[Verdict], why: str
) -> Lesson | None:
    if not found.overall:
        return None
    means = {label: found.overall[label].mean for label in labels}
    best = max(labels, key=lambda label: means[label])
    if best == labels[0]:
        return None
    why = why or (
        _unclear(found.overall[labels[0]].opinion, found.overall[best].opinion) if route.prefer == "best" else ""
    )
    here = [one for one in verdicts if one.route == route.name and one.good + one.bad != beliefs.SILENCE]
    last = [one for one in verdicts if one.route == route.name][-LOOKED_BACK:]
    return Lesson(
        lesson_id(caller, "model", route.name),
        caller,
        "model",
        labels[0],
        best,
        tuple(Piece(one.request, "good" if one.good else "bad", one.at) for one in here),
        "waiting" if why else "applied",
        why,
        route.name,
        (means[labels[0]], means[best]),
        sum(one.model != best for one in last),
        len(last),
    )


def _unclear(written: Opinion, better: Opinion) -> str:
    """Why `best` leaves the model that is written first where it is."""
    if 0 not in nearest([written, better]):
        return ""
    return "too near to tell" if better.mean - written.mean <= NEAR else "one answer alone moves nothing"
