"""What is known for a decision, and what is decided without asking the router model. Pure: nothing is changed here."""

from functools import partial

from router_service import allowance, budgets, kinds, signals
from router_service.budgets import Standing
from router_service.detectors.detector import Next
from router_service.gateway import Gateway
from router_service.outcome import Seen, Trace
from router_service.plan import Plan
from router_service.policies import explicit, pinned, whole
from router_service.policies.policy import Decision, Scores, Setting
from router_service.request import Understood
from router_service.session import NEW, Session, is_named
from router_service.switching import WRITTEN

VERDICT_PATIENCE = 15.0  # seconds; an agent stands still meanwhile, and asks again after sixty


# -- without the router model ------------------------------------------------------------------------------------


def without_router(gateway: Gateway, understood: Understood) -> Decision | None:
    """The decision, where it does not depend on what is asked; None asks for scores. Raises BadRequest."""
    plan, kind, named = understood.fitting.plan, understood.intent.kind, understood.named()
    if named.lane != "routed":
        own_word = understood.request.headers.get("x-arch-model")
        return explicit.choose(plan, named, own_word or understood.conversation.model)
    if kind in kinds.SIDE:
        return explicit.choose(plan, explicit.Named("fast", plan.fast), kind)
    pin = session(gateway, understood).pin
    if kind == "compaction":
        return whole.choose(plan, pin, tokens=understood.needs.about, because=kind)
    if kind not in kinds.TURNS or (kind == "tool continuation" and pin):
        return pinned.stay(plan, pin, because=kind)
    if not plan.routes:
        return pinned.stay(plan, pin, because="no preferences are configured")
    if pin and plan.routing.sticky == "session" and plan.candidate(pin.candidate):
        return pinned.stay(plan, pin, because="a session keeps its model (routing.sticky)")
    if not understood.intent.ask:
        return pinned.stay(plan, pin, because="nothing was asked in words")
    return None


def who_counts(gateway: Gateway, understood: Understood) -> Decision:
    """Who would answer counts the tokens. Raises BadRequest."""
    named, plan = understood.named(), understood.fitting.plan
    pin = gateway.sessions.pin(understood.session)  # Claude Code counts pieces in which nothing is answered
    routed = named.lane == "routed"
    return pinned.stay(plan, pin, because="token count") if routed else explicit.choose(plan, named, "")


# -- what is known -----------------------------------------------------------------------------------------------


def session(gateway: Gateway, understood: Understood) -> Session:
    """The thread as it stands; a new one when nothing has been answered in it."""
    return gateway.sessions.get(understood.session) if understood.intent.begun else NEW


def reached(gateway: Gateway, understood: Understood, decision: Decision | None = None) -> list[Standing]:
    """The budgets that have come to what they say; those of preferences only when it is decided."""
    if not gateway.plan.budgets:
        return []
    asker = allowance.asker(understood.request.caller, understood.session, decision)
    return budgets.reached(gateway.plan.budgets, gateway.spending, asker, understood.request.wall)


def setting(gateway: Gateway, understood: Understood, scores: Scores, now: float) -> Setting:
    found, cooling, able = session(gateway, understood), gateway.cooling, understood.able()
    plan, paces = gateway.plan, gateway.paces
    return Setting(
        session=found,
        tokens=understood.needs.about,
        written=found.written / found.requests if found.requests else WRITTEN,
        now=understood.request.wall,
        difficulty=scores.difficulty,
        speeds=paces.speeds(plan.candidates, now) if plan.weighs else {},
        able=lambda candidate: able(candidate) and not cooling.left(candidate.id, now),
    )


def patience(plan: Plan, understood: Understood) -> float:
    """Seconds that an attempt may take to its first content, or to its end where nothing is streamed."""
    failover = plan.failover
    if understood.intent.kind == "classifier":
        return min(VERDICT_PATIENCE, failover.whole_answer_timeout)
    return failover.first_content_timeout if understood.conversation.stream else failover.whole_answer_timeout


# -- what is told of it ------------------------------------------------------------------------------------------


def told(gateway: Gateway, understood: Understood, decision: Decision) -> tuple[tuple[str, signals.Signal], ...]:
    """What the request says of answers before it that the same caller has asked for: (their request's id, signal)."""
    found = gateway.sessions.get(understood.session)
    last = found.served
    if last is None or last.caller != understood.request.caller:
        return ()
    routed = gateway.plan.candidate(found.pin.candidate) if found.pin else None
    left = routed is not None and routed.label == last.model and routed.id != decision.first.id
    given = Next(
        understood.conversation,
        understood.intent,
        overridden=left and decision.lane == "explicit",
        turn=last.turn if last.ended == "whole" else "",
        waited=understood.request.wall - last.at,
        left=last.ended == "left",
        named=is_named(understood.session),
    )
    answers = (last.request, *found.before)
    return tuple((answers[back], signal) for signal, back in signals.of_next(given) if back < len(answers))


def trace(
    gateway: Gateway,
    understood: Understood,
    decision: Decision,
    now: float,
    *,
    scores: Scores | None,
    seen: Seen | None,
    scoring: float,
) -> Trace:
    """`scores` after what was learned, `seen` before it, both None where the router model was not asked; `scoring`:
    since when it was.
    """
    plan, before = understood.fitting.plan, session(gateway, understood).pin
    served = gateway.plan.candidate(before.candidate) if before else None
    obstacles, cooling = understood.fitting.obstacles, gateway.cooling.all(now)
    troubled = obstacles or cooling
    labels = {candidate.id: candidate.label for candidate in gateway.plan.candidates} if troubled else {}
    asked = partial(
        Trace,
        candidates=tuple(candidate.label for candidate in decision.chain.candidates[: decision.chain.attempts]),
        passed_over=tuple((labels[id], why) for id, why in obstacles.items()),
        cooling=tuple((labels[id], left) for id, left in cooling.items() if id in labels),
        served_before=served.label if served else "",
        switch=decision.switch.words if decision.switch else "",
    )
    if scores is None:
        return asked()
    fits = [(route.name, scores.routes.get(route.id, 0.0)) for route in plan.routes]
    fits = [] if scores.trouble else sorted([*fits, ("none of them", scores.none)], key=lambda fit: -fit[1])
    return asked(
        ask=understood.intent.ask,
        context=understood.intent.context,
        fits=tuple(fits),
        difficulty=tuple(scores.difficulty.items()),
        began=scoring - understood.request.started,
        waited=now - scoring,
        seconds=scores.seconds,
        trouble=scores.trouble,
        seen=seen,
    )
