"""The first hop: one client request in, one decision out. Pure: events in, effects out."""

from dataclasses import replace

from router_service import (
    admission,
    allowance,
    answers,
    budgets,
    cached_answers,
    caching,
    deciding,
    decisions,
    feedback,
    learning,
    limits,
    paths,
    refusing,
    request_json,
)
from router_service.budgets import Asker, Standing
from router_service.conversation import BadRequest, Failure
from router_service.dialects import by_count_path, by_path
from router_service.effects import Advise, Choose, Effect, Look, Proceed, Rate, Recall, Record, Respond, Score, Tell
from router_service.events import Event, Found, Gone, Headers, Rated, Recalled, RequestBody, RequestHeaders, Scored
from router_service.exchange import Exchange, Full
from router_service.gateway import Gateway
from router_service.learning import NOTHING
from router_service.outcome import Seen
from router_service.policies import cooled
from router_service.policies.policy import Decision, Scores
from router_service.request import Request, Understood, understand
from router_service.session import Pin, main_thread

COUNT_PATIENCE = 5.0  # seconds; who wants to know how full the window is does not wait long
SHARE_OF_PAUSE = 0.6  # of limits.pause_in_request: so long it waits for another's answer here; to Envoy it is a pause
_JSON = {"content-type": "application/json"}


