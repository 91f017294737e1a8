"""An answer on its way into the cache, and out of it: told as the client wants it, paid for once. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from router_service import kinds, pricing
from router_service.caching import HEADER, LARGEST, Entry
from router_service.conversation import ReplyEvent, ThinkingDelta
from router_service.detectors import retried
from router_service.dialects.dialect import Addressee
from router_service.effects import Effect, Keep, Record, Release, Respond, Send, header_value
from router_service.exchange import Exchange
from router_service.outcome import Outcome
from router_service.plan import Candidate
from router_service.provenance import opened
from router_service.retelling import Retelling
from router_service.session import Served, Sessions, main_thread
from router_service.sse import EventDecoder
from router_service.verdict import EVENT_STREAM, json_object, wants_usage

_ASKED_AGAIN = ("retried", "re-ask")  # what the cache is for, and no fault of the answer before
_SEALED_IN_PLACE = "anthropic_messages"  # elsewhere our seal stands within an item, which its reader hands on whole
_WHOLE = ("end", "stop_sequence", "tool_calls")  # the ends of an answer that says all that it had to say


class Copy:
    """What the client of an attempt gets, as it gets it. One is made where the candidate's answer may be kept."""

    def __init__(self, exchange: Exchange, candidate: Candidate, retelling: Retelling) -> None:
        self._exchange, self._candidate, self._retelling = exchange, candidate, retelling
        self._chunks: list[bytes] = []
        self._size = 0
        self._content_type = ""

    def noted(self, effects: list[Effect]) -> list[Effect]:
        """The effects, and with the last of them that the answer is to be kept, where it is whole and good."""
        for effect in effects:
            match effect:
                case Release(headers):
                    self._content_type = headers["content-type"]
                case Send(chunk):
                    self._size += len(chunk)
                    self._chunks.append(chunk)
                    if self._size > LARGEST:
                        self._chunks.clear()
        return [told for effect in effects for told in self._with_keep(effect)]

    def _with_keep(self, effect: Effect) -> Iterator[Effect]:
        """Before it is told that the request has ended, for others wait for that."""
        keep = self._exchange.keep
        if keep and isinstance(effect, Record) and self._is_good(effect.outcome):
            yield Keep(keep.key, self._entry(effect.outcome))
        yield effect

    def _is_good(self, outcome: Outcome) -> bool:
        keep, ended = self._exchange.keep, self._retelling.ended
        served = keep is not None and outcome.model_served
        whole = ended is not None and ended.reason in _WHOLE and not self._retelling.declined
        kept = 0 < self._size <= LARGEST
        return bool(kept and served and whole and outcome.status == 200 and not outcome.error)

    def _entry(self, outcome: Outcome) -> Entry:
        keep = self._exchange.keep
        assert keep is not None
        at = outcome.started + outcome.duration
        return Entry(
            at=at,
            until=at + keep.terms.ttl,
            model=self._candidate.label,
            maker=self._candidate.maker,
            form=keep.form,
            content_type=self._content_type,
            body=b"".join(self._chunks),
            usage=outcome.usage,
            warnings=tuple(told for told in outcome.warnings if told not in self._exchange.budgets),
            model_told=outcome.model_told,
        )


