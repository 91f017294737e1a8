"""What becomes of each kind of failure: python tests/failures.py writes docs/failures.md; a test holds it there.

Every cell is measured, with the real Envoy: a provider is made to fail in this way, once for each client and form, and
it is written down who was asked, what the client got, what was recorded, and who is asked next.
"""

import asyncio
import datetime
import json
import re
import socket
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import aiohttp
import grpc
import trustme
from archgw import client
from archgw.simulate import Fault, Simulator
from stack import Answer, Gateway, gateway

from router_service.config import Failover
from router_service.pb import router_pb2 as pb
from router_service.torn import COOL_FOR

PAGE = Path(__file__).parent.parent / "docs" / "failures.md"
PATHS = {"Anthropic": "/v1/messages", "OpenAI": "/v1/chat/completions"}
Then = Literal["served", "next", "lack", "stays", "ends", "torn"]
Held = Literal["nothing", "a failure", "a break", "both"]
HELD: dict[Then, Held] = {
    "served": "nothing",
    "next": "a failure",
    "lack": "nothing",
    "stays": "nothing",
    "ends": "a break",
    "torn": "both",
}
SECOND = "anthropic/claude-sonnet-4-5"
MODELS = {"openai": "openai/gpt-4o-mini", "anthropic": "anthropic/claude-haiku-4-5"}


@dataclass(frozen=True)
class Row:
    """`where` is the broken provider: a vendor whose simulation plays `fault`, or a place of PLACES. `words` stand in
    what is recorded of it.

    `then`: `served` by it all the same; `next`: the second answers, and it has failed; `lack`: the second answers, and
    nobody has failed; `stays`: the client hears the refusal; `ends`: after content, with an error event; `torn`: after
    content, with the connection.
    """

    name: str
    then: Then
    words: str
    fault: Fault | None = None
    where: str = "openai"
    forms: Sequence[bool] = (False, True)  # streamed?
    image: bool = False
    held: Held | None = None  # against it; else as HELD has it


def status(code: int, message: str = "", retry_after: float | None = None) -> Fault:
    return Fault("status", status=code, message=message, retry_after=retry_after)


STREAMED, WHOLE = (True,), (False,)
WINDOW = "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens."
EYES = "Invalid content type. image_url is only supported by certain models."
SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"
START_RESET, BODY_RESET = Fault("reset_after_content", after=0), Fault("reset_after_content")
ENDED = "The stream ended before the answer did."

