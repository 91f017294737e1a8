"""The first hop: one client request in, one decision out. Pure: events in, effects out."""

from dataclasses import dataclass, replace
from functools import partial

from router_service import (
    admission,
    allowance,
    answers,
    budgets,
    cached_answers,
    caching,
    decisions,
    feedback,
    intent,
    kinds,
    learning,
    limits,
    needs,
    paths,
    request_json,
    signals,
)
from router_service.budgets import Asker, Standing
from router_service.conversation import BadRequest, Conversation, Failure
from router_service.detectors.detector import Next
from router_service.dialects import by_count_path, by_path
from router_service.dialects.dialect import Dialect
from router_service.exchange import (
    MAX_KEPT,
    Advise,
    Choose,
    Effect,
    Event,
    Exchange,
    Found,
    Full,
    Gone,
    Headers,
    Look,
    Proceed,
    Rate,
    Rated,
    Recall,
    Recalled,
    Record,
    RequestBody,
    RequestHeaders,
    Respond,
    Score,
    Scored,
    Tell,
    error_reply,
    traceparent,
)
from router_service.gateway import Gateway
from router_service.learning import NOTHING
from router_service.needs import Fitting, Needs
from router_service.outcome import Outcome, Seen, Trace
from router_service.plan import Candidate
from router_service.policies import cooled, explicit, pinned, whole
from router_service.policies.policy import Decision, Scores, Setting
from router_service.session import NEW, Pin, Session, is_named, main_thread
from router_service.switching import WRITTEN

COUNT_PATIENCE = 5.0  # seconds; who wants to know how full the window is does not wait long
SHARE_OF_PAUSE = 0.6  # of limits.pause_in_request: so long it waits for another's answer here; to Envoy it is a pause
_JSON = {"content-type": "application/json"}
VERDICT_PATIENCE = 15.0  # seconds; an agent stands still meanwhile, and asks again after sixty


@dataclass(slots=True)
class _Understood:
    """A request that has been read and waits for its decision."""

    dialect: Dialect
    body: bytes
    conversation: Conversation
    intent: intent.Intent
    session: str
    needs: Needs
    fitting: Fitting