def replay(sessions: Sessions, exchange: Exchange, entry: Entry, now: float) -> list[Effect] | None:
    """The answer to a request of which the cache holds the answer; None where it holds none in the form that is wanted,
    and cannot tell what it holds in that: from then on the exchange looks beside it. The session learns that it was
    answered, and what was saved; no model has read anything."""
    again = told(exchange, entry)
    if again is None:
        exchange.keep = exchange.keep.beside(entry) if exchange.keep else None
        return None
    body, content_type = again
    at = exchange.wall + now - exchange.started
    age = max(0, int(at - entry.at))
    reason = f"from the cache, answered {age} s ago by {entry.model}"
    saved = _spared(exchange, entry)
    _remember(sessions, exchange, entry, reason, saved, at)
    warnings = (*exchange.budgets, *entry.warnings)
    headers = {
        "content-type": content_type,
        "x-arch-model": header_value(entry.model),
        "x-arch-route": header_value(exchange.decision.name),
        "x-arch-reason": header_value(reason),
        "x-arch-attempts": "0",
        "x-arch-request-id": exchange.id,
        HEADER: f"hit; age={age}",
    }
    if warnings:
        headers["x-arch-warnings"] = header_value("; ".join(warnings)[:700])
    outcome = exchange.outcome(now=now, status=200, served=entry.model, warnings=warnings, cost=0.0, baseline=saved)
    unseen = replace(outcome.trace, seen=None)  # no model has answered, so that silence speaks for none
    said = tuple(told for told in outcome.signals if told[1] not in _ASKED_AGAIN)
    outcome = replace(outcome, reason=reason, cache="hit", model_told=entry.model_told, signals=said, trace=unseen)
    return [Record(outcome), Respond(200, headers, body)]


def told(exchange: Exchange, entry: Entry) -> tuple[bytes, str] | None:
    """The answer in the form that this client wants, and its content type: in the same form to the byte what the first
    one got. None where its maker's state of reasoning would not survive that."""
    keep, conversation, dialect = exchange.keep, exchange.conversation, exchange.dialect
    if keep and keep.form == entry.form:
        return entry.body, entry.content_type
    to = Addressee(
        model=conversation.model,
        include_usage=wants_usage(conversation),
        created=int(entry.at),
        maker=entry.maker,
        plain=frozenset(tool.name for tool in conversation.tools if tool.freeform),
        spaces={tool.name: tool.space for tool in conversation.tools if tool.space},
    )
    events = list(_read(exchange, entry))
    stateful = any(isinstance(event, ThinkingDelta) and event.signature for event in events)
    if stateful and dialect.name != _SEALED_IN_PLACE:
        return None
    events = list(_unsealed(events))
    if conversation.stream:
        return b"".join(map(dialect.writer(to).feed, events)), EVENT_STREAM
    reply = dialect.render_reply(events, to)
    return json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"), "application/json"


def _read(exchange: Exchange, entry: Entry) -> Iterable[ReplyEvent]:
    if not entry.form:
        yield from exchange.dialect.parse_reply(json_object(entry.body))
        return
    reader = exchange.dialect.reader()
    for sse in EventDecoder().feed(entry.body):
        yield from reader.feed(sse)
    yield from reader.close()


def _unsealed(events: Iterable[ReplyEvent]) -> Iterator[ReplyEvent]:
    """They are sealed when they are told again."""
    for event in events:
        if isinstance(event, ThinkingDelta):
            yield replace(event, signature=opened(event.signature)[1])
        else:
            yield event


def _spared(exchange: Exchange, entry: Entry) -> float | None:
    """Dollars that the same would have cost on the baseline model; None where nobody knows."""
    baseline = exchange.plan.baseline
    return pricing.cost(baseline.price if baseline else None, entry.usage, at=exchange.wall)


def _remember(
    sessions: Sessions, exchange: Exchange, entry: Entry, reason: str, saved: float | None, at: float
) -> None:
    for key in {exchange.session, main_thread(exchange.session)}:
        session = sessions.get(key)
        if saved is not None:
            session = session.paid(0.0, saved)
        if key == exchange.session and exchange.intent.kind in kinds.TURNS:
            opens_turn = exchange.intent.kind == "user turn"
            session = session.told(_served(exchange, entry, reason, at), opens_turn=opens_turn)
        sessions.put(key, session)


def _served(exchange: Exchange, entry: Entry, reason: str, at: float) -> Served:
    return Served(
        model=entry.model,
        route=exchange.decision.name,
        reason=reason,
        kind=exchange.intent.kind,
        request=exchange.id,
        attempts=0,
        at=at,
        prompt=exchange.prompt,
        turn=retried.mark(exchange.conversation, exchange.intent.asked),
        caller=exchange.caller,
    )