SECTIONS: dict[str, tuple[Row, ...]] = {
    "It cannot be reached": (
        Row("refuses the connection", "next", "could not be connected to", where="closed"),
        Row("its name does not resolve", "next", "has no address that answers", where="unresolvable"),
        Row("its certificate is for another name", "next", "could not be trusted: TLS", where="wrong name"),
        Row("its certificate has expired", "next", "could not be trusted: TLS", where="expired"),
        Row("does not take the connection within 5 s", "next", "could not be reached in time", where="full"),
        Row("resets before its headers", "next", "closed the connection before it answered", Fault("reset")),
        Row("closes before its headers", "next", "closed the connection before it answered", Fault("close")),
    ),
    "It answers with an error": (
        *(Row(f"{code}", "next", f"answered {code}", status(code)) for code in (500, 502, 503, 504, 529)),
        Row("429 with Retry-After", "next", "answered 429", status(429, retry_after=7)),
        Row("429 without", "next", "answered 429", status(429)),
        Row("401, the key was revoked", "next", "answered 401", status(401)),
        Row("403", "next", "answered 403", status(403)),
        Row("404, no such model", "next", "answered 404", status(404)),
        Row("400, the client's mistake", "stays", "Bad request", status(400)),
        Row("400, too long; the second has a larger window", "lack", "prompt is too long", status(400, WINDOW)),
        Row(
            "400, too long; nobody has a larger window",
            "stays",
            "prompt is too long",
            status(400, "prompt is too long: 210000 tokens > 200000 maximum"),
            where="anthropic",
        ),
        Row("400, it does not see images", "lack", "image_url is only supported", status(400, EYES), image=True),
        Row("400, a signature it does not know", "lack", "`signature`", status(400, SIGNATURE), where="anthropic"),
        Row("413", "lack", "answered 413", status(413, "Request exceeds the maximum size"), where="anthropic"),
    ),
    "It is late": (
        Row("slow, but within the limit", "served", "", Fault("slow_headers", delay_ms=300)),
        Row("no first byte within the limit", "next", "within", Fault("hang")),
        Row("headers, then silence", "next", "within", Fault("silent")),
        Row("headers and pings, no content", "next", "within", Fault("pings_forever", delay_ms=50), forms=STREAMED),
    ),
    "It says 200 and has no answer": (
        Row("an error as the first event", "next", "failed before its", Fault("error_first"), "both", STREAMED),
        Row("an error as the body", "next", "", Fault("error_first"), "both", WHOLE),
        Row("its start, then an error", "next", "failed before", Fault("error_after_start"), "both", STREAMED),
        Row("pings, then an error", "next", "failed before", Fault("error_after_pings", delay_ms=20), "both", STREAMED),
        Row("an empty stream", "next", "ended before the answer did", Fault("empty"), "both", STREAMED),
        Row("an empty body", "next", "no answer of its API", Fault("empty"), "both", WHOLE),
        Row("its start, a ping and the end", "next", "ended before the", Fault("no_content"), "both", STREAMED),
        Row("events that nobody can read", "next", "sent something that is no", Fault("malformed"), "both", STREAMED),
        Row("its start, then a reset", "next", "broke off after", START_RESET, "both", STREAMED, held="a break"),
        Row("half a body, then a reset", "next", "broke off after", BODY_RESET, "both", WHOLE, held="a break"),
        Row("JSON cut in half", "next", "no answer of its API", Fault("truncated"), "both", WHOLE),
        Row("a page of HTML", "next", "no answer of its API", Fault("html"), "both"),
        Row("gzip, though identity was asked for", "served", "", Fault("gzip"), "both"),
    ),
    "It breaks off after content": (
        Row("an error event", "ends", "", Fault("error_after_content"), "both", STREAMED),
        Row("the stream ends, the answer does not", "ends", ENDED, Fault("end_after_content"), "both", STREAMED),
        Row("half an event, and the end", "ends", "", Fault("truncated"), "both", STREAMED),
        Row("silence", "ends", "fell silent", Fault("stall_after_content"), "both", STREAMED),
        Row("a reset", "torn", "", Fault("reset_after_content"), "both", STREAMED),
        Row("the connection closes", "torn", "", Fault("close_after_content"), "both", STREAMED),
    ),
}  # fmt: skip
ROWS = [row for rows in SECTIONS.values() for row in rows]
RACE = Row(
    "closes with its first content", "torn", "", Fault("close_after_content"), "both", STREAMED
)  # no line of the page


@dataclass(frozen=True)
class Form:
    """One way to ask: whose client, streamed or not, and the candidate that is to fail, which is asked but once."""

    row: Row
    client: str
    streamed: bool
    vendor: str
    name: str

    @property
    def path(self) -> str:
        return PATHS[self.client]

    @property
    def body(self) -> dict[str, Any]:
        said: Any = "hello"
        if self.row.image:
            said = [IMAGE[self.client], {"type": "text", "text": "what is it?"}]
        body = {"model": self.name, "max_tokens": 100, "messages": [{"role": "user", "content": said}]}
        return body | {"stream": self.streamed}


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {
    "Anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
    "OpenAI": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
}


def forms() -> list[Form]:
    """A candidate of its own for each, so that none is put aside for what another row did to it."""
    listed = [
        (row, client, streamed, vendor)
        for row in (*ROWS, RACE)
        for client in PATHS
        for streamed in row.forms
        for vendor in (MODELS if row.where == "both" else (row.where if row.where in MODELS else "openai",))
    ]
    return [Form(*one, name=f"t{at}") for at, one in enumerate(listed)]


