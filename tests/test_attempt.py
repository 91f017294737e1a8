"""One try at one candidate, as a dialogue: what Envoy says, what is to be done about it."""

import gzip
import json
from collections.abc import Iterable
from typing import NoReturn

import pytest
from dialogue import (
    A_CLOSE,
    A_DELTA,
    A_ERROR,
    A_OPEN,
    A_START,
    A_STOP,
    A_TEXT,
    ANTHROPIC_EVENTS,
    CHAT,
    CLAUDE,
    DEEPSEEK,
    GPT,
    JSON,
    MESSAGES,
    O_DONE,
    O_ERROR,
    O_FINISH,
    O_ROLE,
    O_TEXT,
    OPENAI_EVENTS,
    STREAM,
    THREE,
    anthropic_event,
    anthropic_message,
    attempt_of,
    exchange_of,
    gateway_of,
    has_ended,
    one,
    openai_completion,
    recorded,
    refusal,
    request,
    sent,
)

from router_service.attempt import Attempt
from router_service.config import Failover
from router_service.conversation import Usage
from router_service.dialects.anthropic_messages import AnthropicMessages
from router_service.effects import Ask, Effect, Proceed, Record, Release, Respond, Send, Wake
from router_service.events import Event, Gone, RequestHeaders, ResponseBody, ResponseHeaders, ResponseTrailers, Tick
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.judging import MAX_ERROR, MAX_HELD_STREAM
from router_service.outcome import Outcome
from router_service.retelling import MAX_HELD
from router_service.session import Pin
from router_service.shell.journal import Journal
from router_service.shell.request_log import facts
from router_service.shell.router_api import told as shown
from router_service.sse import EventDecoder
from router_service.streaming import PING_AFTER
from router_service.torn import COOL_FOR, tear

PATHS = {"anthropic": MESSAGES, "openai": CHAT}
EVENTS = {CLAUDE: ANTHROPIC_EVENTS, GPT: OPENAI_EVENTS}
ERRORS = {CLAUDE: A_ERROR, GPT: O_ERROR}
PAIRS = [
    pytest.param(MESSAGES, CLAUDE, id="same, anthropic"),
    pytest.param(CHAT, GPT, id="same, openai"),
    pytest.param(MESSAGES, GPT, id="translated to anthropic"),
    pytest.param(CHAT, CLAUDE, id="translated to openai"),
]
SAME, TRANSLATED = PAIRS[:2], PAIRS[2:]


class Story:
    """One request for `model`, its attempts, and everything that was to be done about them."""

    def __init__(self, model: str, *, path: str = MESSAGES, config: str = THREE, **fields: object) -> None:
        self.gateway: Gateway = gateway_of(config)
        self.exchange: Exchange = exchange_of(self.gateway, model=model, path=path, **fields)
        self.effects: list[Effect] = []
        self.attempt: Attempt = attempt_of(self.gateway, self.exchange)

    def next(self, label: str, *, at: float = 0.0) -> None:
        self.attempt = attempt_of(self.gateway, self.exchange, label, at=at)

    def tell(self, *events: Event | bytes, at: float = 1.0) -> list[Effect]:
        """What is to be done about these; bytes are chunks of the answer."""
        told = [ResponseBody(event) if isinstance(event, bytes) else event for event in events]
        fresh = [effect for event in told for effect in self.attempt.feed(event, at)]
        self.effects += fresh
        return fresh

    @property
    def outcome(self) -> Outcome:
        """The one that was recorded."""
        (outcome,) = [effect.outcome for effect in self.effects if isinstance(effect, Record)]
        return outcome

    @property
    def over(self) -> bool:
        """Nothing is kept of the exchange, and nobody works on it."""
        return self.gateway.exchanges.get(self.exchange.id) is None and self.exchange.active == 0


END = ResponseBody(b"", end=True)


def streamed(path: str, model: str, **more: str) -> Story:
    """A story that is past its first content."""
    story = Story(model, path=path, stream=True, **more)
    story.tell(STREAM, *EVENTS[model][: EVENTS[model].index(A_TEXT if model == CLAUDE else O_TEXT) + 1])
    assert one(story.effects, Release)
    return story


# -- asking --------------------------------------------------------------------------------------------------------


def test_the_provider_is_asked_and_a_timer_set() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=GPT)
    asked, wake = Attempt(gateway, exchange, exchange.decision.first, 0.0).feed(RequestHeaders({}), 0.0)
    assert isinstance(asked, Ask)
    assert asked.cluster.startswith("provider.openai-gpt-4o-mini.")
    assert asked.headers[":path"] == "/v1/chat/completions"
    assert json.loads(asked.body)["model"] == "gpt-4o-mini"
    assert wake == Wake(300.0)


def test_a_stream_has_less_time_to_its_first_content_than_a_whole_answer_to_its_end() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=GPT, stream=True)
    _, wake = Attempt(gateway, exchange, exchange.decision.first, 0.0).feed(RequestHeaders({}), 0.0)
    assert wake == Wake(60.0)


def test_an_attempt_under_way_is_counted() -> None:
    story = Story(GPT)
    assert (story.exchange.tried, story.exchange.active) == (1, 1)


# -- judging: nothing is released before content -------------------------------------------------------------------


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_a_stream_is_held_until_its_first_content(path: str, model: str) -> None:
    story = Story(model, path=path, stream=True)
    content = A_TEXT if model == CLAUDE else O_TEXT
    before = EVENTS[model][: EVENTS[model].index(content)]
    assert story.tell(STREAM, *before) == []
    release, first, wake = story.tell(content)
    assert isinstance(release, Release)
    assert isinstance(first, Send) and not first.end
    assert wake == Wake(PING_AFTER)


@pytest.mark.parametrize(("path", "model"), SAME)
@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["byte by byte", "in sevens", "at once"])
def test_in_the_same_dialect_bytes_pass_untouched(path: str, model: str, size: int) -> None:
    story = Story(model, path=path, stream=True)
    whole = b"".join(EVENTS[model])
    story.tell(STREAM, *(whole[at : at + size] for at in range(0, len(whole), size)), END)
    assert sent(story.effects) == whole
    assert has_ended(story.effects) and story.over


