"""The second hop: one try at one candidate. Pure: events in, effects out.

    asking --headers--> judging --first content--> streaming --end--> done
       \\                   \\-- anything else: failed, Envoy takes the next candidate
        \\-- no answer in time: failed

Nothing of an answer reaches the client before its first content; after it there is no going back.
"""

from dataclasses import replace
from typing import Literal

from router_service import kinds, refusals, signals, upstream
from router_service.bill import broke_off, settle
from router_service.cached_answers import Copy, replay
from router_service.caching import Entry, Keeping
from router_service.conversation import (
    KIND_BY_STATUS,
    Failure,
    ReplyEvent,
    ReplyFailed,
    is_content,
)
from router_service.cooling import BROKE_OFF, pause
from router_service.exchange import (
    Ask,
    Effect,
    Event,
    Exchange,
    Found,
    Gone,
    Headers,
    Look,
    Proceed,
    Record,
    Release,
    RequestHeaders,
    Respond,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    Send,
    Tick,
    Wake,
    error_reply,
    header_value,
)
from router_service.gateway import Gateway
from router_service.outcome import AttemptOutcome
from router_service.plan import Candidate
from router_service.retelling import Retelling
from router_service.session import Ended, Pin
from router_service.verdict import (
    EVENT_STREAM,
    failure_in,
    final_status,
    in_words,
    is_event_stream,
    is_full,
    is_json,
    lacks_model,
    meant,
    retry_after,
    scrubbed,
    seconds_until,
    status_of,
)

MAX_HELD = 64 * 1024 * 1024  # bytes of an unstreamed answer, or of one in translation, whose text is kept for its end
MAX_HELD_STREAM = 1024 * 1024  # bytes of a stream that has shown no content
GONE = 499  # nobody waited for the answer; nginx's word for it
PASSED_OVER = 429  # a server's error would count against the candidate, whichever header says to go on
MAX_ERROR = 256 * 1024
MAX_TOLD = 2000  # characters of what went wrong that are kept with the outcome
PING_AFTER = 15.0  # seconds of silence after which a streaming client hears a comment
COOL_FOR = 30.0  # seconds in which who broke off in the middle of an answer is not asked first
_OURS_TO_MEND = frozenset({401, 402, 403, 404, 408, 409, 421, 425, 429})  # our key, our model name, our quota
_OF_THE_ACCOUNT = frozenset({"rate_limit_error", "billing_error", "authentication_error", "overloaded_error"})
_REQUESTS = frozenset({400, 413, 422})  # by what vendors say that the request is what is wrong
_COME_BACK = frozenset({413, 429, 503, 529})  # after a while
_IN_AN_ANSWER = f"{BROKE_OFF} in an answer"
_PING = b": ping\n\n"

State = Literal["asking", "judging", "streaming", "done"]