FORMS = forms()


# -- the stack -----------------------------------------------------------------------------------------------------

LIMITS = Failover(attempts=3, first_content_timeout=8.0, whole_answer_timeout=8.0, stall_timeout=2.0, put_aside_after=1)


@dataclass
class Stack:
    """A gateway with a candidate for each form; `broken` are the simulated vendors that play faults."""

    running: Gateway
    broken: dict[str, Simulator]


@asynccontextmanager
async def stack(folder: Path) -> AsyncIterator[Stack]:
    async with AsyncExitStack() as kept:
        broken = {vendor: await kept.enter_async_context(Simulator(vendor)) for vendor in MODELS}
        second = await kept.enter_async_context(Simulator("anthropic"))
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        expired = authority.issue_cert("localhost", not_before=past, not_after=past + datetime.timedelta(days=1))
        urls = {vendor: broken[vendor].url for vendor in MODELS}
        for place, certificate in (("wrong name", authority.issue_cert("elsewhere.test")), ("expired", expired)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            server = await kept.enter_async_context(Simulator("openai", ssl_context=context))
            urls[place] = f"https://localhost:{server.port}"
        closed, full = bound(kept), bound(kept)
        full.listen(0)
        for _ in range(4):  # more than its backlog holds: whoever comes now waits for ever
            waiting = socket.socket()
            kept.callback(waiting.close)
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        urls |= {
            place: f"http://127.0.0.1:{one.getsockname()[1]}" for place, one in (("closed", closed), ("full", full))
        }
        urls["unresolvable"] = "http://no-such-host.invalid:81"
        environment = {"SSL_CERT_FILE": str(folder / "ca.pem")}
        config = config_of(urls)
        running = await kept.enter_async_context(gateway(folder, config, {"second": second}, environment))
        yield Stack(running, broken)


def bound(kept: AsyncExitStack) -> socket.socket:
    one = socket.socket()
    kept.callback(one.close)
    one.bind(("127.0.0.1", 0))
    return one


def config_of(urls: dict[str, str]) -> str:
    entries = "".join(
        f"\n  - {{name: {form.name}, model: {MODELS[form.vendor]}, access_key: k,"
        f" base_url: '{urls[form.vendor if form.row.where == 'both' else form.row.where]}'}}"
        for form in FORMS
    )
    return f"""
listeners: {{egress_traffic: {{port: $PORT}}}}
llm_providers:
  - {{model: {SECOND}, access_key: k, base_url: "$URL_SECOND", default: true}}{entries}
failover:
  attempts: {LIMITS.attempts}
  first_content_timeout: {LIMITS.first_content_timeout:g}s
  whole_answer_timeout: {LIMITS.whole_answer_timeout:g}s
  stall_timeout: {LIMITS.stall_timeout:g}s
  put_aside_after: {LIMITS.put_aside_after}
  never: [{", ".join(form.name for form in FORMS)}]
"""


# -- what is seen --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """Of one form. `tried` and `again` (who answers when the client asks once more) say `first` and `second`; `ended`
    how the client's stream or answer did. `put_aside`: by Envoy, which here does it at the first failure; `cools`: by
    us.

    `told` is the body that the client got, for those who look closer.
    """

    tried: tuple[str, ...]
    status: int
    ended: Literal["whole", "error event", "torn", "refused"]
    heard: str
    recorded: str
    error: str
    put_aside: bool
    again: str = ""
    cools: bool = False
    told: bytes = field(default=b"", compare=False)


async def observe_row(stack: Stack, row: Row) -> dict[Form, Seen]:
    """All forms of a row at once: they fail in the same way, each with a candidate of its own."""
    mine = [form for form in FORMS if form.row is row]
    for form in mine:
        if row.fault:
            stack.broken[form.vendor].fail_next(row.fault)
    seen = await asyncio.gather(*(observe(stack.running, form) for form in mine))
    assert not any(broken._next for broken in stack.broken.values()), "each fault was played"
    again = await asyncio.gather(*(stack.running.ask(form.body, form.path) for form in mine))
    return {
        form: replace(
            one,
            again=role(form, answer.headers["x-arch-model"]),
            cools=f"{form.name} is to be left alone" in answer.headers["x-arch-reason"],
        )
        for form, one, answer in zip(mine, seen, again, strict=True)
    }


async def observe(running: Gateway, form: Form) -> Seen:
    answer, torn = await asked(running, form)
    told = await explained(running, answer.headers["x-arch-request-id"])
    ejected = (await running.ejected())[form.name]
    first = told.tries[0]
    return Seen(
        tried=tuple(role(form, one.model) for one in told.tries),
        status=answer.status,
        ended=ending(form, answer, torn=torn),
        heard=plain(form, words(form, answer)),
        recorded=plain(form, f"{first.status or '-'} {first.trouble}".strip()),
        error=plain(form, told.request.error),
        put_aside=ejected,
        told=answer.body,
    )


async def asked(running: Gateway, form: Form) -> tuple[Answer, bool]:
    """The answer as far as it came, and whether the connection broke in the middle of it."""
    body = b""
    async with running.client.post(f"{running.url}{form.path}", json=form.body) as reply:
        try:
            async for chunk in reply.content.iter_any():
                body += chunk
        except aiohttp.ClientError:
            return Answer(reply.status, dict(reply.headers), body), True
        return Answer(reply.status, dict(reply.headers), body), False


async def explained(running: Gateway, request: str) -> pb.Explanation:
    """What the journal keeps of a request, as soon as it has ended."""
    for _ in range(600):
        try:
            return await asyncio.to_thread(client.explain, running.home, request, "")
        except grpc.RpcError:
            await asyncio.sleep(0.05)
    raise AssertionError(f"nothing was recorded of {request}")


def role(form: Form, label: str) -> str:
    return {form.name: "first", SECOND: "second"}[label]


def ending(form: Form, answer: Answer, *, torn: bool) -> Literal["whole", "error event", "torn", "refused"]:
    if torn:
        return "torn"
    if answer.status != 200:
        return "refused"
    if form.streamed:
        last = answer.body.strip().rpartition(b"\n\n")[2]
        clean = b"message_stop" in last if form.client == "Anthropic" else last == b"data: [DONE]"
        return "whole" if clean else "error event"
    return "whole" if answer.text else "refused"


def words(form: Form, answer: Answer) -> str:
    """Of the error, where there is one."""
    if answer.status != 200:
        return str(answer.json["error"]["message"])
    last = answer.body.strip().rpartition(b"data: ")[2] if form.streamed else b""
    told = json.loads(last) if last.startswith(b"{") and last.endswith(b"}") else {}
    return str(told["error"]["message"]) if "error" in told else ""


def plain(form: Form, text: str) -> str:
    """Without what differs from run to run: whose turn it was, and tenths of seconds."""
    text = re.sub(rf"\b{form.name}\b", "MODEL", text)
    return re.sub(r"after \d+\.\d s", "after N s", text)


# -- the page ------------------------------------------------------------------------------------------------------

AFTER, FOR = Failover().put_aside_after, Failover().put_aside_for
HEAD = f"""# When a provider fails

Written by `python tests/failures.py`, which makes a provider fail in each of these ways behind the real Envoy, streamed
and unstreamed, for clients of Anthropic's and of OpenAI's dialect, and writes down what became of it. *First* is the
provider that fails, *second* the next model of the chain. Where a line names no client and no form, all of them had the
same. The wording of a vendor is that of its simulation. A dash stands for an answer that was none. The limits were
{LIMITS.first_content_timeout:g} s to the first content and {LIMITS.stall_timeout:g} s of silence after it, in place \
of {Failover().first_content_timeout:g} s and {Failover().stall_timeout:g} s, and a model was put aside at its first
failure, so that it shows.

- **a failure**: Envoy puts the model aside after {AFTER} of them in a row (`failover.put_aside_after`), for {FOR:g} s \
at first
  (`failover.put_aside_for`) and longer each time it happens again. Any answer that begins ends the row, also
  one that is cut off later: so of torn streams alone Envoy never puts a model aside, unless the first failure does.
- Besides, a model that answers 429 or 529, or a 503 that says for how long, is left alone for that time
  (`failover.cool_for`, `failover.cool_at_most`): others answer first, except where the client names it.
- **a break**: no request begins with the model for {COOL_FOR:g} s, as long as another of its chain may answer; so the
  client's own retry lands elsewhere.
- **both** of them.
- **nothing**: the model did nothing wrong. What it lacks (a window, eyes, hands, a state of reasoning that it knows, a
  size) is looked for in the rest of the chain, and where nobody has it, the client hears the refusal.

Nothing of a streamed answer reaches the client before its first content: the first text, thinking or call of a tool. So
whatever goes wrong before it costs the client time alone. After it nobody else can go on with the answer: it ends with
an error event in the client's dialect. Where the vendor tears the connection, Envoy tears the client's: the client sees
that the answer is not whole, and no error event can be put in between.

When all have failed, the client gets one error that names each of them and what it answered: 429 or 402 where all said
so, 403 where all refused their key (a 401 makes some clients hang), 504 where all were late, else 503; `Retry-After` is
passed on. If one of them has called the request too long, the client hears that instead, in the words on which it
compacts: it helps even while those with larger windows are down.
"""


def page(seen: dict[Form, Seen]) -> str:
    lines = [HEAD]
    for section, rows in SECTIONS.items():
        lines += [f"## {section}", "", "| what it does | asked | the client gets | recorded | held against it |"]
        lines.append("|---" * 5 + "|")
        for row in rows:
            mine = {form: one for form, one in seen.items() if form.row is row}
            lines += [line(row, told, mine) for told in dict.fromkeys(mine.values())]
        lines.append("")
    return "\n".join(lines)


def line(row: Row, told: Seen, mine: dict[Form, Seen]) -> str:
    kinds = {form: form for form, one in mine.items() if one == told}
    same = len(kinds) == len(mine)
    who = "" if same else f" ({which(list(kinds), list(mine))})"
    cells = (f"{row.name}{who}", ", ".join(told.tried), gets(told), recorded(told), held(told))
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def which(some: list[Form], of: list[Form]) -> str:
    """What sets these forms apart from the others of the row."""
    facts = {
        "streamed" if some[0].streamed else "unstreamed": lambda form: form.streamed,
        f"{some[0].client} client": lambda form: form.client,
        f"{some[0].vendor.capitalize().replace('ai', 'AI')} model": lambda form: form.vendor,
    }
    apart = [words for words, of_form in facts.items() if len({*map(of_form, some)}) == 1 < len({*map(of_form, of)})]
    return ", ".join(apart)


def gets(told: Seen) -> str:
    match told.ended:
        case "whole":
            return f"the {told.tried[-1]}'s answer"
        case "refused":
            return f"{told.status}: {told.heard}"
        case "error event":
            return f"what came, and an error event: {told.heard}"
        case "torn":
            return "what came, and a torn connection"


def recorded(told: Seen) -> str:
    words = f"{told.recorded}; {told.error}" if told.error and told.error not in told.recorded else told.recorded
    return words if len(words) <= 220 else f"{words[:219]}…"


def held(told: Seen) -> Held:
    words: dict[tuple[bool, bool], Held] = {(True, True): "both", (True, False): "a failure", (False, True): "a break"}
    return words.get((told.put_aside, told.cools), "nothing")


async def write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with stack(Path(folder)) as running:
            seen = {}
            for row in ROWS:
                seen |= await observe_row(running, row)
                sys.stdout.write(f"{row.name}\n")
    PAGE.write_text(page(seen), "utf-8")


if __name__ == "__main__":
    asyncio.run(write())
