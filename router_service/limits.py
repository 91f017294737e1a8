"""What a request may be. A refusal names the limit, what was sent, and the key in config.yaml that raises it."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from router_service.config import Limits
from router_service.config.reading import size_in_words
from router_service.conversation import BadRequest, Failure

COME_BACK = {"retry-after": "1"}  # seconds; beside the refusal of one request too many
_COUNTED = ("messages", "input", "tools")  # `input` is what OpenAI's newer API calls messages


def body_too_large(limits: Limits, sent: str = "") -> str:
    """`sent`: how many bytes, where that is known."""
    told = f" ({sent})" if sent else ""
    return (
        f"archgw: the request is larger than {size_in_words(limits.body)}{told}; shorten the conversation or its"
        f" images, or raise {_key('body')}"
    )


def headers_too_large(limits: Limits) -> str:
    """Envoy, which counts, does not say which of the two it was."""
    return (
        f"archgw: the request has more than {limits.headers} headers, or more than"
        f" {size_in_words(limits.header_size)} of them; send fewer, or raise {_key('headers')} or limits.header_size"
    )


def paused_too_long(limits: Limits) -> str:
    return (
        f"archgw: the request stopped coming for {limits.pause_in_request:g} s; send it again, or raise"
        f" {_key('pause_in_request')}"
    )


def too_many_requests(limits: Limits, under_way: int, held: int) -> Failure:
    """`held`: bytes of the requests under way."""
    words = (
        f"archgw has {under_way} requests under way, with {held / 2**20:.1f} MiB; it takes {limits.requests}"
        f" ({_key('requests')}), with {size_in_words(limits.memory)} (limits.memory). Try again in a moment"
    )
    return Failure(503, "overloaded_error", words)


def check_length(limits: Limits, headers: Mapping[str, str]) -> int:
    """The length that the headers tell, 0 where they tell none. Raises BadRequest."""
    told = headers.get("content-length", "")
    length = int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else 0
    if length > limits.body:
        raise BadRequest(body_too_large(limits, f"{length:,} bytes"), status=413, kind="request_too_large")
    return length


def check_size(limits: Limits, body: bytes) -> None:
    """Whether the text may be parsed at all. Raises BadRequest."""
    if len(body) > limits.body:
        raise BadRequest(body_too_large(limits, f"{len(body):,} bytes"), status=413, kind="request_too_large")
    if len(body) // 2 <= limits.values:  # the shortest value and what parts it from the next are two bytes
        return
    values = _values(body, limits.values)
    if values > limits.values:
        raise _refusal("values", values, limits.values, "JSON values")


def check_shape(limits: Limits, parsed: dict[str, Any]) -> int:
    """How deep it is, level by level, and how much is listed in it. Raises BadRequest. How many members its objects
    have together."""
    objects, lists = [parsed], list[list[Any]]()
    members = 0
    for _ in range(limits.depth):
        members += sum(map(len, objects))
        within = [*chain.from_iterable(map(dict.values, objects)), *chain.from_iterable(lists)]
        objects = [inner for inner in within if type(inner) is dict]
        lists = [inner for inner in within if type(inner) is list]
        if not (objects or lists):
            break
    else:
        raise too_deep(limits)
    for name in _COUNTED:
        listed = parsed.get(name)
        key = "tools" if name == "tools" else "messages"
        most = limits.tools if key == "tools" else limits.messages
        if isinstance(listed, list) and len(listed) > most:
            raise _refusal(key, len(listed), most, name)
    return members


def too_deep(limits: Limits) -> BadRequest:
    return BadRequest(
        f"archgw: the request is nested more than {limits.depth} deep; flatten it, or raise {_key('depth')}"
    )


def _values(body: bytes, most: int) -> int:
    """How many there are, near enough: a comma or an opening bracket stands before each. A body that has no more than
    `most` is not looked through to the end."""
    if _marks(body) <= most:
        return most
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"")  # no quote is left but those around strings
    by_quotes = bare.count(b'"') // 4  # a key and a text for each value, at the most
    return by_quotes if by_quotes > most else _marks(b"".join(bare.split(b'"')[::2]))


def _marks(text: bytes) -> int:
    return sum(map(text.count, (b",", b"[", b"{")))


def _refusal(key: str, sent: int, most: int, what: str) -> BadRequest:
    return BadRequest(f"archgw: {sent:,} {what} are more than the {most:,} it takes; send fewer, or raise {_key(key)}")


def _key(name: str) -> str:
    return f"limits.{name} in the gateway's config.yaml"