class Selection:
    """`admit`: by whose rules somebody may ask. `decided`: what was told to who asked for a decision alone."""

    def __init__(self, gateway: Gateway, *, wall: float, admit: admission.Admit = admission.admit) -> None:
        self.decided: decisions.Told | None = None
        self._admit = admit
        self._gateway = gateway
        self._request = Request(gateway.new_id(), wall)
        self._waiting: Understood | None = None
        self._shown = ""  # the session that a status line asks for
        self._scores: Scores | None = None  # after what was learned
        self._seen: Seen | None = None
        self._scoring = 0.0
        self._looking: tuple[Understood, Exchange] | None = None
        self._feedback: feedback.Feedback | None = None

    def feed(self, event: Event, now: float) -> list[Effect]:
        effects = self._on(event, now)
        if isinstance(event, Gone) or Respond in map(type, effects):
            self._gateway.exchanges.forget(self._request.id)
        return effects

    def _on(self, event: Event, now: float) -> list[Effect]:
        try:
            match event:
                case RequestHeaders(headers, end):
                    self._request.started = now
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
            return refusing.refuse(self._request, error.failure, now)
        except RecursionError:
            return refusing.refuse(self._request, limits.too_deep(self._gateway.plan.limits).failure, now)
        except Full:
            return refusing.for_now(self._gateway, self._request, now)
        return []

    def give_up(self, trouble: str, now: float) -> list[Effect]:
        """An error of our own, told as one."""
        self._gateway.exchanges.forget(self._request.id)
        return refusing.refuse(self._request, Failure(500, "api_error", f"archgw: {trouble}"), now)

    # -- headers: what needs no body is answered here ---------------------------------------------------------

    def _on_headers(self, headers: Headers, end: bool, now: float) -> list[Effect]:
        request, plan = self._request, self._gateway.plan
        request.headers = headers
        request.path, _, request.query = headers.get(":path", "/").partition("?")
        request.decides = decisions.dialect(request.path) is not None
        method, path = headers.get(":method", "GET"), request.path
        caller = self._admit(plan.clients, plan.listener, path, headers, request.wall)
        request.headers, request.caller = caller.headers, caller.name
        if (method, path) == ("GET", paths.METRICS):
            return [Tell(answers.own_headers(request.id))]
        id = path.removeprefix(paths.SESSION)
        if method == "GET" and id not in ("", path):
            return self._on_shown(id)
        local = answers.answer(plan, method, path, request.headers, request.query)
        if local:
            return [Respond(local.status, answers.own_headers(request.id) | local.headers, local.body)]
        if path == decisions.CALL and method == "POST":
            return self._let_through(now)
        known = request.decides or by_path(path) or by_count_path(path)
        if not known and path not in ("/v1/models", feedback.PATH):
            raise BadRequest(answers.unknown_path(method, path), status=404, kind="not_found_error")
        if method != "POST" or not (known or path == feedback.PATH):
            raise BadRequest(answers.wrong_method(method, path), status=405)
        caching.word(headers)
        length = limits.check_length(plan.limits, headers)
        if path == feedback.PATH:
            feedback.check_length(length)
        if end and path == feedback.PATH:
            raise BadRequest(feedback.EMPTY)
        if end and path == decisions.PATH:
            raise BadRequest(decisions.EMPTY)
        if end:
            raise BadRequest("the request has no body; send JSON with at least 'model' and 'messages'")
        self._gateway.exchanges.expect(request.id, length, now)
        return [Proceed()]

    def _let_through(self, now: float) -> list[Effect]:
        """To the service itself, by a route of Envoy's, when all of it is here; it is told who asks."""
        request = self._request
        length = limits.check_length(self._gateway.plan.limits, request.headers)
        self._gateway.exchanges.expect(request.id, length, now)
        return [Advise({admission.CALLER: request.caller})]

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
        asker = Asker(self._request.caller, f"{id}/", served_by)
        standings = budgets.standings(plan.budgets, self._gateway.spending, asker, self._request.wall)
        told = answers.session(plan, found, self._request.wall, standings)
        return Respond(told.status, answers.own_headers(self._request.id) | told.headers, told.body)

    # -- body: read, then decide ------------------------------------------------------------------------------

    def _on_body(self, body: bytes, now: float) -> list[Effect]:
        if self._request.path == feedback.PATH:
            return self._on_feedback(body)
        if self._request.path == decisions.CALL:
            self._gateway.exchanges.forget(self._request.id)
            return [Proceed()]
        understood = understand(self._request, body, self._gateway.plan)
        recall = self._recall(understood.session)
        if recall:
            self._waiting = understood
            return [recall]
        return self._decide(understood, now)

    def _on_feedback(self, body: bytes) -> list[Effect]:
        feedback.check_length(len(body))
        parsed = request_json.read(body, self._gateway.plan.limits)
        self._feedback = feedback.parse(parsed, feedback.names(self._gateway.plan))
        return [Rate(self._feedback, self._request.caller)]

    def _on_rated(self, given: feedback.Feedback, rated: Rated, now: float) -> list[Effect]:
        if rated.trouble:
            return refusing.refuse(self._request, Failure(503, "api_error", f"archgw: {rated.trouble}"), now)
        if not rated.request:
            raise feedback.unknown(given)
        told = feedback.kept(given, rated.request, rated.model, rated.preference)
        return [Respond(200, answers.own_headers(self._request.id) | _JSON, told)]

    def _recall(self, session: str) -> Recall | None:
        """What others may know better, where anybody does."""
        plan, spending = self._gateway.plan, self._gateway.spending
        shared = self._gateway.sessions.shared and session
        keys = tuple({session, main_thread(session)}) if shared else ()
        counts: tuple[str, ...] = ()
        if plan.budgets:
            asker = allowance.asker(self._request.caller, session)
            counts = budgets.unread(plan.budgets, spending, asker, plan.preferences, self._request.wall)
        return Recall(keys, counts) if keys or counts else None

    def _decide(self, understood: Understood, now: float) -> list[Effect]:
        if by_count_path(self._request.path):
            return self._count(understood, now)
        blocking = budgets.applying(deciding.reached(self._gateway, understood), "block")
        if blocking:
            return self._over_budget(understood, blocking, now)
        decision = deciding.without_router(self._gateway, understood)
        if decision:
            return self._chosen(understood, decision, now)
        self._waiting, self._scoring = understood, now
        return [Score(understood.intent.ask, understood.intent.context)]

    def _count(self, understood: Understood, now: float) -> list[Effect]:
        """Who would answer counts; where his vendor does not, we estimate. Nothing is routed, nothing pinned."""
        chosen = deciding.who_counts(self._gateway, understood)
        if not chosen.first.counts:
            counted = answers.counted(understood.dialect, answers.estimate(understood.conversation, chosen.first))
            told = answers.count_headers(chosen.first, answers.estimated(chosen.first, ""), self._request.id)
            return [Respond(200, told | answers.ESTIMATE | counted.headers, counted.body)]
        return self._chosen(understood, chosen, now, counts=True)

    def _on_scores(self, understood: Understood, scores: Scores, now: float) -> list[Effect]:
        self._waiting, plan = None, understood.fitting.plan
        learned = self._gateway.learned.get(self._request.caller, NOTHING)
        self._seen, self._scores = learning.seen(scores, plan), learning.adjusted(scores, learned)
        setting = deciding.setting(self._gateway, understood, self._scores, now)
        # Where nothing is heard of the answer, nothing is tried.
        random = (lambda: 1.0) if self._request.decides else self._gateway.random
        decision = learning.choose(plan, self._scores, setting, learned, random)
        return self._chosen(understood, decision, now)

    def _chosen(self, understood: Understood, decision: Decision, now: float, *, counts: bool = False) -> list[Effect]:
        gateway, request = self._gateway, self._request
        cooling, able = gateway.cooling, understood.able()
        reached = [] if counts else deciding.reached(gateway, understood, decision)  # to count tokens costs nothing
        blocking = budgets.applying(reached, "block")
        keep = None
        if blocking:
            return self._over_budget(understood, blocking, now)
        if not counts:  # and is another quota, as a rule
            if reached:
                decision = allowance.thrifty(
                    understood.fitting.plan,
                    decision,
                    reached,
                    deciding.session(gateway, understood),
                    tokens=understood.needs.about,
                    able=lambda candidate: able(candidate) and not cooling.left(candidate.id, now),
                    now=request.wall,
                )
            keep = None if request.decides else self._keeping(understood, decision)
            decision = cooled.choose(understood.fitting.plan, decision, cooling, now=now, able=able)
        trace = deciding.trace(
            gateway, understood, decision, now, scores=self._scores, seen=self._seen, scoring=self._scoring
        )
        exchange = Exchange(
            id=request.id,
            started=request.started,
            wall=request.wall,
            headers=request.headers,
            query=request.query,
            dialect=understood.dialect,
            body=understood.body,
            conversation=understood.conversation,
            intent=understood.intent,
            needs=understood.needs,
            session=understood.session,
            decision=decision,
            plan=gateway.plan,
            trace=trace,
            counts=counts,
            obstacles=understood.fitting.obstacles,
            later=frozenset() if counts else cooled.later(decision, cooling, now=now, able=able),
            patience=COUNT_PATIENCE if counts else deciding.patience(gateway.plan, understood),
            touched=now,
            caller=request.caller,
            budgets=tuple(map(budgets.warning, reached)),
            told=() if counts or request.decides else deciding.told(gateway, understood, decision),
            keep=keep,
        )
        if request.decides:
            return self._decision_alone(understood, exchange, now)
        if keep is None:
            return self._asked(understood, exchange, now)
        return self._look(understood, exchange, keep, now)

    def _decision_alone(self, understood: Understood, exchange: Exchange, now: float) -> list[Effect]:
        """Who asks goes to the model himself: the turn is pinned to it, and its switch costs nothing that we know."""
        if understood.session:
            self._pin(understood, exchange.decision, served=exchange.decision.first.id)
        self.decided = decisions.told(exchange, self._scores)
        outcome = replace(exchange.outcome(now=now, status=200, ask=self._gateway.show_asks), decided=True)
        return [Record(outcome), decisions.reply(exchange, self.decided)]

    def _over_budget(self, understood: Understood, blocking: list[Standing], now: float) -> list[Effect]:
        self._waiting = None
        return refusing.over_budget(understood, blocking, now)

    def _keeping(self, understood: Understood, decision: Decision) -> caching.Keeping | None:
        """Where the answer is kept, and may be already; None where the cache has nothing to do with the request."""
        terms = caching.terms(self._gateway.plan.cache, decision.route.cache, caching.word(self._request.headers))
        if terms is None:
            return None
        return caching.keeping(
            terms,
            decision,
            understood.conversation,
            understood.intent,
            understood.body,
            headers=self._request.headers,
            caller=self._request.caller,
            path=self._request.path,
            query=self._request.query,
        )

    # -- the decision is carried out --------------------------------------------------------------------------

    def _look(self, understood: Understood, exchange: Exchange, keep: caching.Keeping, now: float) -> list[Effect]:
        self._looking, alone = (understood, exchange), exchange.decision.first.id != keep.first
        left = SHARE_OF_PAUSE * self._gateway.plan.limits.pause_in_request - (now - self._request.started)
        return [Look(keep, exchange.id, min(exchange.patience, max(0.0, left)), alone)]

    def _asked(self, understood: Understood, exchange: Exchange, now: float) -> list[Effect]:
        self._gateway.exchanges.add(exchange)
        if not exchange.counts:
            self._pin(understood, exchange.decision)
        patience = exchange.patience
        if exchange.follows:  # to wait, and then to ask
            patience = max(patience, exchange.left(now))
        return [Choose(exchange.decision.chain.name, exchange.id, exchange.tries, patience)]

    def _on_found(self, understood: Understood, exchange: Exchange, found: Found, now: float) -> list[Effect]:
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

    def _pin(self, understood: Understood, decision: Decision, served: str = "") -> None:
        """Only a user turn moves the pin; an attempt moves it again if somebody else steps in. `served`: who answers
        without a switch that we pay for: the cache held his answer, or the client asks him himself."""
        if understood.intent.kind == "user turn" and decision.lane == "routed":
            pin = Pin(decision.route.id, served or decision.first.id, decision.score)
            leaves = decision.switch and decision.switch.done and not served
            switched = max(0.0, decision.switch.price) if decision.switch and leaves else 0.0
            kept = self._gateway.sessions.get(understood.session)
            begun = kept if understood.intent.begun or not kept.reads else replace(kept, reads={})
            self._gateway.sessions.put(understood.session, begun.turned(pin, switched))