@pytest.mark.parametrize(("path", "model"), TRANSLATED)
@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["byte by byte", "in sevens", "at once"])
def test_a_stream_is_translated_however_it_is_cut(path: str, model: str, size: int) -> None:
    story = Story(model, path=path, stream=True)
    whole = b"".join(EVENTS[model])
    story.tell(STREAM, *(whole[at : at + size] for at in range(0, len(whole), size)), END)
    said = sent(story.effects)
    assert said.count(b'"text":"hi"' if path == MESSAGES else b'"content":"hi"') == 1
    assert said.endswith(b'data: {"type":"message_stop"}\n\n' if path == MESSAGES else b"data: [DONE]\n\n")
    assert has_ended(story.effects) and story.over


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_a_streaming_provider_may_answer_a_client_that_does_not_stream(path: str, model: str) -> None:
    story = Story(model, path=path)
    effects = story.tell(STREAM, *EVENTS[model], END)
    release = one(effects, Release)
    assert release and release.headers["content-type"] == "application/json"
    reply = json.loads(sent(effects))
    assert (reply["content"][0]["text"] if path == MESSAGES else reply["choices"][0]["message"]["content"]) == "hi"
    assert has_ended(effects) and story.over


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_a_whole_answer_may_go_to_a_client_that_streams(path: str, model: str) -> None:
    story = Story(model, path=path, stream=True)
    whole = anthropic_message({"type": "text", "text": "hi"}) if model == CLAUDE else openai_completion()
    effects = story.tell(JSON, ResponseBody(json.dumps(whole).encode(), end=True))
    release = one(effects, Release)
    assert release and release.headers["content-type"].startswith("text/event-stream")
    assert sent(effects).startswith(b"event: message_start" if path == MESSAGES else b"data: ")
    assert b'"hi"' in sent(effects)
    assert has_ended(effects) and story.over


@pytest.mark.parametrize(("path", "model"), SAME)
def test_a_whole_answer_in_the_same_dialect_is_untouched(path: str, model: str) -> None:
    story = Story(model, path=path)
    whole = anthropic_message({"type": "text", "text": "hi"}) if model == CLAUDE else openai_completion()
    odd = json.dumps(whole | {"news": "ü\n"}, indent=3).encode()
    effects = story.tell(JSON, odd[:9], ResponseBody(odd[9:], end=True))
    assert sent(effects) == odd


CLAUDE_CODE = {"user-agent": "claude-cli/2.1.197 (external, cli)"}


@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["byte by byte", "in sevens", "at once"])
def test_claude_code_is_told_the_name_that_it_asked_for(size: int) -> None:
    """What was thought under another name it would not give back."""
    story = Story(CLAUDE, stream=True, given=CLAUDE_CODE)
    whole = b"".join(ANTHROPIC_EVENTS)
    story.tell(STREAM, *(whole[at : at + size] for at in range(0, len(whole), size)), END)
    asked = json.dumps(story.exchange.conversation.model).encode()
    assert sent(story.effects) == whole.replace(b'"model": "m"', b'"model": ' + asked) != whole


def test_claude_code_is_told_so_in_a_whole_answer_too() -> None:
    story = Story(CLAUDE, given=CLAUDE_CODE)
    reply = anthropic_message({"type": "text", "text": "hi"}) | {"model": "claude-sonnet-4-5-20250929"}
    effects = story.tell(JSON, ResponseBody(json.dumps(reply).encode(), end=True))
    assert json.loads(sent(effects)) == reply | {"model": story.exchange.conversation.model}


def test_a_compressed_answer_is_inflated() -> None:
    story = Story(CLAUDE, stream=True)
    head = ResponseHeaders(200, {"content-type": "text/event-stream", "content-encoding": "gzip"})
    effects = story.tell(head, ResponseBody(gzip.compress(b"".join(ANTHROPIC_EVENTS)), end=True))
    release = one(effects, Release)
    assert release and "content-encoding" in release.remove
    assert sent(effects) == b"".join(ANTHROPIC_EVENTS)


# -- what a candidate is out for -----------------------------------------------------------------------------------

FIRST_IS_OUT: dict[str, tuple[list[Event | bytes], str]] = {
    "401": ([*refusal(401)], "answered 401 (words of a 401)"),
    "402": ([*refusal(402)], "answered 402"),
    "403": ([*refusal(403)], "answered 403"),
    "404": ([*refusal(404)], "answered 404"),
    "408": ([*refusal(408)], "answered 408"),
    "429": ([*refusal(429)], "answered 429"),
    "500": ([*refusal(500)], "answered 500"),
    "529": ([*refusal(529)], "answered 529"),
    "302": ([*refusal(302)], "answered 302"),
    "204 without a body": ([ResponseHeaders(204, {}, end=True)], "answered 204"),
    "a 400 about a model that is gone": (
        [*refusal(400, {"error": {"message": "Model Not Exist"}})],
        "answered 400 (Model Not Exist)",
    ),
    "never reached": (
        [
            ResponseHeaders(503, {}, details="upstream_reset_before_response_started{connection_timeout}"),
            ResponseBody(b"upstream connect error", end=True),
        ],
        "could not be reached in time",
    ),
    "an error as its first event": ([STREAM, A_ERROR, END], "too many"),
    "an error after its start": ([STREAM, A_START, A_OPEN, A_ERROR, END], "too many"),
    "an end without content": ([STREAM, A_START, A_DELTA, A_STOP, END], "sent an empty answer"),
    "a stream of nothing": ([STREAM, END], "ended before the answer did"),
    "an end before its answer did": ([STREAM, A_START, A_OPEN, END], "ended before the answer did"),
    "events that are none": ([STREAM, b"data: {]\n\n", END], "no event of its API"),
    "a page instead of JSON": (
        [ResponseHeaders(200, {"content-type": "text/html"}), b"<html>hello</html>", END],
        "no answer of its API",
    ),
    "truncated JSON": ([JSON, b'{"type": "message", "cont', END], "no answer of its API"),
    "JSON of no message": ([JSON, b"[1]", END], "no answer of its API"),
    "an empty message": ([JSON, json.dumps(anthropic_message()).encode(), END], "sent an empty answer"),
    "a compression that nobody asked for": (
        [ResponseHeaders(200, {"content-type": "application/json", "content-encoding": "br"})],
        "compressed its answer as 'br'",
    ),
    "a compression that it is not": (
        [ResponseHeaders(200, {"content-type": "application/json", "content-encoding": "gzip"}), b"not gzip"],
        "does not inflate",
    ),
    "an endless error": ([ResponseHeaders(500, {}), b"x" * (MAX_ERROR + 1)], "more than the gateway can hold"),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("told", "words"), FIRST_IS_OUT.values(), ids=FIRST_IS_OUT.keys())