class Selection:
    """`admit`: by whose rules somebody may ask. `decided`: what was told to who asked for a decision alone."""

    def __init__(self, gateway: Gateway, *, wall: float, admit: admission.Admit = admission.admit) -> None:
        self.decided: decisions.Told | None = None
        self._admit = admit
        self._gateway = gateway
        self._id = gateway.new_id()
        self._wall = wall
        self._started = 0.0
        self._headers: Headers = {}
        self._caller = ""
        self._path, self._query = "", ""
        self._decides = False  # nothing but a decision is asked for
        self._waiting: _Understood | None = None
        self._shown = ""  # the session that a status line asks for
        self._scores: Scores | None = None  # after what was learned
        self._seen: Seen | None = None
        self._scoring = 0.0
        self._looking: tuple[_Understood, Exchange] | None = None
        self._feedback: feedback.Feedback | None = None

    def feed(self, event: Event, now: float) -> list[Effect]:
        effects = self._on(event, now)
        if isinstance(event, Gone) or Respond in map(type, effects):
            self._gateway.exchanges.forget(self._id)
        return effects

    def _on(self, event: Event, now: float) -> list[Effect]:
        try:
            match event:
                case RequestHeaders(headers, end):
                    self._started = now
                    return self._on_headers(headers, end, now)
                case RequestBody(body):
                    return self._on_body(body, now)
                case Recalled() if self._shown:
                    return [self._show(self._shown)]
                case Recalled() if self._waiting:
                    return self._decide(self._waiting, now)
                case Scored(scores) if self._waiting:
                    return self._on_scores(self._waiting, scores, now)
                case Found() if self._looking:
                    return self._on_found(*self._looking, event, now)
                case Rated() if self._feedback:
                    return self._on_rated(self._feedback, event, now)
        except BadRequest as error:
            return self._refuse(error.failure, now)
        except RecursionError:
            return self._refuse(limits.too_deep(self._gateway.plan.limits).failure, now)
        except Full:
            return self._refuse_for_now(now)
        return []

    def give_up(self, trouble: str, now: float) -> list[Effect]:
        """An error of our own, told as one."""
        self._gateway.exchanges.forget(self._id)
        return self._refuse(Failure(500, "api_error", f"archgw: {trouble}"), now)

    # -- headers: what needs no body is answered here ---------------------------------------------------------

    def _on_headers(self, headers: Headers, end: bool, now: float) -> list[Effect]:
        self._headers = headers
        self._path, _, self._query = headers.get(":path", "/").partition("?")
        self._decides = decisions.dialect(self._path) is not None
        method = headers.get(":method", "GET")
        plan = self._gateway.plan
        caller = self._admit(plan.clients, plan.listener, self._path, headers, self._wall)
        self._headers, self._caller = caller.headers, caller.name
        if (method, self._path) == ("GET", paths.METRICS):
            return [Tell(self._reply_headers())]
        id = self._path.removeprefix(paths.SESSION)
        if method == "GET" and id not in ("", self._path):
            return self._on_shown(id)
        local = answers.answer(plan, method, self._path, self._headers, self._query)
        if local:
            return [Respond(local.status, self._reply_headers() | local.headers, local.body)]
        if self._path == decisions.CALL and method == "POST":
            return self._let_through(now)
        known = self._decides or by_path(self._path) or by_count_path(self._path)
        if not known and self._path not in ("/v1/models", feedback.PATH):
            raise BadRequest(answers.unknown_path(method, self._path), status=404, kind="not_found_error")
        if method != "POST" or not (known or self._path == feedback.PATH):
            raise BadRequest(answers.wrong_method(method, self._path), status=405)
        caching.word(headers)
        length = limits.check_length(plan.limits, headers)
        if self._path == feedback.PATH:
            feedback.check_length(length)
        if end and self._path == feedback.PATH:
            raise BadRequest(feedback.EMPTY)
        if end and self._path == decisions.PATH:
            raise BadRequest(decisions.EMPTY)
        if end:
            raise BadRequest("the request has no body; send JSON with at least 'model' and 'messages'")
        self._gateway.exchanges.expect(self._id, length, now)
        return [Proceed()]

    def _let_through(self, now: float) -> list[Effect]:
        """To the service itself, by a route of Envoy's, when all of it is here; it is told who asks."""
        self._gateway.exchanges.expect(self._id, limits.check_length(self._gateway.plan.limits, self._headers), now)
        return [Advise({admission.CALLER: self._caller})]

    def _on_shown(self, id: str) -> list[Effect]:
        recall = self._recall(f"{id}/")
        if not recall:
            return [self._show(id)]
        self._shown = id
        return [recall]

    def _show(self, id: str) -> Respond:
        """A session as it stands, for the status line."""
        plan, found = self._gateway.plan, self._gateway.sessions.get(f"{id}/")
        served_by = next((route.name for route in plan.all_routes if found.pin and route.id == found.pin.route), "")
        asker = Asker(self._caller, f"{id}/", served_by)
        standings = budgets.standings(plan.budgets, self._gateway.spending, asker, self._wall)
        told = answers.session(plan, found, self._wall, standings)
        return Respond(told.status, self._reply_headers() | told.headers, told.body)

    # -- body: read, then decide ------------------------------------------------------------------------------

    def _on_body(self, body: bytes, now: float) -> list[Effect]:
        if self._path == feedback.PATH:
            return self._on_feedback(body)
        if self._path == decisions.CALL:
            self._gateway.exchanges.forget(self._id)
            return [Proceed()]
        parsed = request_json.read(body, self._gateway.plan.limits)
        dialect = by_count_path(self._path) or by_path(self._path) or decisions.dialect(self._path)
        assert dialect is not None
        conversation = decisions.conversation(self._path, parsed) if self._decides else dialect.parse_request(parsed)
        needed = needs.of(conversation)
        understood = _Understood(
            dialect,
            body,
            conversation,
            intent.read(conversation, self._headers),
            decisions.session(self._path, conversation, self._headers),
            needed,
            needs.fitting(self._gateway.plan, needed),
        )
        recall = self._recall(understood.session)
        if recall:
            self._waiting = understood
            return [recall]
        return self._decide(understood, now)

    def _on_feedback(self, body: bytes) -> list[Effect]:
        feedback.check_length(len(body))
        parsed = request_json.read(body, self._gateway.plan.limits)
        self._feedback = feedback.parse(parsed, feedback.names(self._gateway.plan))
        return [Rate(self._feedback, self._caller)]

    def _on_rated(self, given: feedback.Feedback, rated: Rated, now: float) -> list[Effect]:
        if rated.trouble:
            return self._refuse(Failure(503, "api_error", f"archgw: {rated.trouble}"), now)
        if not rated.request:
            raise feedback.unknown(given)
        told = feedback.kept(given, rated.request, rated.model, rated.preference)
        return [Respond(200, self._reply_headers() | _JSON, told)]

    def _recall(self, session: str) -> Recall | None:
        """What others may know better, where anybody does."""
        plan, spending = self._gateway.plan, self._gateway.spending
        shared = self._gateway.sessions.shared and session
        keys = tuple({session, main_thread(session)}) if shared else ()
        counts: tuple[str, ...] = ()
        if plan.budgets:
            asker = allowance.asker(self._caller, session)
            counts = budgets.unread(plan.budgets, spending, asker, plan.preferences, self._wall)
        return Recall(keys, counts) if keys or counts else None

    def _decide(self, understood: _Understood, now: float) -> list[Effect]:
        if by_count_path(self._path):
            return self._count(understood, now)
        blocking = budgets.applying(self._reached(understood), "block")
        if blocking:
            return self._refuse_over_budget(understood, blocking, now)
        decision = self._without_router(understood)
        if decision:
            return self._chosen(understood, decision, now)
        self._waiting, self._scoring = understood, now
        return [Score(understood.intent.ask, understood.intent.context)]

    def _count(self, understood: _Understood, now: float) -> list[Effect]:
        """Who would answer counts; where his vendor does not, we estimate. Nothing is routed, nothing pinned."""
        named = self._named(understood)
        plan = understood.fitting.plan
        pin = self._gateway.sessions.pin(understood.session)  # Claude Code counts pieces in which nothing is answered
        routed = named.lane == "routed"
        chosen = pinned.stay(plan, pin, because="token count") if routed else explicit.choose(plan, named, "")
        if not chosen.first.counts:
            counted = answers.counted(understood.dialect, answers.estimate(understood.conversation, chosen.first))
            told = answers.count_headers(chosen.first, answers.estimated(chosen.first, ""), self._id)
            return [Respond(200, told | answers.ESTIMATE | counted.headers, counted.body)]
        return self._chosen(understood, chosen, now, counts=True)

    def _named(self, understood: _Understood) -> explicit.Named:
        """What the client calls for by name."""
        own_word = self._headers.get("x-arch-model", "")
        model = own_word or understood.conversation.model
        claude_code = self._headers.get("user-agent", "").startswith("claude-cli/")
        return explicit.resolve(understood.fitting.plan, model, claude_code=claude_code and not own_word)

    def _asked_for(self, understood: _Understood) -> str:
        """The same by our name for it; empty where we have none, for a client's word may be of any length."""
        try:
            named = self._named(understood)
        except BadRequest:
            return ""
        return named.candidate.label if named.candidate else ""

    def _without_router(self, understood: _Understood) -> Decision | None:
        """The decision, where it does not depend on what is asked; None asks for scores."""
        plan, kind = understood.fitting.plan, understood.intent.kind
        named = self._named(understood)
        if named.lane != "routed":
            return explicit.choose(plan, named, self._headers.get("x-arch-model") or understood.conversation.model)
        if kind in kinds.SIDE:
            return explicit.choose(plan, explicit.Named("fast", plan.fast), kind)
        pin = self._session(understood).pin
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

    def _on_scores(self, understood: _Understood, scores: Scores, now: float) -> list[Effect]:
        self._waiting, plan = None, understood.fitting.plan
        learned = self._gateway.learned.get(self._caller, NOTHING)
        self._seen, self._scores = learning.seen(scores, plan), learning.adjusted(scores, learned)
        setting = self._setting(understood, self._scores, now)
        # Where nothing is heard of the answer, nothing is tried.
        random = (lambda: 1.0) if self._decides else self._gateway.random
        decision = learning.choose(plan, self._scores, setting, learned, random)
        return self._chosen(understood, decision, now)

    def _setting(self, understood: _Understood, scores: Scores, now: float) -> Setting:
        session, cooling, able = self._session(understood), self._gateway.cooling, self._able(understood)
        plan, paces = self._gateway.plan, self._gateway.paces
        return Setting(
            session=session,
            tokens=understood.needs.about,
            written=session.written / session.requests if session.requests else WRITTEN,
            now=self._wall,
            difficulty=scores.difficulty,
            speeds=paces.speeds(plan.candidates, now) if plan.weighs else {},
            able=lambda candidate: able(candidate) and not cooling.left(candidate.id, now),
        )

    def _chosen(self, understood: _Understood, decision: Decision, now: float, *, counts: bool = False) -> list[Effect]:
        cooling, able = self._gateway.cooling, self._able(understood)
        reached = [] if counts else self._reached(understood, decision)  # to count tokens costs nothing
        blocking = budgets.applying(reached, "block")
        keep = None
        if blocking:
            return self._refuse_over_budget(understood, blocking, now)
        if not counts:  # and is another quota, as a rule
            if reached:
                decision = allowance.thrifty(
                    understood.fitting.plan,
                    decision,
                    reached,
                    self._session(understood),
                    tokens=understood.needs.about,
                    able=lambda candidate: able(candidate) and not cooling.left(candidate.id, now),
                    now=self._wall,
                )
            keep = None if self._decides else self._keeping(understood, decision)
            decision = cooled.choose(understood.fitting.plan, decision, cooling, now=now, able=able)
        exchange = Exchange(
            id=self._id,
            started=self._started,
            wall=self._wall,
            headers=self._headers,
            query=self._query,
            dialect=understood.dialect,
            body=understood.body,
            conversation=understood.conversation,
            intent=understood.intent,
            needs=understood.needs,
            session=understood.session,
            decision=decision,
            plan=self._gateway.plan,
            trace=self._trace(understood, decision, now),
            counts=counts,
            obstacles=understood.fitting.obstacles,
            later=frozenset() if counts else cooled.later(decision, cooling, now=now, able=able),
            patience=COUNT_PATIENCE if counts else self._patience(understood),
            touched=now,
            caller=self._caller,
            budgets=tuple(map(budgets.warning, reached)),
            told=() if counts or self._decides else self._told(understood, decision),
            keep=keep,
        )
        if self._decides:
            return self._decision_alone(understood, exchange, now)
        if keep is None:
            return self._asked(understood, exchange, now)
        return self._look(understood, exchange, keep, now)

    def _decision_alone(self, understood: _Understood, exchange: Exchange, now: float) -> list[Effect]:
        """Who asks goes to the model himself: the turn is pinned to it, and its switch costs nothing that we know."""
        if understood.session:
            self._pin(understood, exchange.decision, served=exchange.decision.first.id)
        self.decided = decisions.told(exchange, self._scores)
        outcome = replace(exchange.outcome(now=now, status=200, ask=self._gateway.show_asks), decided=True)
        return [Record(outcome), decisions.reply(exchange, self.decided)]

    def _look(self, understood: _Understood, exchange: Exchange, keep: caching.Keeping, now: float) -> list[Effect]:
        self._looking, alone = (understood, exchange), exchange.decision.first.id != keep.first
        left = SHARE_OF_PAUSE * self._gateway.plan.limits.pause_in_request - (now - self._started)
        return [Look(keep, exchange.id, min(exchange.patience, max(0.0, left)), alone)]

    def _asked(self, understood: _Understood, exchange: Exchange, now: float) -> list[Effect]:
        self._gateway.exchanges.add(exchange)
        if not exchange.counts:
            self._pin(understood, exchange.decision)
        patience = exchange.patience
        if exchange.follows:  # to wait, and then to ask
            patience = max(patience, exchange.left(now))
        return [Choose(exchange.decision.chain.name, exchange.id, exchange.tries, patience)]

    def _keeping(self, understood: _Understood, decision: Decision) -> caching.Keeping | None:
        """Where the answer is kept, and may be already; None where the cache has nothing to do with the request."""
        terms = caching.terms(self._gateway.plan.cache, decision.route.cache, caching.word(self._headers))
        if terms is None:
            return None
        return caching.keeping(
            terms,
            decision,
            understood.conversation,
            understood.intent,
            understood.body,
            headers=self._headers,
            caller=self._caller,
            path=self._path,
            query=self._query,
        )

    def _on_found(self, understood: _Understood, exchange: Exchange, found: Found, now: float) -> list[Effect]:
        self._looking = None
        exchange.touched = now
        exchange.follows = found.late
        if found.entry is None or exchange.keep is None:
            return self._asked(understood, exchange, now)
        effects = cached_answers.replay(self._gateway.sessions, exchange, found.entry, now)
        if effects is None:
            return self._look(understood, exchange, exchange.keep, now)
        self._pin(understood, exchange.decision, served=exchange.keep.first)
        return effects

    def _reached(self, understood: _Understood, decision: Decision | None = None) -> list[Standing]:
        """The budgets that have come to what they say; those of preferences only when it is decided."""
        gateway = self._gateway
        if not gateway.plan.budgets:
            return []
        asker = allowance.asker(self._caller, understood.session, decision)
        return budgets.reached(gateway.plan.budgets, gateway.spending, asker, self._wall)

    def _told(self, understood: _Understood, decision: Decision) -> tuple[tuple[str, signals.Signal], ...]:
        """What the request says of the answer before it, which the same caller has asked for."""
        session = self._gateway.sessions.get(understood.session)
        if session.served is None or session.served.caller != self._caller:
            return ()
        routed = self._gateway.plan.candidate(session.pin.candidate) if session.pin else None
        left = routed is not None and routed.label == session.served.model and routed.id != decision.first.id
        overridden = left and decision.lane == "explicit"
        last = session.served
        given = Next(
            understood.conversation,
            understood.intent,
            overridden=overridden,
            turn=last.turn if last.ended == "whole" else "",
            waited=self._wall - last.at,
            left=last.ended == "left",
            named=is_named(understood.session),
        )
        answers = (last.request, *session.before)
        return tuple((answers[back], signal) for signal, back in signals.of_next(given) if back < len(answers))

    def _able(self, understood: _Understood) -> cooled.Able:
        """Whether somebody may step in: it fits, and nothing of what is to be summarized is lost on it."""
        summarized = understood.needs.about if understood.intent.kind == "compaction" else 0

        def able(candidate: Candidate) -> bool:
            return candidate.id not in understood.fitting.obstacles and whole.holds(candidate, summarized)

        return able

    def _trace(self, understood: _Understood, decision: Decision, now: float) -> Trace:
        plan, scores, before = understood.fitting.plan, self._scores, self._session(understood).pin
        served = self._gateway.plan.candidate(before.candidate) if before else None
        obstacles, cooling = understood.fitting.obstacles, self._gateway.cooling.all(now)
        troubled = obstacles or cooling
        labels = {candidate.id: candidate.label for candidate in self._gateway.plan.candidates} if troubled else {}
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
            began=self._scoring - self._started,
            waited=now - self._scoring,
            seconds=scores.seconds,
            trouble=scores.trouble,
            seen=self._seen,
        )

    def _patience(self, understood: _Understood) -> float:
        failover = self._gateway.plan.failover
        streamed = understood.conversation.stream
        if understood.intent.kind == "classifier":
            return min(VERDICT_PATIENCE, failover.whole_answer_timeout)
        return failover.first_content_timeout if streamed else failover.whole_answer_timeout

    def _session(self, understood: _Understood) -> Session:
        """The thread as it stands; a new one when nothing has been answered in it."""
        return self._gateway.sessions.get(understood.session) if understood.intent.begun else NEW

    def _pin(self, understood: _Understood, decision: Decision, served: str = "") -> None:
        """Only a user turn moves the pin; an attempt moves it again if somebody else steps in. `served`: who answers
        without a switch that we pay for: the cache held his answer, or the client asks him himself."""
        if understood.intent.kind == "user turn" and decision.lane == "routed":
            pin = Pin(decision.route.id, served or decision.first.id, decision.score)
            leaves = decision.switch and decision.switch.done and not served
            switched = max(0.0, decision.switch.price) if decision.switch and leaves else 0.0
            kept = self._gateway.sessions.get(understood.session)
            begun = kept if understood.intent.begun or not kept.reads else replace(kept, reads={})
            self._gateway.sessions.put(understood.session, begun.turned(pin, switched))

    # -- refusals ---------------------------------------------------------------------------------------------

    def _refuse(self, failure: Failure, now: float, more: dict[str, str] | None = None) -> list[Effect]:
        explained = self._reply_headers() | {"x-arch-reason": "refused by archgw"} | (more or {})
        if self._path == feedback.PATH:  # no model was asked for anything
            return [Respond(failure.status, explained | _JSON, feedback.refused(failure))]
        if self._path == decisions.CALL:  # Envoy makes a status of gRPC's of it
            return [Record(self._refusal(failure, now)), Respond(failure.status, explained, failure.message.encode())]
        dialect = by_path(self._path) or decisions.dialect(self._path)
        dialect = dialect or answers.dialect_for(self._path, self._headers)
        return [Record(self._refusal(failure, now)), error_reply(dialect, failure, explained)]

    def _refuse_over_budget(self, understood: _Understood, blocking: list[Standing], now: float) -> list[Effect]:
        self._waiting = None
        failure, headers = allowance.refuse(blocking, self._wall)
        _, reply = self._refuse(failure, now, headers)
        asked = understood.intent
        outcome = replace(
            self._refusal(failure, now),
            kind=("subagent: " if asked.subagent else "") + asked.kind,
            session=understood.session,
            reason=allowance.REASON,
            model_asked=self._asked_for(understood),
            brief=allowance.REASON,
        )
        return [Record(outcome), reply]

    def _refuse_for_now(self, now: float) -> list[Effect]:
        """Before the body is here, where there is no room for one more: whoever waits holds nothing."""
        exchanges = self._gateway.exchanges
        failure = limits.too_many_requests(self._gateway.plan.limits, len(exchanges), exchanges.bytes)
        return self._refuse(failure, now, limits.COME_BACK)

    def _refusal(self, failure: Failure, now: float) -> Outcome:
        return Outcome(
            id=self._id,
            started=self._wall,
            kind="refused",
            client=self._headers.get("user-agent", "").split(" ")[0][:MAX_KEPT],
            session="",
            route="",
            reason="refused by archgw",
            model_asked="",
            model_served="",
            status=failure.status,
            duration=now - self._started,
            error=failure.message[:MAX_KEPT],
            caller=self._caller,
            parent=traceparent(self._headers),
            brief="feedback that cannot be kept" if self._path == feedback.PATH else "",
            decided=self._decides or self._path == decisions.CALL,
        )

    def _reply_headers(self) -> dict[str, str]:
        """What every reply of ours carries, so that no client has to ask whether a header is there."""
        return {
            "x-arch-model": "none",
            "x-arch-route": "none",
            "x-arch-reason": "answered by archgw itself",
            "x-arch-attempts": "0",
            "x-arch-request-id": self._id,
        }
