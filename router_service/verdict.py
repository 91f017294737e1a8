"""Small judgements about a provider's answer: what it is, whether it failed, and how to call that."""

import math
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

from router_service import fast_json
from router_service.conversation import KIND_BY_STATUS, TOO_LONG, Conversation, Failure, ReplyEvent, ReplyFailed

Headers = Mapping[str, str]
_NO_SUCH_MODEL = re.compile(
    r"model.{0,80}(not exist|not found|does not exist|not available|no longer|decommissioned|deprecated|unknown)"
    r"|(unknown|invalid|no such) model",
    re.I,
)
_TROUBLES = (  # as Envoy 1.40 words them
    ("connection timeout", "could not be reached in time"),
    ("remote connection failure", "could not be connected to"),
    ("no healthy upstream", "has no address that answers (is its host name right?)"),
    ("remote reset", "reset the connection before it answered"),
    ("connection termination", "closed the connection before it answered"),
    ("response timeout", "did not answer in time"),
    ("protocol error", "answered in no HTTP that can be read"),
)
# "Please try again in 1m12.5s", "in 486ms", "Please retry after 26 seconds", Google's "retryDelay": "37s"
_COME_BACK = re.compile(
    r"""(?:(?:try again|retry) (?:in|after)|"retryDelay":\s*")\s*"""
    r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)ms|([\d.]+)\s*s)?",
    re.I,
)
_ACCOUNT = re.compile(r"\b(org-|proj_)[A-Za-z0-9]{6,}")
_SHORTEST = 8  # letters of a key; a shorter one is any word
_LONGEST_WAIT = 12  # digits
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
    try:
        parsed = fast_json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(parsed, dict):
        raise ValueError("not an object")
    return parsed


def until_failure(events: list[ReplyEvent]) -> list[ReplyEvent]:
    failure = failure_in(events)
    return events if failure is None else events[: events.index(failure)]


def failure_in(events: Iterable[ReplyEvent]) -> ReplyFailed | None:
    for event in events:
        if isinstance(event, ReplyFailed):
            return event
    return None


def status_of(failure: ReplyFailed) -> int:
    return next((status for status, kind in KIND_BY_STATUS.items() if kind == failure.kind and status >= 429), 502)


def scrubbed(words: str, key: str) -> str:
    """What a vendor says, without our key, and without our organisation and project, which OpenAI names in it."""
    return _ACCOUNT.sub(r"\1***", words.replace(key, "***") if len(key) >= _SHORTEST else words)


def scrubbed_bytes(said: bytes, key: str) -> bytes:
    return scrubbed(said.decode("utf-8", "surrogateescape"), key).encode("utf-8", "surrogateescape")


def brief(status: int, failure: Failure | ReplyFailed) -> str:
    """What kind of failure it is, in none of the provider's own words; `status` is its answer's."""
    answered = f"answered {status}" if status != 200 else "failed"
    return f"{answered} ({failure.kind})"


def lacks_model(failure: Failure) -> bool:
    """Some vendors call an unknown or retired model a 400 (DeepSeek: "Model Not Exist"); others know it."""
    return _NO_SUCH_MODEL.search(failure.message) is not None


def final_status(statuses: list[int]) -> int:
    """What the client hears when all have failed. 401 makes some clients hang: a refused key of ours is a 403."""
    if not statuses:
        return 503
    if all(status in (402, 429) for status in statuses):
        return max(statuses)
    if all(status in (401, 403) for status in statuses):
        return 403
    if all(status == 413 for status in statuses):
        return 400
    if all(status == 504 for status in statuses):
        return 504
    return 503


def meant(failure: Failure) -> int:
    """The status that the vendor should have said: some call it 400 or 429 when a key or money is missing, or when the
    request is more than a whole minute's tokens, which no waiting mends."""
    if failure.kind == "rate_limit_error":
        return 413 if failure.message.startswith(TOO_LONG) else 429
    if failure.kind == "overloaded_error" and failure.status == 429:
        return 503
    return {"billing_error": 402, "authentication_error": 401}.get(failure.kind, failure.status)


def retry_after(headers: Headers, body: bytes) -> str:
    """When to come back, in whole seconds: as the headers say, or the words. Empty where neither does."""
    if told := headers.get("retry-after"):
        return told
    if (exactly := headers.get("retry-after-ms", "")[:_LONGEST_WAIT]).isdecimal():
        return str(math.ceil(int(exactly) / 1000))
    found = _COME_BACK.search(body.decode("utf-8", "replace"))
    if not found:
        return ""
    hours, minutes, milliseconds, seconds = (float(part or 0) for part in found.groups())
    return str(math.ceil(hours * 3600 + minutes * 60 + milliseconds / 1000 + seconds)) if any(found.groups()) else ""


def seconds_until(told: str, wall: float) -> float | None:
    """A Retry-After, which is seconds or a date (RFC 9110, 10.2.3), as seconds; None where it is neither."""
    with suppress(ValueError):
        seconds = float(told)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(told).timestamp() - wall)
    return None


def is_full(details: str) -> bool:
    """Whether Envoy did not even ask, for its limits were reached."""
    return "overflow" in details


def in_words(details: str, body: bytes) -> str:
    """Envoy's own failure to reach a provider. `details` is its response code detail, `body` its local reply."""
    if "TLS_error" in details:
        cause = details[details.find("TLS_error") :].replace("_", " ").removesuffix("}").removesuffix(":TLS error end")
        return f"could not be trusted: {cause[:200]}"
    told = body.decode("utf-8", "replace").strip()
    said = f"{details} {told}".lower().replace("_", " ")
    return next((words for mark, words in _TROUBLES if mark in said), f"failed ({details}: {told[:120]})")
