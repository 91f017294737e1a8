"""How an answer goes wrong: each fault turns a good answer into the steps of a bad one. No I/O in here."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from archgw.simulate.steps import (
    Answer,
    Close,
    Head,
    Reset,
    Send,
    Silence,
    Steps,
    Wait,
    good,
    opening,
    stepped,
    without_length,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` is a row of FAULTS. `status` (0: what the vendor would say) is also the error inside a stream.

    `delay_ms` is the length of a delay or the time between pings. `after` counts content events before a break in
    mid-stream. With `model`, only requests for that model are hit.
    """

    kind: str
    status: int = 0
    retry_after: float | None = None
    delay_ms: int = 1000
    after: int = 2
    model: str = ""
    message: str = ""

    def __post_init__(self) -> None:
        if self.kind not in FAULTS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(FAULTS)}")

    @classmethod
    def parse(cls, value: Json) -> "Fault":
        """From the body of POST /_simulate/fault; raises ValueError in words for the user."""
        unknown = set(value) - {field.name for field in fields(cls)}
        if unknown or not isinstance(value.get("kind"), str):
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}" if unknown else "say which kind of fault")
        return cls(**value)

    def hits(self, model: str) -> bool:
        return self.model in ("", model)


def play(answer: Answer, fault: Fault | None = None) -> Steps:
    return FAULTS[fault.kind](answer, fault) if fault else good(answer)


# -- instead of an answer ------------------------------------------------------------------------------------


def status(answer: Answer, _: Fault) -> Steps:
    yield answer.failure_head
    yield Send(answer.failure)


def hang(_: Answer, __: Fault) -> Steps:
    yield Silence()


def reset(_: Answer, __: Fault) -> Steps:
    yield Reset()


def close(_: Answer, __: Fault) -> Steps:
    yield Close()


def html(_: Answer, fault: Fault) -> Steps:
    """A proxy's page where JSON belongs, with whatever status."""
    yield Head(fault.status or 200, (("content-type", "text/html"),))
    yield Send(b"<html><head><title>Just a moment...</title></head><body>Please wait</body></html>")


def redirect(_: Answer, fault: Fault) -> Steps:
    """Somewhere else, to the address that `message` names."""
    yield Head(fault.status or 307, (("location", fault.message), ("content-length", "0")))


# -- late ----------------------------------------------------------------------------------------------------


def slow_headers(answer: Answer, fault: Fault) -> Steps:
    yield Wait(fault.delay_ms / 1000)
    yield from good(answer)


def slow_first(answer: Answer, fault: Fault) -> Steps:
    first = True
    for step, kind in stepped(answer):
        if first and kind == "content":
            yield Wait(fault.delay_ms / 1000)
            first = False
        yield step


def slow_events(answer: Answer, fault: Fault) -> Steps:
    yield from good(replace(answer, delay=fault.delay_ms / 1000))


# -- good headers and no content -----------------------------------------------------------------------------


def silent(answer: Answer, _: Fault) -> Steps:
    yield answer.head
    yield Silence()


def empty(answer: Answer, _: Fault) -> Steps:
    yield without_length(answer.head)


def no_content(answer: Answer, _: Fault) -> Steps:
    """message_start or the role chunk, a ping, and the end."""
    yield from opening(answer)
    yield Send(answer.ping)


def pings_forever(answer: Answer, fault: Fault) -> Steps:
    yield from opening(answer)
    while True:
        yield Send(answer.ping)
        yield Wait(fault.delay_ms / 1000)


def error_first(answer: Answer, _: Fault) -> Steps:
    yield without_length(answer.head)
    yield Send(answer.error_event)


def error_after_start(answer: Answer, _: Fault) -> Steps:
    yield from opening(answer)
    yield Send(answer.error_event)


def error_after_pings(answer: Answer, fault: Fault) -> Steps:
    yield from opening(answer)
    for _ in range(fault.after):
        yield Send(answer.ping)
        yield Wait(fault.delay_ms / 1000)
    yield Send(answer.error_event)


# -- broken in the middle ------------------------------------------------------------------------------------


ARRIVAL = 0.05  # seconds: what came before arrives by itself, and is not thrown away with the connection


def error_after_content(answer: Answer, fault: Fault) -> Steps:
    yield from beginning(replace(answer, head=without_length(answer.head)), fault)
    yield Wait(ARRIVAL)
    yield Send(answer.error_event)


def reset_after_content(answer: Answer, fault: Fault) -> Steps:
    yield from beginning(answer, fault)
    yield Wait(ARRIVAL)
    yield Reset()


def close_after_content(answer: Answer, fault: Fault) -> Steps:
    yield from beginning(answer, fault)
    yield Wait(ARRIVAL)
    yield Close()