class Attempt:
    def __init__(self, gateway: Gateway, exchange: Exchange, candidate: Candidate, now: float) -> None:
        self._gateway, self._exchange, self._candidate = gateway, exchange, candidate
        exchange.tried += 1
        exchange.active += 1
        self._number = exchange.tried
        self._name = f"{exchange.id}/{exchange.tried}"
        self._learn_of_return(now)
        self._upstream = upstream.nothing(exchange, candidate)
        self._retelling = Retelling(exchange, candidate, self._upstream.dialect)
        self._state: State = "asking"
        self._status = 0
        self._headers: Headers = {}
        self._details = ""
        self._wait = ""  # seconds until the provider wants to be asked again
        self._streamed = False
        self._held = bytearray()
        self._passed = 0  # bytes since the first content
        self._events: list[ReplyEvent] = []
        self._begun = self._heard = now
        self._first_content: float | None = None
        self._trouble = ""  # what went wrong after first content
        self._broke = False  # by the candidate's doing
        self._brief = ""  # what went wrong at all, without the provider's own words, where it has said some
        kept = exchange.keep and exchange.keep.first == candidate.id  # a stand-in's is not
        self._copy = Copy(exchange, candidate, self._retelling) if kept else None

    def feed(self, event: Event, now: float) -> list[Effect]:
        effects = self._on(event, now)
        return self._copy.noted(effects) if self._copy else effects

    def _on(self, event: Event, now: float) -> list[Effect]:
        if self._state == "done":
            return [Proceed()] if isinstance(event, ResponseTrailers) else []
        match event:
            case RequestHeaders():
                return self._follow(now) or self._ask()
            case Found(entry):
                return self._on_found(entry, now)
            case ResponseHeaders():
                return self._on_headers(event, now)
            case ResponseBody(chunk, end):
                return self._on_body(chunk, end, now)
            case ResponseTrailers():
                return self._on_trailers(now)
            case Tick():
                return self._on_tick(now)
            case Gone():
                return self._on_gone(now)
        return []

    def give_up(self, trouble: str, now: float) -> list[Effect]:
        """An error of our own. It must not cost the user an answer: somebody else is asked."""
        if self._state == "done":
            return []
        return self._end_with(trouble, now) if self._state == "streaming" else self._fail(trouble, now)

    def _learn_of_return(self, now: float) -> None:
        """That Envoy comes says that the client is still there: who was cut off before did it himself.

        Envoy does not count it against him, as it had heard nothing of an answer yet (seen on 1.40).
        """
        exchange = self._exchange
        last = exchange.attempts[-1] if exchange.attempts else None
        if last is None or not (exchange.cut or last.status == GONE):
            return
        exchange.cut = None
        trouble = f"{BROKE_OFF} after {last.seconds:.1f} s"
        exchange.attempts[-1] = replace(last, status=0, trouble=trouble)
        _leave_alone(self._gateway, exchange, _served(exchange), now, trouble)

    # -- asking -----------------------------------------------------------------------------------------------

    def _follow(self, now: float) -> list[Effect]:
        """Whoever waits for another's answer does so here where that takes long, and is left time to ask himself."""
        exchange = self._exchange
        if not (exchange.follows and exchange.keep):
            return []
        exchange.follows = False
        return [self._look(exchange.keep, now)]

    def _look(self, keep: Keeping, now: float) -> Look:
        exchange = self._exchange
        return Look(keep, exchange.id, max(0.0, exchange.left(now) - exchange.patience))

    def _on_found(self, entry: Entry | None, now: float) -> list[Effect]:
        exchange = self._exchange
        if entry is None or exchange.keep is None:
            self._begun = self._heard = now
            return self._ask()
        effects = replay(self._gateway.sessions, exchange, entry, now)
        if effects is None:
            return [self._look(exchange.keep, now)]
        self._state = "done"
        exchange.active -= 1
        self._gateway.exchanges.drop(exchange.id)
        self._pin(exchange.keep.first)
        return effects

    def _ask(self) -> list[Effect]:
        exchange, candidate = self._exchange, self._candidate
        passed = exchange.passes(candidate) or exchange.waits(candidate) or exchange.spent
        exchange.met.add(candidate.id)
        if passed and (exchange.attempts or not exchange.last_attempt):
            return self._pass_over()
        exchange.asked.append(candidate.id)
        self._gateway.paces.asked(self._name, candidate.id, self._begun, streamed=exchange.conversation.stream)
        self._upstream = upstream.render(exchange, self._candidate)
        ask = Ask(
            candidate.cluster,
            self._upstream.headers,
            self._upstream.body,
            candidate.identity,
            attempt=self._name,
            dialect=exchange.dialect.name,
            model=header_value(candidate.label),
        )
        return [ask, Wake(exchange.patience)]

    def _pass_over(self) -> list[Effect]:
        """Somebody else fits better. When nobody is left who does, and nobody was asked, this one is, adapted.

        Or enough have been asked, and Envoy comes once more all the same.
        """
        exchange = self._exchange
        exchange.passed += 1
        return self._go_on(self._begun, exchange.attempts[-1].trouble if exchange.attempts else "", failed=False)

    def _full(self, now: float) -> list[Effect]:
        """Envoy has not asked, for as much is under way with the candidate as may be. That is nobody's failure."""
        exchange = self._exchange
        exchange.passed += 1
        exchange.asked.remove(self._candidate.id)
        self._status = 503
        words = "has as much under way as failover.limits allow"
        self._keep_attempt(words, now)
        return self._go_on(now, words, failed=False)

    def _on_headers(self, event: ResponseHeaders, now: float) -> list[Effect]:
        self._state, self._heard = "judging", now
        self._status, self._headers, self._details = event.status, event.headers, event.details
        try:
            self._retelling.expect(event.headers.get("content-encoding", ""))
        except ValueError as error:
            return self._fail(str(error), now)
        self._streamed = event.status == 200 and is_event_stream(event.headers)
        return self._on_body(b"", True, now) if event.end else []

    # -- judging ----------------------------------------------------------------------------------------------

    def _on_trailers(self, now: float) -> list[Effect]:
        """They end the answer in place of its last chunk; beside a reply of ours they need no answer."""
        effects = self._on_body(b"", True, now)
        if any(isinstance(effect, Respond) for effect in effects):
            return effects
        return [*(Send(effect.chunk) if isinstance(effect, Send) else effect for effect in effects), Proceed()]

    def _on_body(self, chunk: bytes, end: bool, now: float) -> list[Effect]:
        self._heard = now
        try:
            chunk = self._retelling.unpack(chunk)
        except ValueError as error:
            return self._break(str(error), now) if self._state == "streaming" else self._fail(str(error), now)
        if self._state == "streaming":
            self._passed += len(chunk)
            if not self._retelling.same and self._passed > MAX_HELD:
                return self._break("answered more than the gateway can hold", now)
            fresh = self._retelling.read(chunk, end)
            return self._pass_on(self._retelling.tell(chunk, fresh, end=end), end, now)
        self._held += chunk
        if self._streamed:
            return self._judge_stream(chunk, end, now)
        if len(self._held) > (MAX_HELD if self._status < 400 else MAX_ERROR):
            return self._fail("answered more than the gateway can hold", now)
        return self._judge_whole(now) if end else []

    def _judge_stream(self, chunk: bytes, end: bool, now: float) -> list[Effect]:
        fresh = self._retelling.read(chunk, end)
        self._events += fresh
        if not self._exchange.conversation.stream:  # the client wants one object: hold it to the end
            if len(self._held) > MAX_HELD:
                return self._fail("answered more than the gateway can hold", now)
            return self._judge_events(None, now) if self._retelling.ended or end else []
        failure = self._retelling.failed
        if failure:  # nothing has gone out yet, whatever came before it
            words = f"failed before its first content: {self._said(failure)}"
            return self._fail(words, now, status=status_of(failure))
        if any(map(is_content, fresh)) or self._acceptable_empty():
            return self._release(end, now)
        if self._retelling.ended or end:
            return self._fail("sent an empty answer", now)
        if len(self._held) > MAX_HELD_STREAM:
            return self._fail("sent a stream without content", now)
        return []

    def _judge_whole(self, now: float) -> list[Effect]:
        """An unstreamed answer or an error, complete."""
        body = bytes(self._held)
        if self._status != 200:
            return self._judge_error(body, now)
        try:
            self._events = self._retelling.read_whole(body)
        except ValueError:
            return self._fail("sent something that is no answer of its API", now)
        return self._judge_events(body, now)

    def _judge_events(self, body: bytes | None, now: float) -> list[Effect]:
        """A whole answer; `body` is its JSON, None when it came as a stream."""
        failure = failure_in(self._events)
        if failure:
            return self._fail(self._said(failure), now, status=status_of(failure))
        if not any(map(is_content, self._events)) and not self._acceptable_empty():
            return self._fail("sent an empty answer", now)
        return self._release_whole(body, now)

    def _judge_error(self, body: bytes, now: float) -> list[Effect]:
        failure = self._upstream.dialect.parse_error(self._status, body)
        if self._details and is_full(self._details) and self._status == 503:
            return self._full(now)
        if self._details and not self._details.startswith("via_upstream"):
            return self._fail(in_words(self._details, body), now, status=self._status)
        if self._status in _COME_BACK:
            self._wait = retry_after(self._headers, body)
        status = meant(failure)
        lack = refusals.lacking(failure) if failure.kind not in _OF_THE_ACCOUNT else None
        if lack:
            return self._lack(lack, failure, body, now)
        ours = status in _OURS_TO_MEND or status >= 500 or status < 400 or failure.kind == "rate_limit_error"
        if ours or lacks_model(failure):
            return self._fail(f"answered {self._status} ({self._said(failure)})", now, status=status)
        return self._refuse(replace(failure, message=self._said(failure)), body, now)

    def _acceptable_empty(self) -> bool:
        """A reply that ended in order and says nothing: fine after tool results, for a probe, or cut by its limit."""
        after_tools, ended = self._exchange.intent.kind != "user turn", self._retelling.ended
        if ended is None or any(isinstance(event, ReplyFailed) for event in self._events):
            return False
        return after_tools or ended.reason != "end"

    # -- the ways out -----------------------------------------------------------------------------------------

    def _release(self, end: bool, now: float) -> list[Effect]:
        """First content of a stream: from here on the client sees it as it comes."""
        first = self._retelling.begin(bytes(self._held), self._events, end=end)
        self._commit(now)
        self._held.clear()
        self._events = []
        headers = self._reply_headers() | {"content-type": EVENT_STREAM}
        effects = [Release(headers, self._kept_back()), *self._pass_on(first, end, now)]
        return effects if self._state == "done" else [*effects, Wake(self._next_look(0.0, now))]

    def _release_whole(self, body: bytes | None, now: float) -> list[Effect]:
        told, kind = self._retelling.tell_whole(self._events, body)
        self._commit(now)
        headers = self._reply_headers() | {"content-type": kind}
        return [Release(headers, self._kept_back()), Send(told, end=True), *self._done(now, status=200)]

    def _lack(self, lack: refusals.Lack, failure: Failure, body: bytes, now: float) -> list[Effect]:
        """This one cannot take the request. Who may is asked; the client hears of it when nobody does."""
        exchange, failure = self._exchange, replace(failure, message=self._said(failure))
        if self._status not in _REQUESTS:
            failure = replace(failure, status=400, kind=KIND_BY_STATUS[400], odd=True)
        exchange.refusal = failure
        asked = {self._candidate.label, *(attempt.candidate for attempt in exchange.attempts)}
        exchange.unfit |= {
            other.id
            for other in exchange.decision.chain.candidates
            if other.label in asked or not refusals.may_take(other, lack, failure, self._candidate)
        }
        if exchange.last_attempt or exchange.spent or all(map(exchange.passes, exchange.decision.chain.candidates)):
            return self._refuse(failure, body, now)
        words = f"answered {self._status} ({failure.message})"
        self._status = failure.status
        self._keep_attempt(words, now)
        return self._go_on(now, words, failed=False)

    def _refuse(self, failure: Failure, body: bytes, now: float) -> list[Effect]:
        """A genuine client error: nobody else would take the request either."""
        self._status = failure.status
        self._keep_attempt(failure.message, now)
        headers = self._reply_headers()
        if self._retelling.same and is_json(self._headers) and not failure.odd:
            same = self._scrubbed_bytes(body)
            reply = Respond(self._status, {"content-type": "application/json", **headers}, same)
        else:
            reply = error_reply(self._exchange.dialect, failure, headers)
        return [reply, *self._done(now, status=self._status, error=failure.message)]

    def _fail(self, words: str, now: float, *, status: int = 0) -> list[Effect]:
        """This candidate is out: tell Envoy to go on, in words that stand should it have been the last."""
        self._status = status
        self._keep_attempt(words, now)
        self._gateway.paces.failed(self._candidate.id, now - self._begun, now)
        self._cool(now)
        exchange, budget = self._exchange, self._exchange.plan.failover.limits.retry_budget
        ended = exchange.last_attempt or exchange.spent
        if not ended and not self._gateway.exchanges.may_ask_again(exchange, budget):
            exchange.over = "too many others are at a second try (failover.limits.retry_budget)"
        return self._go_on(now, words)

    def _cool(self, now: float) -> None:
        """The vendor wants to be left alone for a while: others are asked before it."""
        failover = self._exchange.plan.failover
        told = seconds_until(self._wait, self._exchange.wall + now - self._exchange.started)
        seconds = pause(self._status, told, usually=failover.cool_for, at_most=failover.cool_at_most)
        if seconds:
            self._gateway.cooling.cool(self._candidate.id, now + seconds, f"answered {self._status}")

    def _go_on(self, now: float, words: str, *, failed: bool = True) -> list[Effect]:
        """Envoy takes the next candidate, in words that stand should there be none."""
        headers = self._reply_headers() | self._retry_after()
        reply = error_reply(self._exchange.dialect, self._what_stands() or self._all_failed(), headers)
        reply = replace(reply, retry=failed, next=not failed and not self._exchange.last_attempt)
        self._state = "done"
        self._exchange.active -= 1
        self._exchange.touched = now
        if not self._exchange.last_attempt:  # who is told to go on and does not, for failover.limits, shows it as it is
            return [reply if failed else replace(reply, status=PASSED_OVER)]
        self._gateway.exchanges.drop(self._exchange.id)
        return [reply, self._record(now, status=reply.status, error=words)]

    def _what_stands(self) -> Failure | None:
        """A refusal, where nobody has failed otherwise, or where the client itself can mend it, by asking for less."""
        refusal = self._exchange.refusal
        mended = refusal is not None and refusals.lacking(refusal) == "window"
        return refusal if mended or all(a.status in _REQUESTS for a in self._exchange.attempts) else None

    def _all_failed(self) -> Failure:
        tried = self._exchange.attempts
        told = "; ".join(f"{attempt.candidate} {attempt.trouble}" for attempt in tried)
        if self._exchange.over:
            told += f"; {self._exchange.over}"
        status = final_status([attempt.status for attempt in tried])
        return Failure(status, KIND_BY_STATUS[status], f"archgw: no model could answer. {told}")

    def _retry_after(self) -> dict[str, str]:
        value = self._wait or self._headers.get("retry-after", "")
        return {"retry-after": value} if value else {}

    # -- streaming --------------------------------------------------------------------------------------------

    def _pass_on(self, out: bytes, end: bool, now: float) -> list[Effect]:
        failure = self._retelling.failed
        if failure and (self._retelling.broke_off or not self._retelling.same or failure.odd):
            return self._break(self._said(failure), now, first=out)
        if failure:  # the vendor's own error event, in the client's dialect already
            self._trouble = self._said(failure)
            out = self._scrubbed_bytes(out)
            self._mark(now)
        if end:
            return [Send(out, end=True), *self._done(now, status=200)]
        return [Send(out)] if out else []

    def _break(self, trouble: str, now: float, *, first: bytes = b"") -> list[Effect]:
        """The stream went wrong after content, by the candidate's doing."""
        self._mark(now)
        return self._end_with(trouble, now, first=first)

    def _mark(self, now: float) -> None:
        """The client asks again, and had better be answered by somebody else. To Envoy it was a 200."""
        self._broke = True
        _leave_alone(self._gateway, self._exchange, self._candidate, now, _IN_AN_ANSWER)

    def _next_look(self, silent: float, now: float) -> float:
        """Seconds until the client is to hear a ping, or that nothing more comes, or that its time is up.

        A look that comes while the provider speaks finds when the next one is due, so that no event has to move it.
        """
        exchange = self._exchange
        ping = PING_AFTER - silent if silent < PING_AFTER else PING_AFTER
        return max(0.0, min(ping, exchange.plan.failover.stall_timeout - silent, exchange.left(now)))

    def _end_with(self, trouble: str, now: float, *, first: bytes = b"") -> list[Effect]:
        """Say what went wrong in the client's dialect, and end the stream cleanly."""
        if self._trouble:  # the client has been told already
            return [Send(first, end=True), *self._done(now, status=200)]
        self._trouble = f"archgw: {self._candidate.label}: {trouble}"
        event = self._exchange.dialect.render_error_event(Failure(502, "api_error", self._trouble))
        return [Send(first + event, end=True), *self._done(now, status=200)]

    def _on_tick(self, now: float) -> list[Effect]:
        limit = self._exchange.patience
        if self._state == "streaming":
            silent, longest = now - self._heard, self._exchange.plan.failover.stall_timeout
            if self._exchange.left(now) <= 0:
                return self._break(f"was not done within {self._exchange.plan.listener.timeout:g} s", now)
            if silent >= longest:
                return self._break(f"fell silent for {longest:g} s", now)
            quiet = silent >= PING_AFTER
            wake = Wake(self._next_look(silent, now))
            return [Send(_PING), wake] if quiet else [wake]
        if now - self._begun < limit:
            return [Wake(limit - (now - self._begun))]
        what = "content" if self._exchange.conversation.stream else "whole answer"
        return self._fail(f"gave no {what} within {limit:g} s", now, status=504)

    def _on_gone(self, now: float) -> list[Effect]:
        cut = self._state == "streaming"
        if not cut and self._candidate.id in self._exchange.asked:  # else it was waited for another's answer
            self._status = GONE  # the client's doing as a rule, and not held against the candidate
            self._keep_attempt(f"was cut off after {now - self._begun:.1f} s", now)
            if self._exchange.conversation.stream:
                self._gateway.paces.left(self._candidate.id, now - self._begun, now)
        self._state = "done"
        self._exchange.active -= 1
        self._exchange.touched = now
        if cut:
            self._exchange.cut = self._record(now, status=GONE, error="the stream was cut before its end").outcome
            if self._exchange.torn == self._number:
                _blame(self._gateway, self._exchange, self._candidate, now)
        return []

    # -- keeping ----------------------------------------------------------------------------------------------

    def _commit(self, now: float) -> None:
        self._state = "streaming"
        self._first_content = now
        self._keep_attempt("", now)
        if self._exchange.conversation.stream and self._exchange.intent.kind in kinds.TURNS:
            self._gateway.paces.began(self._candidate.id, now - self._begun, now)
        self._pin(self._candidate.id)

    def _pin(self, candidate: str) -> None:
        """Who stepped in finishes the turn."""
        decision, session = self._exchange.decision, self._exchange.session
        if self._exchange.intent.kind in kinds.TURNS and decision.lane == "routed":
            self._gateway.sessions.set_pin(session, Pin(decision.route.id, candidate, decision.score))

    def _keep_attempt(self, trouble: str, now: float) -> None:
        exchange, candidate = self._exchange, self._candidate
        self._gateway.paces.over(self._name)
        told = AttemptOutcome(
            candidate.label,
            self._status,
            trouble[:MAX_TOLD],
            seconds=now - self._begun,
            brief=self._brief if trouble else "",
            began=self._begun - exchange.started,
            provider=candidate.provider.name,
            model=candidate.model,
            host=candidate.address.host,
            port=candidate.address.port,
        )
        exchange.attempts.append(told)

    def _said(self, failure: Failure | ReplyFailed) -> str:
        """The provider's words for the client and for `archgw why`; for everything else, what kind of failure it is."""
        answered = f"answered {self._status}" if self._status != 200 else "failed"
        self._brief = f"{answered} ({failure.kind})"
        return self._scrubbed(failure.message)

    def _scrubbed_bytes(self, said: bytes) -> bytes:
        return self._scrubbed(said.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def _scrubbed(self, words: str) -> str:
        return scrubbed(words, self._candidate.key.value if self._candidate.key else "")

    def _done(self, now: float, *, status: int, error: str = "") -> list[Effect]:
        self._state = "done"
        self._exchange.active -= 1
        self._gateway.exchanges.drop(self._exchange.id)
        if status == 200 and not self._trouble:
            self._measure(now)
        return [self._record(now, status=status, error=error or self._trouble)]

    def _measure(self, now: float) -> None:
        """How fast it answered. Side requests are short, and say nothing of a turn."""
        paces, tokens, exchange = self._gateway.paces, self._retelling.usage.output, self._exchange
        if self._first_content is None or exchange.intent.kind not in kinds.TURNS:
            return
        if exchange.conversation.stream:
            paces.streamed(self._candidate.id, tokens, now - self._first_content, now)
        else:
            paces.whole(self._candidate, tokens, now - self._begun, now)

    def _record(self, now: float, *, status: int, error: str = "") -> Record:
        cost, baseline = self._bill(now, "left" if status == GONE else "broken" if error else "whole")
        return Record(
            self._exchange.outcome(
                now=now,
                status=status,
                served=self._candidate.label if self._first_content is not None else "",
                usage=self._retelling.usage,
                first_content=self._first_content,
                error=error,
                brief=self._brief if error else "",
                warnings=self._warnings,
                ask=self._gateway.show_asks,
                cost=cost,
                baseline=baseline,
                signal=self._signal(),
                model_told=self._retelling.model,
            )
        )

    def _signal(self) -> signals.Signal | None:
        if self._first_content is None or self._exchange.intent.kind not in kinds.TURNS:
            return None
        return signals.of_answer(self._retelling.ended, declined=self._retelling.declined, broke=self._broke)

    def _bill(self, now: float, ended: Ended) -> tuple[float | None, float | None]:
        """What it cost, and what the baseline would have."""
        if self._first_content is None:
            return None, None
        gateway, exchange = self._gateway, self._exchange
        at = exchange.wall + now - exchange.started
        return settle(
            gateway.sessions,
            gateway.spending,
            exchange,
            self._candidate,
            self._retelling.usage,
            baseline=exchange.plan.baseline,
            at=at,
            ended=ended,
        )

    def _reply_headers(self) -> dict[str, str]:
        exchange = self._exchange
        before = [a for a in exchange.attempts if a.trouble]
        reason = "".join([exchange.decision.reason, *(f"; {a.candidate} {a.trouble}" for a in before)])
        headers = {
            "x-arch-model": header_value(self._candidate.label),
            "x-arch-route": header_value(exchange.decision.name),
            "x-arch-reason": header_value(reason[:700]),
            "x-arch-attempts": str(exchange.tried - exchange.passed),
            "x-arch-request-id": exchange.id,
        }
        if exchange.keep:
            headers["x-arch-cache"] = exchange.keep.terms.mark
        if self._warnings:
            headers["x-arch-warnings"] = header_value("; ".join(self._warnings)[:700])
        return headers

    @property
    def _warnings(self) -> tuple[str, ...]:
        return (*self._exchange.budgets, *self._upstream.warnings)

    def _kept_back(self) -> tuple[str, ...]:
        return upstream.kept_back(self._headers, self._candidate, same=self._retelling.same)


def tear(gateway: Gateway, attempt: str, now: float) -> None:
    """Envoy says of this attempt, by the name that its `Ask` gave it, that the provider tore its stream.

    It says so a moment before or after the attempt's own stream ends, which looks the same when the client leaves.
    """
    id, _, number = attempt.partition("/")
    exchange = gateway.exchanges.get(id)
    if exchange is None or str(exchange.tried) != number:
        return  # the next one is being asked already
    exchange.torn = exchange.tried
    if exchange.cut:
        _blame(gateway, exchange, _served(exchange), now)


def _served(exchange: Exchange) -> Candidate:
    last = exchange.attempts[-1].candidate
    return next(one for one in exchange.decision.chain.candidates if one.label == last)


def _blame(gateway: Gateway, exchange: Exchange, candidate: Candidate, now: float) -> None:
    assert exchange.cut is not None
    trouble = "tore the connection"
    told = tuple((about, "error" if signal == "unfinished" else signal) for about, signal in exchange.cut.signals)
    exchange.cut = replace(exchange.cut, status=200, error=f"archgw: {candidate.label}: {trouble}", signals=told)
    broke_off(gateway.sessions, exchange)
    _leave_alone(gateway, exchange, candidate, now, _IN_AN_ANSWER)


def _leave_alone(gateway: Gateway, exchange: Exchange, candidate: Candidate, now: float, why: str) -> None:
    gateway.paces.failed(candidate.id, 0.0, now)
    seconds = min(COOL_FOR, exchange.plan.failover.cool_at_most)
    if seconds:
        gateway.cooling.cool(candidate.id, now + seconds, why)
