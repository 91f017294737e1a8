"""The second hop: one try at one candidate. Pure: events in, effects out.

    asking --headers--> judging --first content--> streaming --end--> done
       \\                   \\-- anything else: failed, Envoy takes the next candidate
        \\-- no answer in time: failed

Nothing of an answer reaches the client before its first content; after it there is no going back. What is judged is
`judging`'s to say, what streams is `streaming`'s; here are the question, and the ways out.
"""

from dataclasses import replace

from router_service import answers, no_answer, refusals, torn, upstream
from router_service.cached_answers import Copy, replay
from router_service.caching import Entry, Keeping
from router_service.cooling import pause
from router_service.effects import Ask, Effect, Look, Proceed, Release, Respond, Send, Wake, error_reply, header_value
from router_service.events import (
    Event,
    Found,
    Gone,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    Tick,
)
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.judging import Begun, Failed, Full, Judge, Judgement, Refused, Unfit, Whole
from router_service.outcome import GONE
from router_service.plan import Candidate
from router_service.progress import Progress
from router_service.retelling import Retelling
from router_service.streaming import Stream
from router_service.verdict import EVENT_STREAM, is_json, scrubbed_bytes, seconds_until

PASSED_OVER = 429  # a server's error would count against the candidate, whichever header says to go on