def end_after_content(answer: Answer, fault: Fault) -> Steps:
    """HTTP ends well, the vendor's grammar does not: no stop reason, no last event."""
    yield from beginning(replace(answer, head=without_length(answer.head)), fault)


def stall_after_content(answer: Answer, fault: Fault) -> Steps:
    yield from beginning(answer, fault)
    yield Silence()


# -- bytes that are not what they say ------------------------------------------------------------------------


def malformed(answer: Answer, _: Fault) -> Steps:
    """Events that no parser can read, at the place of the first content."""
    yield from opening(answer)
    yield Send(b"data: {not json\n\ndata\xff\xfe: nonsense\n\n")


def truncated(answer: Answer, fault: Fault) -> Steps:
    """JSON cut in half: an unstreamed body, or the event after `after` others. HTTP itself is in order."""
    longer = replace(fault, after=fault.after + 1)
    steps = list(beginning(replace(answer, head=without_length(answer.head)), longer))
    last = steps.pop()
    yield from steps
    if isinstance(last, Send):
        yield Send(last.data if not answer.streamed else last.data[: len(last.data) // 2])


def gzipped(answer: Answer, _: Fault) -> Steps:
    """Compressed, whatever the client said that it accepts."""
    press = zlib.compressobj(wbits=31)
    for step in good(answer):
        match step:
            case Head(status, _):
                yield Head(status, (*without_length(step).headers, ("content-encoding", "gzip")))
            case Send(data):
                yield Send(press.compress(data) + press.flush(zlib.Z_SYNC_FLUSH))
            case _:
                yield step
    yield Send(press.flush())


def telltale(answer: Answer, _: Fault) -> Steps:
    """A good answer, with headers about the account that it was given to, and cookies."""
    for step in good(answer):
        yield Head(step.status, (*step.headers, *TELLTALES)) if isinstance(step, Head) else step


TELLTALES = (
    ("set-cookie", "__cf_bm=mark; path=/; HttpOnly"),
    ("set-cookie", "session=mark"),
    ("openai-organization", "mark"),
    ("openai-project", "mark"),
    ("anthropic-organization-id", "mark"),
    *((f"anthropic-ratelimit-{name}", "mark") for name in ("requests-limit", "tokens-remaining", "unified-status")),
    *((f"x-ratelimit-{name}", "mark") for name in ("limit-requests", "remaining-tokens", "reset-tokens")),
    *((name, "mark") for name in ("cf-ray", "cf-cache-status", "via", "x-powered-by", "server", "x-amzn-requestid")),
    *((name, "mark") for name in ("x-envoy-upstream-service-time", "alt-svc", "strict-transport-security", "link")),
    *((name, "mark") for name in ("x-arch-model", "x-arch-reason", "x-archgw-chain", "x-ms-region", "azureml-model")),
    *(
        (name, "mark")
        for name in ("access-control-allow-origin", "access-control-allow-credentials", "www-authenticate")
    ),
    *((name, "mark") for name in ("location", "refresh", "content-security-policy", "nel", "report-to", "p3p")),
)


def bad_arguments(answer: Answer, _: Fault) -> Steps:
    """The shell breaks the arguments of tool calls before the answer is rendered; the rest is a good answer."""
    yield from good(answer)


FAULTS: dict[str, Callable[[Answer, Fault], Steps]] = {
    "status": status,
    "hang": hang,
    "reset": reset,
    "close": close,
    "html": html,
    "redirect": redirect,
    "slow_headers": slow_headers,
    "slow_first": slow_first,
    "slow_events": slow_events,
    "silent": silent,
    "empty": empty,
    "no_content": no_content,
    "pings_forever": pings_forever,
    "error_first": error_first,
    "error_after_start": error_after_start,
    "error_after_pings": error_after_pings,
    "error_after_content": error_after_content,
    "reset_after_content": reset_after_content,
    "close_after_content": close_after_content,
    "end_after_content": end_after_content,
    "stall_after_content": stall_after_content,
    "malformed": malformed,
    "truncated": truncated,
    "gzip": gzipped,
    "telltale": telltale,
    "bad_arguments": bad_arguments,
}
INSTEAD = frozenset(
    ("status", "hang", "reset", "close", "html", "redirect")
)  # these need no answer that they could spoil


# -- pieces of an answer -------------------------------------------------------------------------------------


def beginning(answer: Answer, fault: Fault) -> Steps:
    """Up to `after` content events, or the first half of an unstreamed body, whose length is then a lie."""
    yield answer.head
    left = fault.after
    for frame in answer.frames:
        if frame.kind == "closing" or (frame.kind == "content" and left == 0):
            return
        left -= frame.kind == "content"
        yield Send(frame.data)
