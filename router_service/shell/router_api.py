"""archgw's own API: what `archgw route`, `top` and `status` ask."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import grpc

from router_service import learning
from router_service.budgets import Standing
from router_service.config import Clouds, ConfigErrors
from router_service.figures import Tally
from router_service.gateway import Gateway
from router_service.learning import NOTHING, Learned
from router_service.needs import USUAL_LETTERS_PER_TOKEN
from router_service.outcome import Outcome
from router_service.pb import router_pb2 as pb
from router_service.pb import router_pb2_grpc
from router_service.plan import Plan
from router_service.policies import pinned
from router_service.policies.policy import Decision, Reading, Scores, Setting
from router_service.session import Session, main_thread
from router_service.shell import metrics, standing
from router_service.shell.cache import Cache
from router_service.shell.files import Source
from router_service.shell.journal import Journal
from router_service.shell.onnx_model import BadModel
from router_service.shell.purse import Purse
from router_service.shell.router_model import Model
from router_service.shell.serving import Serving
from router_service.shell.state import Store


class RouterApi(router_pb2_grpc.RouterServicer):
    def __init__(self, serving: Serving) -> None:
        self._serving, self._journal = serving, serving.journal
        self._started = time.monotonic()

    async def Decide(self, request: pb.DecideRequest, context: Any) -> pb.DecideReply:  # noqa: N802
        said = request.prompt, tuple(request.context)
        now, model = self._serving.gateway, self._serving.model
        learned = now.learned.get("", NOTHING)
        scores = learning.adjusted(await model.score(*said), learned)
        reading = model.reading(*said) if request.explain else None
        return decided(now.plan, scores, reading, _setting(now, said, scores), learned)

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.Request]:  # noqa: N802
        with self._journal.watch() as queue:
            for outcome in list(self._journal.recent)[-request.replay :] if request.replay else []:
                yield told(outcome)
            while True:
                yield told(await queue.get())

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.Explanation:  # noqa: N802
        found = self._journal.find(request.request, request.session)
        if found is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such request among the recent ones")
            raise AssertionError("abort raises")
        gateway = self._serving.gateway
        return explained(found, gateway.plan, gateway.sessions.get(main_thread(found.session)))

    async def Status(self, request: pb.StatusRequest, context: Any) -> pb.StatusReply:  # noqa: N802
        gateway, journal, now = self._serving.gateway, self._journal, time.monotonic()
        tallies = [(c, journal.figures.tallies.get(c.label, Tally())) for c in gateway.plan.candidates]
        return pb.StatusReply(
            requests_under_way=len(gateway.exchanges),
            bytes_held=gateway.exchanges.bytes,
            sessions=len(gateway.sessions),
            requests_ended=journal.ended,
            up_seconds=now - self._started,
            candidates=[
                pb.Candidate(
                    id=candidate.id,
                    label=candidate.label,
                    answered=tally.answered,
                    failed=tally.failed,
                    last_trouble=tally.last_trouble,
                    cooling_left=gateway.cooling.left(candidate.id, now),
                    cooling_why=gateway.cooling.why(candidate.id, now),
                )
                for candidate, tally in tallies
            ],
            troubles=filter(None, [*self._troubles().values(), self._journal.losses]),
            budgets=[_budget(one) for one in standing.of_all(gateway)],
        )

    async def Adopt(self, request: pb.AdoptRequest, context: Any) -> pb.AdoptReply:  # noqa: N802
        found = Clouds(frozenset(request.clouds_found), frozenset(request.clouds_lacking))
        try:
            await self._serving.adopt(Source(request.file, request.text, dict(request.variables), found))
        except ConfigErrors as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except BadModel as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"routing.model: {error}")
        return pb.AdoptReply()

    async def Cache(self, request: pb.CacheRequest, context: Any) -> pb.CacheReply:  # noqa: N802
        cache, figures = self._serving.cache, self._journal.figures
        held = await (cache.clear() if request.clear else cache.held())
        counted = figures.cache
        return pb.CacheReply(
            entries=held.entries,
            bytes=held.bytes,
            hits=counted["hit"],
            misses=counted["miss"] + counted["refresh"],
            saved=figures.spared,
            waiting=cache.waiting,
            trouble=cache.trouble,
        )

    async def Figures(self, request: pb.FiguresRequest, context: Any) -> pb.FiguresReply:  # noqa: N802
        serving = self._serving
        known = troubles(serving.model, serving.store, self._journal, serving.purse, serving.cache)
        figures = metrics.taken(serving.gateway, self._journal, known, None, time.monotonic())
        return pb.FiguresReply(page=await asyncio.to_thread(metrics.written, figures, None))

    def _troubles(self) -> dict[str, str]:
        serving = self._serving
        found = troubles(serving.model, serving.store, self._journal, serving.purse, serving.cache)
        return found | {"learning": serving.learner.trouble if serving.learner else ""}


def troubles(model: Model, store: Store, journal: Journal, purse: Purse, cache: Cache) -> dict[str, str]:
    """By part of the service: why it is not as it should be, in words; empty where it is."""
    return {
        "router_model": model.trouble,
        "state": store.trouble,
        "ledger": journal.ledger_trouble,
        "budgets": purse.trouble,
        "telemetry": journal.telemetry_trouble,
        "cache": cache.trouble,
    }


def _budget(standing: Standing) -> pb.Budget:
    budget = standing.budget
    return pb.Budget(
        name=budget.name,
        of=standing.of,
        spent=standing.spent,
        limit=budget.at_most,
        unit=budget.unit,
        then=budget.then,
        until=standing.until,
    )


def _setting(gateway: Gateway, said: tuple[str, tuple[str, ...]], scores: Scores) -> Setting:
    """As the gateway stands: who cools, and how fast they are."""
    now = time.monotonic()
    return replace(
        first_turn(*said, scores),
        speeds=gateway.paces.speeds(gateway.plan.candidates, now),
        able=lambda candidate: not gateway.cooling.left(candidate.id, now),
    )


def first_turn(prompt: str, context: Sequence[str], scores: Scores) -> Setting:
    """Of a session that has said no more than this; agents send much besides."""
    tokens = int(len("".join([prompt, *context])) / USUAL_LETTERS_PER_TOKEN)
    return Setting(tokens=tokens, now=time.time(), difficulty=scores.difficulty)


def decide(plan: Plan, scores: Scores, setting: Setting, learned: Learned = NOTHING) -> Decision:
    """Nothing is tried on purpose: who asks wants to know what is believed."""
    if not plan.routes:
        return pinned.stay(plan, None, because="no preferences are configured")
    return learning.choose(plan, scores, setting, learned, lambda: 1.0)


def decided(
    plan: Plan, scores: Scores, reading: Reading | None, setting: Setting, learned: Learned = NOTHING
) -> pb.DecideReply:
    """`scores` after what was learned."""
    decision = decide(plan, scores, setting, learned)
    fits = [(scores.routes.get(route.id, 0.0), route.name) for route in plan.routes]
    fits = [] if scores.trouble else [*fits, (scores.none, "none of them")]
    return pb.DecideReply(
        route=decision.name,
        reason=decision.reason,
        models=[candidate.label for candidate in decision.chain.candidates[: decision.chain.attempts]],
        fits=[pb.Fit(route=name, probability=probability) for probability, name in sorted(fits, reverse=True)],
        seconds=scores.seconds,
        difficulty=scores.difficulty,
        reading=pb.Reading(**asdict(reading)) if reading else None,
        trouble=scores.trouble,
    )


def explained(outcome: Outcome, plan: Plan, session: Session) -> pb.Explanation:
    trace, request = outcome.trace, told(outcome)
    request.error = outcome.error  # to the user who asks why, in full
    return pb.Explanation(
        request=request,
        ask=trace.ask,
        context=trace.context,
        fits=[pb.Fit(route=name, probability=probability) for name, probability in trace.fits],
        difficulty=dict(trace.difficulty),
        seconds=trace.seconds,
        trouble=trace.trouble,
        candidates=trace.candidates,
        passed_over=[pb.PassedOver(model=model, why=why) for model, why in _passed_over(outcome, plan)],
        served_before=trace.served_before,
        switch=trace.switch,
        tries=[
            pb.Try(model=one.candidate, status=one.status, trouble=one.trouble, seconds=one.seconds)
            for one in outcome.attempts
        ],
        warnings=outcome.warnings,
        baseline=outcome.baseline,
        baseline_model=plan.baseline.label if plan.baseline else "",
        cache_write_tokens=outcome.usage.cache_write or 0,
        session_cost=session.spent,
        session_baseline=session.baseline,
    )


def _passed_over(outcome: Outcome, plan: Plan) -> list[tuple[str, str]]:
    """Who could not take the request, who cooled, whom Envoy did not ask, and who cannot be asked at all; and why."""
    trace, tried = outcome.trace, {attempt.candidate for attempt in outcome.attempts}
    if outcome.cache == "hit":  # nobody was to be asked
        return list(trace.passed_over)
    cold = [(label, f"to be left alone for {left:.0f} s more") for label, left in trace.cooling if label not in tried]
    unfit = dict([*trace.passed_over, *cold])
    served = trace.candidates.index(outcome.model_served) if outcome.model_served in trace.candidates else 0
    aside = [label for label in trace.candidates[:served] if label not in tried and label not in unfit]
    unusable = [(one.label, one.reason) for one in plan.disabled]
    return [*trace.passed_over, *cold, *((label, "put aside after repeated failures") for label in aside), *unusable]


def told(outcome: Outcome) -> pb.Request:
    usage = outcome.usage
    return pb.Request(
        id=outcome.id,
        started=outcome.started,
        kind=outcome.kind,
        client=outcome.client,
        route=outcome.route,
        reason=outcome.reason,
        model_asked=outcome.model_asked,
        model_served=outcome.model_served,
        status=outcome.status,
        attempts=len(outcome.attempts),
        score=outcome.score,
        first_content=outcome.first_content,
        duration=outcome.duration,
        input_tokens=-1 if usage.input is None else usage.input,
        cached_tokens=-1 if usage.cached is None else usage.cached,
        output_tokens=-1 if usage.output is None else usage.output,
        error=outcome.brief or outcome.error,
        ask=outcome.ask,
        session=outcome.session,
        cost=outcome.cost,
        caller=outcome.caller,
        failed=sum(bool(attempt.trouble) for attempt in outcome.attempts),
        cache=outcome.cache,
        decided=outcome.trace.candidates[0] if outcome.decided and outcome.trace.candidates else "",
    )
