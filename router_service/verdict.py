"""Small judgements about a provider's answer: what it is, whether it failed, and how to call that."""

import json
import re
from collections.abc import Iterable, Mapping

from router_service.conversation import KIND_BY_STATUS, Conversation, Failure, ReplyEvent, ReplyFailed, Usage

Headers = Mapping[str, str]
_NO_SUCH_MODEL = re.compile(
    r"model.{0,80}(not exist|not found|does not exist|not available|no longer|decommissioned|deprecated|unknown)"
    r"|(unknown|invalid|no such) model",
    re.I,
)
EVENT_STREAM = "text/event-stream; charset=utf-8"


def is_event_stream(headers: Headers) -> bool:
    return headers.get("content-type", "").startswith("text/event-stream")


def is_json(headers: Headers) -> bool:
    return headers.get("content-type", "").startswith("application/json")


def wants_usage(conversation: Conversation) -> bool:
    """An OpenAI client gets a usage chunk only when it asked for one."""
    options = conversation.extras.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def json_object(body: bytes) -> dict[str, object]:
    parsed = json.loads(body)
    if not isinstance(parsed, dict):
        raise ValueError("not an object")
    return parsed


def until_failure(events: Iterable[ReplyEvent]) -> list[ReplyEvent]:
    kept: list[ReplyEvent] = []
    for event in events:
        if isinstance(event, ReplyFailed):
            break
        kept.append(event)
    return kept


def failure_in(events: Iterable[ReplyEvent]) -> ReplyFailed | None:
    return next((event for event in events if isinstance(event, ReplyFailed)), None)


def status_of(failure: ReplyFailed) -> int:
    return next((status for status, kind in KIND_BY_STATUS.items() if kind == failure.kind and status >= 429), 502)


def merged(old: Usage, new: Usage) -> Usage:
    """Later words win, field by field: vendors tell the input at the start and the output at the end."""
    names = ("input", "cached", "cache_write", "output", "reasoning")
    values = ((getattr(new, name), getattr(old, name)) for name in names)
    return Usage(*(later if later is not None else earlier for later, earlier in values))


def lacks_model(failure: Failure) -> bool:
    """Some vendors call an unknown or retired model a 400 (DeepSeek: "Model Not Exist"); others know it."""
    return _NO_SUCH_MODEL.search(failure.message) is not None


def final_status(statuses: list[int]) -> int:
    """What the client hears when all have failed. 401 makes some clients hang: a refused key of ours is a 403."""
    if all(status == 429 for status in statuses):
        return 429
    if all(status in (401, 403) for status in statuses):
        return 403
    if all(status == 504 for status in statuses):
        return 504
    return 503


def in_words(details: str, body: bytes) -> str:
    """Envoy's own failure to reach a provider."""
    told = body.decode("utf-8", "replace").strip()[:200]
    known = {
        "connection_timeout": "could not be reached in time",
        "remote connection failure": "could not be connected to",
        "no healthy upstream": "has no address that answers (DNS?)",
        "connection_termination": "closed the connection before it answered",
        "remote reset": "reset the connection before it answered",
        "connection termination": "closed the connection before it answered",
    }
    words = next((words for mark, words in known.items() if mark in f"{details} {told}".lower()), "failed")
    cause = "TLS: " if "TLS" in told else ""
    return f"{words} ({cause}{told or details})"