class Attempt:
    def __init__(self, gateway: Gateway, exchange: Exchange, candidate: Candidate, now: float) -> None:
        self._gateway, self._exchange, self._candidate = gateway, exchange, candidate
        torn.came_back(gateway, exchange, now)
        dialect = upstream.dialect_of(candidate, exchange.dialect.name, exchange.conversation)
        self._retelling = retelling = Retelling(exchange, candidate, dialect)
        self._progress = progress = Progress(gateway, exchange, candidate, retelling, now)
        self._judge = Judge(exchange, candidate, retelling, dialect)
        self._stream = Stream(gateway, exchange, candidate, retelling, progress)
        kept = exchange.keep and exchange.keep.first == candidate.id  # a stand-in's is not
        self._copy = Copy(exchange, candidate, retelling) if kept else None

    def feed(self, event: Event, now: float) -> list[Effect]:
        effects = self._on(event, now)
        return self._copy.noted(effects) if self._copy else effects

    def _on(self, event: Event, now: float) -> list[Effect]:
        if self._progress.state == "done":
            return [Proceed()] if isinstance(event, ResponseTrailers) else []
        streaming = self._progress.state == "streaming"
        match event:
            case RequestHeaders():
                return self._follow(now) or self._ask()
            case Found(entry):
                return self._on_found(entry, now)
            case ResponseHeaders():
                self._progress.state = "judging"
                return self._heed(self._judge.hear(event), now)
            case ResponseBody(chunk, end) if streaming:
                return self._stream.feed(chunk, now, end=end)
            case ResponseBody(chunk, end):
                return self._heed(self._judge.feed(chunk, end=end), now)
            case ResponseTrailers():
                return self._on_trailers(now)
            case Tick():
                return self._stream.on_tick(now) if streaming else self._on_tick(now)
            case Gone() if streaming:
                self._stream.on_gone(now)
            case Gone():
                self._on_gone(now)
        return []

    def give_up(self, trouble: str, now: float) -> list[Effect]:
        """An error of our own. It must not cost the user an answer: somebody else is asked."""
        if self._progress.state == "done":
            return []
        streaming = self._progress.state == "streaming"
        return self._stream.end_with(trouble, now) if streaming else self._fail(Failed(trouble), now)

    def _on_trailers(self, now: float) -> list[Effect]:
        """They end the answer in place of its last chunk; beside a reply of ours they need no answer."""
        effects = self._on(ResponseBody(b"", end=True), now)
        if any(isinstance(effect, Respond) for effect in effects):
            return effects
        return [*(Send(effect.chunk) if isinstance(effect, Send) else effect for effect in effects), Proceed()]

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
            self._progress.begun = now
            return self._ask()
        effects = replay(self._gateway.sessions, exchange, entry, now)
        if effects is None:
            return [self._look(exchange.keep, now)]
        self._progress.close()
        self._progress.pin(exchange.keep.first)
        return effects

    def _ask(self) -> list[Effect]:
        exchange, candidate, progress = self._exchange, self._candidate, self._progress
        passed = exchange.passes(candidate) or exchange.waits(candidate) or exchange.spent
        exchange.met.add(candidate.id)
        if passed and (exchange.attempts or not exchange.last_attempt):
            return self._pass_over()
        exchange.asked.append(candidate.id)
        self._gateway.paces.asked(progress.name, candidate.id, progress.begun, streamed=exchange.conversation.stream)
        sent = upstream.render(exchange, candidate)
        progress.warnings = (*exchange.budgets, *sent.warnings)
        ask = Ask(
            candidate.cluster,
            sent.headers,
            sent.body,
            candidate.identity,
            attempt=progress.name,
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
        words = exchange.attempts[-1].trouble if exchange.attempts else ""
        return self._go_on(self._progress.begun, words, failed=False)

    def _on_tick(self, now: float) -> list[Effect]:
        limit, waited = self._exchange.patience, now - self._progress.begun
        if waited < limit:
            return [Wake(limit - waited)]
        what = "content" if self._exchange.conversation.stream else "whole answer"
        return self._fail(Failed(f"gave no {what} within {limit:g} s", status=504), now)

    def _on_gone(self, now: float) -> None:
        progress = self._progress
        if self._candidate.id in self._exchange.asked:  # else it was waited for another's answer
            # The client's doing as a rule, and not held against the candidate.
            progress.keep(GONE, f"was cut off after {now - progress.begun:.1f} s", now)
            if self._exchange.conversation.stream:
                self._gateway.paces.left(self._candidate.id, now - progress.begun, now)
        progress.leave(now)

    # -- the ways out -----------------------------------------------------------------------------------------

    def _heed(self, judgement: Judgement | None, now: float) -> list[Effect]:
        match judgement:
            case Begun():
                return self._release(judgement, now)
            case Whole():
                return self._release_whole(judgement, now)
            case Full():
                return self._full(now)
            case Failed():
                return self._fail(judgement, now)
            case Unfit():
                return self._lack(judgement, now)
            case Refused():
                return self._refuse(judgement, now)
        return []

    def _release(self, begun: Begun, now: float) -> list[Effect]:
        """First content of a stream: from here on the client sees it as it comes."""
        effects = self._stream.begin(begun, now)
        return [Release(self._headers() | {"content-type": EVENT_STREAM}, self._kept_back()), *effects]

    def _release_whole(self, whole: Whole, now: float) -> list[Effect]:
        told, kind = self._retelling.tell_whole(whole.events, whole.body)
        self._progress.commit(now)
        release = Release(self._headers() | {"content-type": kind}, self._kept_back())
        return [release, Send(told, end=True), self._progress.finish(now, status=200)]

    def _full(self, now: float) -> list[Effect]:
        """Envoy has not asked, for as much is under way with the candidate as may be. That is nobody's failure."""
        exchange = self._exchange
        exchange.passed += 1
        exchange.asked.remove(self._candidate.id)
        words = "has as much under way as failover.limits allow"
        self._progress.keep(503, words, now)
        return self._go_on(now, words, failed=False)

    def _lack(self, unfit: Unfit, now: float) -> list[Effect]:
        """This one cannot take the request. Who may is asked; the client hears of it when nobody does."""
        exchange, failure, self._progress.brief = self._exchange, unfit.failure, unfit.brief
        exchange.refusal = failure
        asked = {self._candidate.label, *(attempt.candidate for attempt in exchange.attempts)}
        exchange.unfit |= {
            other.id
            for other in exchange.decision.chain.candidates
            if other.label in asked or not refusals.may_take(other, unfit.lack, failure, self._candidate)
        }
        if exchange.last_attempt or exchange.spent or all(map(exchange.passes, exchange.decision.chain.candidates)):
            return self._refuse(Refused(failure, unfit.brief, unfit.body), now)
        self._progress.keep(failure.status, unfit.words, now)
        return self._go_on(now, unfit.words, failed=False)

    def _refuse(self, refused: Refused, now: float) -> list[Effect]:
        """A genuine client error: nobody else would take the request either."""
        failure, self._progress.brief = refused.failure, refused.brief
        self._progress.keep(failure.status, failure.message, now)
        headers = self._headers()
        if self._retelling.same and is_json(self._judge.headers) and not failure.odd:
            same = scrubbed_bytes(refused.body, self._candidate.secret)
            reply = Respond(failure.status, {"content-type": "application/json", **headers}, same)
        else:
            reply = error_reply(self._exchange.dialect, failure, headers)
        return [reply, self._progress.finish(now, status=failure.status, error=failure.message)]

    def _fail(self, failed: Failed, now: float) -> list[Effect]:
        """This candidate is out: tell Envoy to go on, in words that stand should it have been the last."""
        progress = self._progress
        progress.brief = failed.brief
        progress.keep(failed.status, failed.words, now)
        self._gateway.paces.failed(self._candidate.id, now - progress.begun, now)
        self._cool(failed.status, now)
        exchange, budget = self._exchange, self._exchange.plan.failover.limits.retry_budget
        ended = exchange.last_attempt or exchange.spent
        if not ended and not self._gateway.exchanges.may_ask_again(exchange, budget):
            exchange.over = "too many others are at a second try (failover.limits.retry_budget)"
        return self._go_on(now, failed.words)

    def _cool(self, status: int, now: float) -> None:
        """The vendor wants to be left alone for a while: others are asked before it."""
        failover = self._exchange.plan.failover
        told = seconds_until(self._judge.wait, self._exchange.wall + now - self._exchange.started)
        seconds = pause(status, told, usually=failover.cool_for, at_most=failover.cool_at_most)
        if seconds:
            self._gateway.cooling.cool(self._candidate.id, now + seconds, f"answered {status}")

    def _go_on(self, now: float, words: str, *, failed: bool = True) -> list[Effect]:
        """Envoy takes the next candidate, in words that stand should there be none."""
        last = self._exchange.last_attempt
        headers = self._headers() | self._retry_after()
        reply = error_reply(self._exchange.dialect, no_answer.failure(self._exchange), headers)
        reply = replace(reply, retry=failed, next=not failed and not last)
        if last:
            return [reply, self._progress.finish(now, status=reply.status, error=words)]
        self._progress.leave(now)  # who is told to go on and does not, for failover.limits, shows it as it is
        return [reply if failed else replace(reply, status=PASSED_OVER)]

    def _headers(self) -> dict[str, str]:
        return answers.model_headers(self._exchange, self._candidate, self._progress.warnings)

    def _kept_back(self) -> tuple[str, ...]:
        return upstream.kept_back(self._judge.headers, self._candidate, same=self._retelling.same)

    def _retry_after(self) -> dict[str, str]:
        value = self._judge.wait or self._judge.headers.get("retry-after", "")
        return {"retry-after": value} if value else {}
