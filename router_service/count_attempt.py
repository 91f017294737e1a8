"""The second hop of a question for tokens: the vendor counts, and where he cannot, we estimate. Pure, as `attempt`."""

from router_service import answers, upstream
from router_service.dialects import DIALECTS
from router_service.effects import Ask, Effect, Proceed, Respond, Wake, error_reply
from router_service.events import Event, Gone, RequestHeaders, ResponseBody, ResponseHeaders, ResponseTrailers, Tick
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.inflate import Inflater
from router_service.plan import Candidate
from router_service.verdict import in_words, json_object, lacks_model

MAX_ANSWER = 256 * 1024  # bytes
_REFUSALS = frozenset({400, 413, 422})  # the request's own: whoever counts would refuse it


class CountAttempt:
    """A failure costs nobody the answer and counts against nobody: what is left is the estimate."""

    def __init__(self, gateway: Gateway, exchange: Exchange, candidate: Candidate) -> None:
        self._gateway, self._exchange, self._candidate = gateway, exchange, candidate
        self._status, self._details = 0, ""
        self._inflater = Inflater("")
        self._held = bytearray()
        self._done = False
        exchange.active += 1

    def feed(self, event: Event, now: float) -> list[Effect]:
        if self._done:
            return [Proceed()] if isinstance(event, ResponseTrailers) else []
        try:
            return self._on(event)
        except ValueError as error:
            return self.give_up(str(error), now)

    def give_up(self, trouble: str, now: float) -> list[Effect]:
        return [] if self._done else self._estimate(trouble)

    def _on(self, event: Event) -> list[Effect]:
        match event:
            case RequestHeaders():
                return self._ask()
            case ResponseHeaders(status, headers, end, details):
                self._status, self._details = status, details
                self._inflater = Inflater(headers.get("content-encoding", ""))
                return self._judge() if end else []
            case ResponseBody(chunk, end):
                self._held += self._inflater.feed(chunk)
                if len(self._held) > MAX_ANSWER:
                    return self._estimate("answered more than a number")
                return self._judge() if end else []
            case ResponseTrailers():
                return self._judge()
            case Tick():
                return self._estimate(f"gave no number within {self._exchange.patience:g} s")
            case Gone():
                self._end()
        return []

    def _ask(self) -> list[Effect]:
        if not self._candidate.counts:
            return self._estimate("")
        asked = upstream.render_count(self._exchange, self._candidate)
        ask = Ask(self._candidate.cluster, asked.headers, asked.body, self._candidate.identity)
        return [ask, Wake(self._exchange.patience)]

    def _judge(self) -> list[Effect]:
        body = bytes(self._held)
        if self._details and not self._details.startswith("via_upstream"):
            return self._estimate(in_words(self._details, body))
        if self._status != 200:
            failure = DIALECTS[self._candidate.counts].parse_error(self._status, body)
            if self._status in _REFUSALS and not lacks_model(failure):
                self._end()
                return [error_reply(self._exchange.dialect, failure, self._headers(f"refused by {self._label}"))]
            return self._estimate(f"answered {self._status} ({failure.message})")
        tokens = _number(body)
        if tokens is None:
            return self._estimate("sent something that is no number of tokens")
        return self._answer(tokens, {}, f"counted by {self._label}")

    def _estimate(self, trouble: str) -> list[Effect]:
        tokens = answers.estimate(self._exchange.conversation, self._candidate)
        reason = answers.estimated(self._candidate, trouble)
        return self._answer(tokens, answers.ESTIMATE, reason)

    def _answer(self, tokens: int, marked: dict[str, str], reason: str) -> list[Effect]:
        self._end()
        counted = answers.counted(self._exchange.dialect, tokens)
        return [Respond(200, self._headers(reason) | marked | counted.headers, counted.body)]

    def _headers(self, reason: str) -> dict[str, str]:
        return answers.count_headers(self._candidate, reason, self._exchange.id)

    @property
    def _label(self) -> str:
        return self._candidate.label

    def _end(self) -> None:
        self._done = True
        self._exchange.active -= 1
        self._gateway.exchanges.drop(self._exchange.id)


def _number(body: bytes) -> int | None:
    try:
        tokens = json_object(body).get("input_tokens")
    except ValueError:
        return None
    return tokens if isinstance(tokens, int) else None
