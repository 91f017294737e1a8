"""Errors in every shape that vendors have, and in the words that clients act on."""

import json
from typing import Any

import pytest

from router_service.conversation import Failure
from router_service.dialects import DIALECTS
from router_service.sse import EventDecoder

CONTEXT = "This model's maximum context length is 128000 tokens. However, "
TOO_LONG = "prompt is too long: 130000 tokens > 128000 maximum"


def openai(message: str, kind: str | None = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


PARSED: list[tuple[str, int, Any, str, str]] = [
    ("Anthropic", 529, anthropic("overloaded_error", "Overloaded"), "overloaded_error", "Overloaded"),
    ("Anthropic's own kind", 400, anthropic("billing_error", "No credit"), "billing_error", "No credit"),
    ("Anthropic, too long", 400, anthropic("invalid_request_error", TOO_LONG), "invalid_request_error", TOO_LONG),
    ("OpenAI", 400, openai("Bad"), "invalid_request_error", "Bad"),
    ("OpenAI, key", 401, openai("No key", code="invalid_api_key"), "authentication_error", "No key"),
    ("OpenAI, model", 404, openai("No model", code="model_not_found"), "not_found_error", "No model"),
    ("OpenAI, too many", 429, openai("Slow", "tokens", "rate_limit_exceeded"), "rate_limit_error", "Slow"),
    ("OpenAI, no credit", 429, openai("Pay", "insufficient_quota", "insufficient_quota"), "billing_error", "Pay"),
    ("OpenAI, broken", 500, openai("Oops", "server_error"), "api_error", "Oops"),
    ("OpenAI, overloaded", 503, openai("Busy", "server_error"), "overloaded_error", "Busy"),
    ("OpenAI, its word for all", 403, openai("No"), "permission_error", "No"),
    ("xAI", 400, {"code": "Client specified an invalid argument", "error": "Bad"}, "invalid_request_error", "Bad"),
    ("Ollama", 404, {"error": "model not found"}, "not_found_error", "model not found"),
    ("Gemini", 503, [{"error": {"code": 503, "message": "Busy", "status": "UNAVAILABLE"}}], "overloaded_error", "Busy"),
    ("Mistral", 422, {"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "Extra"}]}},
     "invalid_request_error", "body.n: Extra"),
    ("FastAPI", 404, {"detail": "Not Found"}, "not_found_error", "Not Found"),
    ("FastAPI, places", 422, {"detail": [{"loc": ["body", "messages", 0], "msg": "Required"}]},
     "invalid_request_error", "body.messages.0: Required"),
    ("plain text", 502, b"upstream connect error\n", "api_error", "upstream connect error"),
    ("a page", 502, b"<html><head><title>502 Bad &amp; Gateway</title></head><body>x</body></html>", "api_error",
     "502 Bad & Gateway"),
    ("a page without title", 500, b"<!DOCTYPE html><style>p {}</style><p>Sorry,\n <b>no</b></p>", "api_error",
     "Sorry, no"),
    ("nothing", 503, b"", "overloaded_error", "The provider answered 503 without a word."),
    ("no words", 400, {}, "invalid_request_error", "{}"),
    ("a string", 400, "no", "invalid_request_error", "no"),
    ("a number", 418, b"42", "invalid_request_error", "42"),
    ("no UTF-8", 500, b"\xff\xfe", "api_error", "\ufffd\ufffd"),
    ("an odd status", 599, b"x", "api_error", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "message"), [c[1:] for c in PARSED], ids=[c[0] for c in PARSED])
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_shape_is_read(dialect: Any, status: int, body: Any, kind: str, message: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert dialect.parse_error(status, data) == Failure(status, kind, message)


def test_long_words_are_cut() -> None:
    failure = DIALECTS["openai_chat"].parse_error(500, b"x" * 10_000)
    assert len(failure.message) < 1000


WORDS: list[tuple[str, str, str]] = [
    ("OpenAI", CONTEXT + "your messages resulted in 130000 tokens. Please reduce the length.", TOO_LONG),
    ("OpenAI, with tools", CONTEXT + "your messages resulted in 130000 tokens (120000 in the messages, 10000 in the "
     "functions). Please reduce the length.", TOO_LONG),
    ("OpenAI, sum", CONTEXT + "you requested 140000 tokens (124000 in the messages, 16000 in the completion).",
     "input length and `max_tokens` exceed context limit: 124000 + 16000 > 128000"),
    ("OpenAI, functions and sum", CONTEXT + "you requested 140000 tokens (124000 in the messages, 10 in the functions, "
     "and 15990 in the completion).", "input length and `max_tokens` exceed context limit: 124000 + 15990 > 128000"),
    ("DeepSeek, prompt alone",
     CONTEXT + "you requested 138000 tokens (130000 in the messages, 8000 in the completion).",
     TOO_LONG),
    ("GPT-5", "Input tokens exceed the configured limit of 128000 tokens. Your messages resulted in 130000 tokens.",
     TOO_LONG),
    ("xAI", "This model's maximum prompt length is 128000 but the request contains 130000 tokens.", TOO_LONG),
    ("Mistral",
     "Prompt contains 130000 tokens and 0 draft tokens, too large for model with 128000 maximum context length",
     TOO_LONG),
    ("Gemini", "The input token count (130000) exceeds the maximum number of tokens allowed (128000).", TOO_LONG),
    ("vLLM", CONTEXT + "your request has 130000 input tokens.", TOO_LONG),
    ("Together", "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 8000 `inputs` tokens and 1000 "
     "`max_new_tokens`", "input length and `max_tokens` exceed context limit: 8000 + 1000 > 8193"),
    ("OpenRouter", CONTEXT + "you requested about 130,000 tokens (12 of text input).", TOO_LONG),
    ("llama.cpp", "the request (130000 tokens) exceeds the available context size (128000 tokens), try increasing it",
     TOO_LONG),
    ("no numbers", "Please reduce the length of the messages.",
     "prompt is too long: Please reduce the length of the messages."),
]  # fmt: skip


@pytest.mark.parametrize(("said", "meant"), [case[1:] for case in WORDS], ids=[case[0] for case in WORDS])
def test_too_long_is_said_in_the_words_that_make_clients_compact(said: str, meant: str) -> None:
    body = json.dumps(openai(said, code="context_length_exceeded")).encode()
    assert DIALECTS["openai_chat"].parse_error(400, body) == Failure(400, "invalid_request_error", meant)


RENDERED: list[tuple[str, str, str, str | None]] = [
    ("invalid_request_error", "no", "invalid_request_error", None),
    ("invalid_request_error", TOO_LONG, "invalid_request_error", "context_length_exceeded"),
    ("authentication_error", "no", "invalid_request_error", "invalid_api_key"),
    ("rate_limit_error", "no", "rate_limit_error", "rate_limit_exceeded"),
    ("overloaded_error", "no", "server_error", "server_overloaded"),
    ("api_error", "no", "server_error", None),
    ("never_heard_of", "no", "server_error", None),
]


@pytest.mark.parametrize(("kind", "message", "openai_type", "code"), RENDERED)
def test_errors_have_each_dialects_exact_shape(kind: str, message: str, openai_type: str, code: str | None) -> None:
    failure = Failure(400, kind, message)
    shapes = {
        "anthropic_messages": {"type": "error", "error": {"type": kind, "message": message}},
        "openai_chat": {"error": {"message": message, "type": openai_type, "param": None, "code": code}},
    }
    for name, shape in shapes.items():
        assert json.loads(DIALECTS[name].render_error(failure)) == shape
        (event,) = EventDecoder().feed(DIALECTS[name].render_error_event(failure))
        assert json.loads(event.data) == shape
        assert event.event == ("error" if name == "anthropic_messages" else "")


@pytest.mark.parametrize("kind", ["authentication_error", "not_found_error", "rate_limit_error", "billing_error"])
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_rendered_error_is_read_as_what_it_was(dialect: Any, kind: str) -> None:
    assert dialect.parse_error(400, dialect.render_error(Failure(400, kind, "no"))) == Failure(400, kind, "no")