def test_the_next_candidate_is_asked_for(told: list[Event | bytes], words: str, stream: bool) -> None:
    story = Story(CLAUDE, stream=stream)
    effects = story.tell(*told)
    (reply,) = effects
    assert isinstance(reply, Respond) and reply.retry
    assert words in json.loads(reply.body)["error"]["message"]
    assert story.gateway.exchanges.get(story.exchange.id) is story.exchange, "the next attempt needs it"
    assert story.exchange.active == 0


def test_a_stream_that_breaks_off_is_out_when_the_client_wants_it_whole() -> None:
    story = Story(CLAUDE)
    (reply,) = story.tell(STREAM, A_START, A_OPEN, A_TEXT, END)
    assert isinstance(reply, Respond) and reply.retry


def test_a_stream_of_comments_alone_is_out() -> None:
    story = Story(CLAUDE, stream=True)
    (reply,) = story.tell(STREAM, b": ping\n\n" * (MAX_HELD_STREAM // 8 + 1))
    assert isinstance(reply, Respond) and "a stream without content" in reply.body.decode()


def test_what_is_held_for_a_client_that_does_not_stream_is_bounded() -> None:
    story = Story(CLAUDE)
    assert story.tell(STREAM, A_START, A_OPEN, A_TEXT) == []
    (reply,) = story.tell(b"data: " + b"x" * MAX_HELD)
    assert isinstance(reply, Respond) and reply.retry
    assert "more than the gateway can hold" in reply.body.decode()


@pytest.mark.parametrize(
    ("fields", "events"),
    [
        pytest.param({"max_tokens": 1}, [A_START, A_DELTA, A_STOP], id="to a probe"),
        pytest.param(
            {},
            [A_START, anthropic_event("message_delta", delta={"stop_reason": "max_tokens"}), A_STOP],
            id="cut by its limit",
        ),
        pytest.param(
            {
                "messages": [
                    {"role": "user", "content": "look"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "ls", "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
                ]
            },
            [A_START, A_DELTA, A_STOP],
            id="after the results of tools",
        ),
    ],
)
def test_an_answer_may_be_empty(fields: dict[str, object], events: list[bytes]) -> None:
    story = Story(CLAUDE, stream=True, **fields)
    effects = story.tell(STREAM, *events, END)
    assert one(effects, Release)
    assert story.outcome.status == 200


# -- the client's own mistakes -------------------------------------------------------------------------------------

TOO_LONG = "prompt is too long: 130000 tokens > 128000 maximum"
GPTS_WINDOW = "This model's maximum context length is 128000 tokens. However, your messages resulted in {} tokens."
TOO_LONG_FOR_GPT = {"error": {"message": GPTS_WINDOW.format(130_000)}}
VENDORS_400 = {"type": "error", "error": {"type": "invalid_request_error", "message": "messages: odd", "more": 1}}


def test_a_400_in_the_same_dialect_is_passed_on_untouched() -> None:
    story = Story(CLAUDE)
    head, body = refusal(400, VENDORS_400)
    reply, record = story.tell(head, body)
    assert isinstance(reply, Respond) and isinstance(body, ResponseBody)
    assert (reply.status, reply.body, reply.retry) == (400, body.chunk, False)
    assert isinstance(record, Record) and story.over
    assert (story.outcome.status, story.outcome.model_served) == (400, "")


@pytest.mark.parametrize(
    ("path", "model", "kind"),
    [(CHAT, CLAUDE, "invalid_request_error"), (MESSAGES, GPT, "invalid_request_error")],
    ids=["to openai", "to anthropic"],
)
def test_a_400_is_told_in_the_clients_dialect(path: str, model: str, kind: str) -> None:
    story = Story(model, path=path)
    reply, _ = story.tell(*refusal(400, {"error": {"type": kind, "message": "messages: odd"}}))
    assert isinstance(reply, Respond) and not reply.retry
    told = json.loads(reply.body)
    assert (reply.status, told["error"]["type"], told["error"]["message"]) == (400, kind, "messages: odd")
    assert ("type" in told) == (path == MESSAGES)


def test_a_400_that_is_no_json_is_told_in_the_clients_dialect() -> None:
    story = Story(CLAUDE)
    head = ResponseHeaders(400, {"content-type": "text/html"})
    reply, _ = story.tell(head, ResponseBody(b"<html><title>Bad Request</title></html>", end=True))
    assert isinstance(reply, Respond)
    assert json.loads(reply.body)["error"]["message"] == "Bad Request"


def test_too_long_a_prompt_is_told_in_the_words_that_the_client_acts_on() -> None:
    story = Story(GPT, config="llm_providers: [{model: openai/gpt-4o-mini}]")
    reply, _ = story.tell(*refusal(400, TOO_LONG_FOR_GPT))
    assert isinstance(reply, Respond)
    assert json.loads(reply.body)["error"]["message"] == TOO_LONG


# -- what one vendor lacks and another has -------------------------------------------------------------------------

BLIND_GPT = {"error": {"message": "Invalid content type. image_url is only supported by certain models."}}
FORGED = {"error": {"message": "messages.1.content.0: Invalid `signature` in `thinking` block"}}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize(
    ("status", "said"), [(400, TOO_LONG_FOR_GPT), (400, BLIND_GPT), (413, None)], ids=["window", "eyes", "size"]
)
def test_what_one_vendor_lacks_another_is_asked_for_and_nobody_has_failed(
    status: int, said: object, path: str, stream: bool
) -> None:
    story = Story(GPT, path=path, stream=stream)
    (reply,) = story.tell(*refusal(status, said))
    assert isinstance(reply, Respond) and reply.next and not reply.retry
    assert story.exchange.active == 0 and not story.exchange.passes(story.gateway.plan.names[CLAUDE])


def test_a_smaller_window_is_not_asked() -> None:
    """Envoy does not know whose window is how large, and comes; nobody is asked there."""
    turned = """
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: groq/llama-3.3-70b-versatile}
  - {model: anthropic/claude-sonnet-4-5}
"""
    gateway = gateway_of(turned, keys={"GROQ_API_KEY": "g"})
    exchange = exchange_of(gateway, model=GPT)
    attempt = attempt_of(gateway, exchange)
    for event in refusal(400, {"error": {"message": GPTS_WINDOW.format(140_000)}}):
        effects = attempt.feed(event, 1.0)
    assert one(effects, Respond)
    passed = Attempt(gateway, exchange, gateway.plan.names["groq/llama-3.3-70b-versatile"], 1.0)
    (reply,) = passed.feed(RequestHeaders({}), 1.0)
    assert isinstance(reply, Respond) and reply.next
    third = Attempt(gateway, exchange, gateway.plan.names[CLAUDE], 1.0)
    assert isinstance(third.feed(RequestHeaders({}), 1.0)[0], Ask)


def test_where_envoy_will_not_come_again_the_refusal_is_told() -> None:
    """Of two tries the second goes to one that cannot take it either."""
    turned = """
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: groq/llama-3.3-70b-versatile}
  - {model: anthropic/claude-sonnet-4-5}
failover: {attempts: 2}
"""
    gateway = gateway_of(turned, keys={"GROQ_API_KEY": "g"})
    exchange = exchange_of(gateway, model=GPT)
    assert exchange.tries == 2
    first = attempt_of(gateway, exchange)
    for event in refusal(400, {"error": {"message": GPTS_WINDOW.format(140_000)}}):
        first.feed(event, 1.0)
    assert exchange.tries == 2, "it is what Envoy has been told"
    second = Attempt(gateway, exchange, gateway.plan.names["groq/llama-3.3-70b-versatile"], 1.0)
    reply, record = second.feed(RequestHeaders({}), 1.0)
    assert isinstance(reply, Respond) and isinstance(record, Record)
    assert (reply.status, reply.next, reply.retry, record.outcome.status) == (400, False, False, 400)


def test_when_nobody_has_a_larger_window_the_client_hears_it_at_once() -> None:
    story = Story(CLAUDE)  # the largest of the three
    words = "prompt is too long: 1300000 tokens > 200000 maximum"
    reply, _ = story.tell(*refusal(400, {"error": {"message": words}}))
    assert isinstance(reply, Respond) and not reply.next
    assert (reply.status, json.loads(reply.body)["error"]["message"]) == (400, words)


def test_too_long_a_prompt_is_told_when_those_who_could_take_it_have_failed() -> None:
    """The client then asks for less, which everybody can take; asking for as much again helps nobody."""
    story = Story(GPT)
    story.tell(*refusal(400, TOO_LONG_FOR_GPT))
    for label in (CLAUDE, DEEPSEEK):
        if story.exchange.passes(story.gateway.plan.names[label]):
            story.attempt = Attempt(story.gateway, story.exchange, story.gateway.plan.names[label], 1.0)
            story.tell(RequestHeaders({}))
        else:
            story.next(label)
            story.tell(*refusal(503))
    reply = [effect for effect in story.effects if isinstance(effect, Respond)][-1]
    assert (reply.status, json.loads(reply.body)["error"]["message"]) == (400, TOO_LONG)
    assert not reply.next and story.over


def test_blindness_is_not_told_when_those_who_see_have_failed() -> None:
    """They may be back when the client asks again."""
    story = Story(GPT)
    story.tell(*refusal(400, BLIND_GPT))
    story.next(CLAUDE)
    story.tell(*refusal(503))
    story.attempt = Attempt(story.gateway, story.exchange, story.gateway.plan.names[DEEPSEEK], 1.0)
    story.tell(RequestHeaders({}))
    reply = [effect for effect in story.effects if isinstance(effect, Respond)][-1]
    assert (reply.status, story.over) == (503, True)


def test_a_state_of_reasoning_that_one_vendor_refuses_is_left_out_at_the_next() -> None:
    story = Story(CLAUDE)
    (reply,) = story.tell(*refusal(400, FORGED))
    assert isinstance(reply, Respond) and reply.next


def test_a_refusal_is_told_as_the_clients_own_when_nobody_has_what_is_lacking() -> None:
    """OpenRouter calls it a 404, on which clients would look for another model."""
    gateway = gateway_of("llm_providers: [{model: openai/gpt-4o-mini}]")
    exchange = exchange_of(gateway, model=GPT, path=CHAT)
    attempt = attempt_of(gateway, exchange)
    head, body = refusal(404, {"error": {"message": "No endpoints found that support image input", "code": 404}})
    reply = one([*attempt.feed(head, 1.0), *attempt.feed(body, 1.0)], Respond)
    assert reply and reply.status == 400 and not reply.retry


# -- the last candidate --------------------------------------------------------------------------------------------


def fail_all(statuses: Iterable[int], *, path: str = MESSAGES, **more: str) -> tuple[Story, Respond]:
    """The story in which every candidate of the chain refuses, and its last reply."""
    story = Story(GPT, path=path)
    for at, (label, status) in enumerate(zip((GPT, CLAUDE, DEEPSEEK), statuses, strict=True)):
        if at:
            story.next(label)
        story.tell(*refusal(status, **more))
    reply = [effect for effect in story.effects if isinstance(effect, Respond)][-1]
    return story, reply


@pytest.mark.parametrize(
    ("statuses", "final", "kind"),
    [
        ((500, 502, 503), 503, "overloaded_error"),
        ((429, 429, 429), 429, "rate_limit_error"),
        ((429, 500, 429), 503, "overloaded_error"),
        ((401, 403, 401), 403, "permission_error"),
        ((401, 401, 500), 503, "overloaded_error"),
        ((504, 504, 504), 504, "timeout_error"),
        ((404, 404, 404), 503, "overloaded_error"),
    ],
)
def test_the_status_when_all_have_failed(statuses: tuple[int, int, int], final: int, kind: str) -> None:
    _, reply = fail_all(statuses)
    assert (reply.status, json.loads(reply.body)["error"]["type"]) == (final, kind)


def test_the_last_failure_names_each_candidate_and_is_recorded_once() -> None:
    story, reply = fail_all((503, 429, 500))
    message = json.loads(reply.body)["error"]["message"]
    assert [f"{label} answered" in message for label in (GPT, CLAUDE, DEEPSEEK)] == [True] * 3
    assert story.over
    assert (story.outcome.status, story.outcome.model_served) == (503, "")
    assert [(a.candidate, a.status) for a in story.outcome.attempts] == [(GPT, 503), (CLAUDE, 429), (DEEPSEEK, 500)]
    assert story.outcome.error.startswith("answered 500")


def test_when_to_come_back_is_passed_on() -> None:
    _, reply = fail_all((429, 429, 429), retry_after="17")
    assert reply.headers["retry-after"] == "17"


def test_the_only_attempt_that_is_allowed_is_the_last() -> None:
    story = Story(GPT, config=f"{THREE}failover: {{attempts: 1}}\n")
    story.tell(*refusal(500))
    assert story.over and story.outcome.status == 503


def test_who_failed_before_is_told_with_the_answer() -> None:
    story = Story(GPT)
    story.tell(*refusal(500))
    story.next(CLAUDE)
    whole = json.dumps(anthropic_message({"type": "text", "text": "hi"})).encode()
    release = one(story.tell(JSON, ResponseBody(whole, end=True)), Release)
    assert release
    assert release.headers["x-arch-model"] == CLAUDE
    assert release.headers["x-arch-attempts"] == "2"
    assert f"{GPT} answered 500 (words of a 500)" in release.headers["x-arch-reason"]
    assert [(a.candidate, bool(a.trouble)) for a in story.outcome.attempts] == [(GPT, True), (CLAUDE, False)]
    assert story.outcome.model_served == CLAUDE and story.outcome.error == ""


# -- after first content -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_a_vendors_error_after_content_is_told_once_and_ends_the_stream(path: str, model: str) -> None:
    story = streamed(path, model)
    story.tell(ERRORS[model], END)
    said = sent(story.effects)
    assert said.count(b"too many") == 1
    assert said.count(b"event: error" if path == MESSAGES else b'data: {"error"') == 1
    assert b"message_stop" not in said and b"[DONE]" not in said
    assert has_ended(story.effects) and story.over
    assert story.outcome.status == 200 and "too many" in story.outcome.error


@pytest.mark.parametrize(
    "odd", ['[{"error": {"code": 503, "message": "too many"}}]', "{no json"], ids=["Gemini's", "none"]
)
def test_what_no_client_could_read_is_not_passed_on_after_content(odd: str) -> None:
    """Gemini's errors come in a list, which OpenAI's clients do not take for one."""
    story = streamed(CHAT, GPT)
    story.tell(f"data: {odd}\n\n".encode())
    said = sent(story.effects)
    assert odd.encode() not in said
    assert said.count(b'data: {"error"') == 1 and has_ended(story.effects) and story.over


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_an_error_in_the_last_chunk_is_told_once(path: str, model: str) -> None:
    story = streamed(path, model)
    story.tell(ResponseBody(ERRORS[model], end=True))
    assert sent(story.effects).count(b"event: error" if path == MESSAGES else b'data: {"error"') == 1
    assert has_ended(story.effects) and "too many" in story.outcome.error


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_an_error_in_the_chunk_of_the_first_content_fails_the_attempt(path: str, model: str) -> None:
    """Nothing has reached the client yet, so somebody else can still answer."""
    story = Story(model, path=path, stream=True)
    start = EVENTS[model][: EVENTS[model].index(A_TEXT if model == CLAUDE else O_TEXT) + 1]
    story.tell(STREAM, b"".join(start) + ERRORS[model])
    assert one(story.effects, Release) is None
    reply = one(story.effects, Respond)
    assert reply and reply.retry and b"too many" in reply.body


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_an_end_before_the_answer_did_is_told(path: str, model: str) -> None:
    story = Story(model, path=path, stream=True)
    start = b"".join(EVENTS[model][: EVENTS[model].index(A_TEXT if model == CLAUDE else O_TEXT) + 1])
    story.tell(STREAM, start, END)
    said = sent(story.effects)
    assert said.count(b"event: error" if path == MESSAGES else b'data: {"error"') == 1
    assert model.encode() in said, "who broke off is named"
    assert has_ended(story.effects) and story.over
    assert "ended before the answer did" in story.outcome.error


@pytest.mark.parametrize(("path", "model"), SAME)
@pytest.mark.parametrize("half", [b'data: {"half', b'data: {"half"}\n', b"event: message_del"])
def test_of_an_event_that_breaks_off_nothing_is_passed_on(path: str, model: str, half: bytes) -> None:
    """A client would take the half for an event that it cannot read, and not see the error behind it."""
    story = streamed(path, model)
    before = sent(story.effects)
    story.tell(half, END)
    said = sent(story.effects)
    assert said.startswith(before) and half not in said[len(before) :]
    (event,) = EventDecoder().feed(said[len(before) :])
    assert "ended before the answer did" in json.loads(event.data)["error"]["message"]


def test_nothing_is_heard_of_once_it_has_ended() -> None:
    story = streamed(MESSAGES, GPT)
    story.tell(O_ERROR)
    assert story.tell(O_TEXT, END, Tick(), Gone()) == []
    assert story.over


def test_a_stream_that_does_not_inflate_any_more_ends_with_an_error() -> None:
    story = Story(CLAUDE, stream=True)
    story.tell(ResponseHeaders(200, {"content-type": "text/event-stream", "content-encoding": "gzip"}))
    story.tell(gzip.compress(A_START + A_OPEN + A_TEXT)[:-8])
    if not one(story.effects, Release):
        pytest.fail("the inflater must have given the first content")
    effects = story.tell(b"\x00" * 40)
    assert b"does not inflate" in sent(effects) and has_ended(effects)


# -- errors of our own ---------------------------------------------------------------------------------------------


def test_an_error_of_ours_costs_no_answer() -> None:
    story = Story(CLAUDE)
    (reply,) = story.attempt.give_up("an error in archgw itself", 1.0)
    assert isinstance(reply, Respond) and reply.retry
    assert story.exchange.active == 0 and story.attempt.give_up("once more", 1.0) == []


def test_an_error_of_ours_after_content_is_told() -> None:
    story = streamed(MESSAGES, GPT)
    effects = story.attempt.give_up("an error in archgw itself", 1.0)
    assert b"an error in archgw itself" in sent(effects) and has_ended(effects) and story.over


class Speechless(AnthropicMessages):
    """A dialect that fails when it is to speak."""

    def render_reply(self, events: object, to: object) -> NoReturn:  # type: ignore[override]  # it never does
        raise KeyError

    def writer(self, to: object) -> NoReturn:  # type: ignore[override]  # nor this
        raise KeyError


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_an_error_of_ours_in_the_first_words_is_before_content(stream: bool) -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=GPT, stream=stream)
    exchange.dialect = Speechless()
    attempt = attempt_of(gateway, exchange)
    attempt.feed(STREAM, 1.0)
    with pytest.raises(KeyError):
        attempt.feed(ResponseBody(b"".join(OPENAI_EVENTS), end=True), 1.0)
    (reply,) = attempt.give_up("an error in archgw itself", 1.0)
    assert isinstance(reply, Respond) and reply.retry
    assert [a.trouble for a in exchange.attempts] == ["an error in archgw itself"]


# -- time ----------------------------------------------------------------------------------------------------------


def test_no_content_within_the_limit_is_a_failure() -> None:
    story = Story(CLAUDE, stream=True)
    assert story.tell(Tick(), at=59.0) == [Wake(1.0)]
    (reply,) = story.tell(Tick(), at=60.0)
    assert isinstance(reply, Respond) and reply.retry
    assert "gave no content within 60 s" in reply.body.decode()
    assert [a.status for a in story.exchange.attempts] == [504]


def test_pings_of_the_provider_are_no_content() -> None:
    story = Story(CLAUDE, stream=True)
    story.tell(STREAM, A_START, b": ping\n\n", at=59.0)
    (reply,) = story.tell(Tick(), at=60.0)
    assert isinstance(reply, Respond) and reply.retry


def test_a_client_hears_a_comment_every_fifteen_seconds_of_silence() -> None:
    story = streamed(MESSAGES, CLAUDE)
    assert story.tell(Tick(), at=1.0 + PING_AFTER) == [Send(b": ping\n\n"), Wake(PING_AFTER)]
    assert story.tell(Tick(), at=1.0 + 2 * PING_AFTER) == [Send(b": ping\n\n"), Wake(PING_AFTER)]


def test_no_comment_while_the_provider_speaks() -> None:
    story = streamed(MESSAGES, CLAUDE)
    story.tell(A_TEXT, at=10.0)
    assert story.tell(Tick(), at=1.0 + PING_AFTER) == [Wake(9.0)], "fifteen seconds after its last word"
    assert story.tell(Tick(), at=10.0 + PING_AFTER) == [Send(b": ping\n\n"), Wake(PING_AFTER)]


@pytest.mark.parametrize(
    "half",
    [b"data: {", b"event: content_block_delta\n", b"event: content_block_delta\ndata: {}\n", b"event"],
    ids=["in its data", "behind its name", "before its end", "in a word"],
)
@pytest.mark.parametrize("model", [CLAUDE, GPT])
def test_a_comment_comes_between_events_and_never_into_one(half: bytes, model: str) -> None:
    """Half an event waits until it is whole, and holds no comment up."""
    story = streamed(MESSAGES, model)
    assert sent(story.tell(half)) == b""
    assert story.tell(Tick(), at=1.0 + PING_AFTER) == [Send(b": ping\n\n"), Wake(PING_AFTER)]


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_a_stream_that_falls_silent_is_ended_in_the_clients_dialect(path: str, model: str) -> None:
    story = streamed(path, model)
    effects = story.tell(Tick(), at=1.0 + Failover().stall_timeout)
    assert f"{model}: fell silent for 150 s".encode() in sent(effects)
    assert has_ended(effects) and story.over
    assert "fell silent" in story.outcome.error


def test_how_long_a_stream_may_be_silent_is_configured() -> None:
    story = streamed(MESSAGES, CLAUDE, config=f"{THREE}failover: {{stall_timeout: 20s}}\n")
    assert story.tell(Tick(), at=1.0 + PING_AFTER) == [Send(b": ping\n\n"), Wake(5.0)]
    assert b"fell silent for 20 s" in sent(story.tell(Tick(), at=21.0))


@pytest.mark.parametrize(("path", "model"), PAIRS)
@pytest.mark.parametrize("how", ["error", "end", "silence"])
def test_who_breaks_off_after_content_is_not_asked_first_for_a_while(path: str, model: str, how: str) -> None:
    story = streamed(path, model)
    told: dict[str, list[Event | bytes]] = {"error": [ERRORS[model]], "end": [END], "silence": [Tick()]}
    story.tell(*told[how], at=200.0)
    cooling, id = story.gateway.cooling, story.gateway.plan.names[model].id
    assert cooling.left(id, 200.0) == COOL_FOR
    assert cooling.why(id, 200.0 + COOL_FOR / 2) == "broke off in an answer"
    assert not cooling.why(id, 200.0 + COOL_FOR)


def test_an_error_of_ours_after_content_cools_nobody() -> None:
    story = streamed(MESSAGES, GPT)
    story.attempt.give_up("an error in archgw itself", 1.0)
    assert not story.gateway.cooling.left(story.gateway.plan.names[GPT].id, 1.0)


ODD_ERRORS = {  # after its first words, in what Mistral's and Gemini's clients read, and no client of OpenAI's
    "an error beside nothing": b'data: {"object":"error","message":"too many","type":"rate_limited"}\n\n',
    "a list of errors": b'data: [{"error":{"code":503,"message":"too many","status":"UNAVAILABLE"}}]\n\n',
}


@pytest.mark.parametrize("error", ODD_ERRORS.values(), ids=ODD_ERRORS)
@pytest.mark.parametrize("together", [True, False], ids=["in one chunk", "by itself"])
def test_an_error_that_the_clients_reader_would_stumble_over_is_told_in_its_place(error: bytes, together: bool) -> None:
    story = streamed(CHAT, GPT)
    effects = story.tell(O_TEXT + error, END) if together else story.tell(O_TEXT, error, END)
    told, _, rest = sent(effects).partition(O_TEXT)
    assert told == b"" and json.loads(rest.removeprefix(b"data: "))["error"]["message"].endswith(": too many")
    assert has_ended(effects) and story.over


def test_a_tick_that_comes_late_does_nothing() -> None:
    story = streamed(MESSAGES, CLAUDE)
    story.tell(A_CLOSE, A_DELTA, A_STOP, END)
    assert story.tell(Tick(), at=500.0) == []


# -- the client leaves ---------------------------------------------------------------------------------------------


def test_a_client_that_leaves_while_we_judge_is_recorded_when_its_exchange_expires() -> None:
    story = Story(CLAUDE, stream=True)
    assert story.tell(STREAM, A_START, Gone(), at=4.0) == []
    assert story.exchange.active == 0
    assert story.gateway.exchanges.expire(5.0) == [], "Envoy may come back with the next candidate"
    (outcome,) = story.gateway.exchanges.expire(40.0)
    assert (outcome.status, outcome.error) == (499, "the client left before an answer")
    assert outcome.duration == 4.0
    assert story.over and story.gateway.exchanges.expire(80.0) == []


def test_a_client_that_leaves_while_it_reads_is_recorded_when_envoy_has_said_nothing_else_of_it() -> None:
    story = streamed(MESSAGES, CLAUDE)
    assert story.tell(Gone(), at=3.0) == []
    assert story.exchange.active == 0
    assert story.gateway.exchanges.expire(3.5) == []
    (outcome,) = story.gateway.exchanges.expire(4.5)
    assert (outcome.status, outcome.model_served, outcome.duration) == (499, CLAUDE, 3.0)
    assert [a.trouble for a in outcome.attempts] == [""], "the candidate did nothing wrong"
    assert not story.gateway.cooling.left(story.gateway.plan.names[CLAUDE].id, 3.0)
    assert story.gateway.exchanges.expire(100.0) == [] and story.over


@pytest.mark.parametrize("first", ["the log", "the end"])
def test_who_tore_the_stream_is_said_by_envoys_log(first: str) -> None:
    story = streamed(MESSAGES, CLAUDE)
    name = f"{story.exchange.id}/1"
    if first == "the log":
        tear(story.gateway, name, 3.0)
    story.tell(Gone(), at=3.0)
    if first == "the end":
        tear(story.gateway, name, 3.1)
    (outcome,) = story.gateway.exchanges.expire(4.5)
    assert (outcome.status, outcome.error) == (200, f"archgw: {CLAUDE}: tore the connection")
    id = story.gateway.plan.names[CLAUDE].id
    assert story.gateway.cooling.why(id, 4.5) == "broke off in an answer"


def test_what_envoy_says_of_an_attempt_that_was_followed_by_another_is_not_said_of_that_one() -> None:
    story = streamed(MESSAGES, CLAUDE)
    story.tell(Gone(), at=1.1)
    story.next(GPT, at=1.2)
    tear(story.gateway, f"{story.exchange.id}/1", 1.2)
    story.tell(STREAM, O_ROLE, O_TEXT, Gone(), at=1.3)
    (outcome,) = story.gateway.exchanges.expire(9.0)
    assert outcome.status == 499
    assert not story.gateway.cooling.left(story.gateway.plan.names[GPT].id, 1.3)


def test_what_envoy_says_of_an_exchange_that_is_gone_is_nothing_new() -> None:
    tear(gateway_of(), "gone/1", 1.0)
    tear(gateway_of(), "", 1.0)


def test_who_is_cut_off_before_the_client_has_seen_anything_is_followed_by_the_next() -> None:
    """Envoy comes back as long as it has not let the first content go: the client is there, the candidate broke off."""
    story = streamed(MESSAGES, CLAUDE)
    story.tell(Gone(), at=1.1)
    assert story.gateway.exchanges.expire(1.5) == [] and not story.over
    story.effects.clear()
    story.next(GPT, at=1.2)
    story.tell(STREAM, *OPENAI_EVENTS, END, at=1.3)
    assert b"message_stop" in sent(story.effects) and story.over
    tried = [(one.candidate, one.trouble) for one in story.outcome.attempts]
    assert tried == [(CLAUDE, "broke off after 1.0 s"), (GPT, "")]
    assert story.gateway.exchanges.expire(100.0) == [], "it is recorded once"


def test_who_broke_off_before_content_is_known_by_envoys_coming_back() -> None:
    story = Story(CLAUDE, stream=True)
    story.tell(STREAM, A_START, Gone(), at=2.0)
    story.next(GPT, at=2.1)
    story.tell(STREAM, *OPENAI_EVENTS, END, at=2.2)
    tried = [(one.candidate, one.status, one.trouble) for one in story.outcome.attempts]
    assert tried == [(CLAUDE, 0, "broke off after 2.0 s"), (GPT, 200, "")]
    assert story.gateway.cooling.left(story.gateway.plan.names[CLAUDE].id, 2.1) == COOL_FOR


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_leaving_after_the_end_changes_nothing(path: str) -> None:
    story = Story(GPT, path=path)
    story.tell(JSON, ResponseBody(json.dumps(openai_completion()).encode(), end=True))
    assert story.tell(Gone(), Gone()) == []
    assert story.exchange.active == 0 and story.outcome.status == 200


def test_leaving_after_a_failure_changes_nothing() -> None:
    story = Story(GPT)
    story.tell(*refusal(500))
    assert story.tell(Gone()) == []
    assert story.exchange.active == 0


# -- trailers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_trailers_end_a_stream(path: str, model: str) -> None:
    story = Story(model, path=path, stream=True)
    story.tell(STREAM, *EVENTS[model])
    effects = story.tell(ResponseTrailers())
    assert not has_ended(story.effects), "Envoy takes the trailers for the end"
    assert effects[-1] == Proceed() and story.over


@pytest.mark.parametrize(("path", "model"), PAIRS)
def test_trailers_end_a_whole_answer(path: str, model: str) -> None:
    story = Story(model, path=path)
    whole = anthropic_message({"type": "text", "text": "hi"}) if model == CLAUDE else openai_completion()
    assert story.tell(JSON, json.dumps(whole).encode()) == []
    effects = story.tell(ResponseTrailers())
    assert b"hi" in sent(effects) and not has_ended(effects)
    assert effects[-1] == Proceed() and story.over


def test_trailers_before_the_answers_end_come_after_the_error() -> None:
    story = streamed(MESSAGES, GPT)
    effects = story.tell(ResponseTrailers())
    assert b"event: error" in sent(effects) and not has_ended(effects)
    assert effects[-1] == Proceed() and story.over


def test_trailers_of_a_failure_are_not_answered_beside_it() -> None:
    story = Story(CLAUDE)
    head, body = refusal(500)
    assert isinstance(body, ResponseBody)
    (reply,) = story.tell(head, body.chunk, ResponseTrailers())
    assert isinstance(reply, Respond) and reply.retry


# -- what is kept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "model", "usage"),
    [
        (MESSAGES, CLAUDE, Usage(input=7, cached=3, output=5)),
        (CHAT, GPT, Usage(input=7, cached=3, output=5)),
    ],
    ids=["told at start and end", "told at the end"],
)
def test_usage_is_gathered_from_the_whole_stream(path: str, model: str, usage: Usage) -> None:
    story = Story(model, path=path, stream=True)
    story.tell(STREAM, *EVENTS[model], END)
    assert story.outcome.usage == usage


def test_usage_of_a_stream_that_was_cut_is_what_its_start_told() -> None:
    story = streamed(MESSAGES, CLAUDE)
    story.tell(Gone())
    (outcome,) = story.gateway.exchanges.expire(100.0)
    assert outcome.usage == Usage(input=7, cached=3, output=1)


def test_usage_of_a_whole_answer() -> None:
    story = Story(CLAUDE)
    whole = json.dumps(anthropic_message({"type": "text", "text": "hi"})).encode()
    story.tell(JSON, ResponseBody(whole, end=True))
    assert story.outcome.usage == Usage(input=7, output=5)


def test_times_count_from_the_requests_beginning() -> None:
    gateway = gateway_of()
    exchange = exchange_of(gateway, model=CLAUDE, stream=True, at=10.0)
    attempt = attempt_of(gateway, exchange, at=10.5)
    for event in (STREAM, ResponseBody(A_START + A_OPEN + A_TEXT)):
        attempt.feed(event, 12.0)
    outcome = recorded(attempt.feed(ResponseBody(A_CLOSE + A_DELTA + A_STOP, end=True), 15.0))
    assert outcome
    assert (outcome.first_content, outcome.duration) == (2.0, 5.0)
    assert [a.seconds for a in outcome.attempts] == [1.5]


def test_who_steps_in_keeps_the_session() -> None:
    gateway = gateway_of()
    session = {"x-claude-code-session-id": "s"}
    exchange = exchange_of(gateway, scores={"coding": 0.9}, given=session)
    assert gateway.sessions.pin("s/") == Pin("coding", "anthropic-claude-sonnet-4-5", 0.9)
    attempt_of(gateway, exchange).feed(Gone(), 1.0)
    second = attempt_of(gateway, exchange, DEEPSEEK)
    second.feed(JSON, 2.0)
    second.feed(ResponseBody(json.dumps(openai_completion()).encode(), end=True), 2.0)
    assert gateway.sessions.pin("s/") == Pin("coding", "deepseek-deepseek-chat", 0.9)


def test_who_steps_in_during_a_tool_loop_finishes_it() -> None:
    gateway = gateway_of()
    gateway.sessions.set_pin("s/", Pin("coding", "anthropic-claude-sonnet-4-5", 0.9))
    call = {"type": "tool_use", "id": "t1", "name": "ls", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "a.py"}
    loop = [
        {"role": "user", "content": "what is here?"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    exchange = exchange_of(gateway, messages=loop, given={"x-claude-code-session-id": "s"})
    assert exchange.intent.kind == "tool continuation"
    second = attempt_of(gateway, exchange, DEEPSEEK)
    second.feed(JSON, 2.0)
    second.feed(ResponseBody(json.dumps(openai_completion()).encode(), end=True), 2.0)
    assert gateway.sessions.pin("s/") == Pin("coding", "deepseek-deepseek-chat", 0.9)


def test_whom_the_client_named_keeps_no_session() -> None:
    story = Story(CLAUDE)
    story.tell(JSON, json.dumps(anthropic_message({"type": "text", "text": "hi"})).encode(), END)
    assert story.gateway.sessions.pin(story.exchange.session) is None


def test_what_was_left_out_is_told() -> None:
    story = Story(GPT, max_tokens=99_000)
    release = one(story.tell(JSON, ResponseBody(json.dumps(openai_completion()).encode(), end=True)), Release)
    assert release
    assert "max_tokens lowered" in release.headers["x-arch-warnings"]
    assert any("max_tokens lowered" in warning for warning in story.outcome.warnings)


def test_of_a_vendors_headers_little_is_passed_on_in_translation() -> None:
    story = Story(GPT)
    told = {"content-type": "application/json", "openai-organization": "us", "set-cookie": "c", "date": "today"}
    story.tell(ResponseHeaders(200, {":status": "200", **told}))
    release = one(story.tell(ResponseBody(json.dumps(openai_completion()).encode(), end=True)), Release)
    assert release and set(release.remove) == {"openai-organization", "set-cookie"}


def test_half_an_emoji_is_no_obstacle() -> None:
    """JavaScript cuts strings between the halves of a character; JSON can carry one alone, UTF-8 cannot."""
    gateway = gateway_of()
    body = json.dumps(request(model=GPT)).replace("hello", r"hello \ud83d").encode()
    attempt = attempt_of(gateway, exchange_of(gateway, model=GPT, body=body))
    whole = json.dumps(openai_completion("hi")).replace('"hi"', r'"hi \ud83d"').encode()
    attempt.feed(JSON, 1.0)
    effects = attempt.feed(ResponseBody(whole, end=True), 1.0)
    assert json.loads(sent(effects))["content"][0]["text"].startswith("hi ")


def test_half_an_emoji_in_a_stream_is_no_obstacle() -> None:
    story = streamed(MESSAGES, GPT)
    story.tell(O_TEXT.replace(b'"hi"', rb'"\ud83d"'), O_TEXT.replace(b'"hi"', rb'"\ude00"'), O_FINISH, O_DONE, END)
    assert sent(story.effects).decode().endswith('data: {"type":"message_stop"}\n\n')


def test_a_role_alone_is_no_content() -> None:
    story = Story(GPT, path=CHAT, stream=True)
    assert story.tell(STREAM, O_ROLE) == []


# -- what a provider says of us ------------------------------------------------------------------------------------

ALONE = f"llm_providers: [{{model: {GPT}}}]\n"
TELLING = "Incorrect API key provided: key-of-openai. In organization org-abcdef123, you asked: hello"


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_our_key_and_our_account_are_told_to_nobody(path: str, status: int) -> None:
    story = Story(GPT, path=path, config=ALONE)
    story.tell(*refusal(status, {"error": {"message": TELLING, "type": "invalid_request_error"}}))
    reply, outcome = one(story.effects, Respond), story.outcome
    for told in (reply.body.decode(), str(reply.headers), str(outcome)):
        assert "key-of-openai" not in told and "abcdef123" not in told
    assert "In organization org-***" in reply.body.decode()


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_a_providers_own_words_are_for_who_asked_alone(status: int) -> None:
    """It may quote what was asked: what is kept for all to see is its status and the kind of its failure."""
    story = Story(GPT, config=ALONE)
    story.tell(*refusal(status, {"error": {"message": TELLING, "type": "invalid_request_error"}}))
    outcome = story.outcome
    assert "you asked: hello" in outcome.error
    assert outcome.brief.startswith(f"answered {status} (") and outcome.brief == outcome.attempts[-1].brief
    assert "hello" not in shown(outcome).error + str(facts(outcome))
    journal = Journal()
    journal.record(outcome)
    assert "hello" not in str(journal.figures.tallies)
