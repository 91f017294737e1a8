"""Marked secrets go through a whole gateway, in good days and bad; then everything that it left or said is searched.

What is told on purpose: `archgw why` tells the user what was asked and what a vendor said, from memory, over a socket
that he alone can open; `archgw route` tells what he has just typed. ARCHGW_SHOW_ASKS is not set here.
"""

import asyncio
import hashlib
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from archgw.home import Home, Stack
from archgw.simulate import Fault, Simulator
from collector import Collector, collector
from programs import finished
from stack import CODE, free_port

from router_service.shell import unix_http

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 120.0  # seconds for one command
EXPORTED = "sk-proj-zqexportedzq0123456789"  # the one key that is in the environment instead of .env
KEYS = {"openai": EXPORTED, "anthropic": "zqanthropiczq0123456789", "deepseek": "zqdeepseekzq0123456789"}
CLIENT, WRONG = f"archgw-{'5e' * 32}", f"archgw-{'7a' * 32}"
LOGIN = "sk-ant-oat01-zqloginzq0123456789"
IN_QUERY, IN_HEADER = "zqqueryzq", "zqheaderzq"
WORDS = {name: f"zq{name}zq" for name in ("system", "prompt", "toolresult", "answer", "toolinput", "typed", "broken")}
SECRETS = {
    **KEYS,
    "client key": CLIENT,
    "wrong key": WRONG,
    "login": LOGIN,
    "key in a query": IN_QUERY,
    "key of the collector": IN_HEADER,
}
MARKS = SECRETS | WORDS
VENDORS = ("openai", "anthropic", "deepseek")
MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
clients: [{name: laptop, key: "sha256:$HASH"}]
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
  - {model: deepseek/deepseek-chat, access_key: $DEEPSEEK_API_KEY, base_url: "$URL_DEEPSEEK"}
  - {model: anthropic/claude-opus-4-8, name: mine, passthrough_auth: true, base_url: "$URL_ANTHROPIC"}
routing_preferences:
  - {name: shell, description: "running commands in a terminal, in bash", models: [gpt-4o-mini]}
  - {name: poetry, description: "writing poems and verses about flowers", models: [deepseek-chat]}
routing: {deadline: 10s}
failover: {first_content_timeout: 5s, whole_answer_timeout: 5s, put_aside_after: 100000, cool_at_most: 0}
telemetry: {otlp: "$COLLECTOR"}
"""
# Errors of our own, with all that must not be told in their words: within the machines, and outside of them.
PROVOKED = """
import sys
if "router_service" in " ".join(sys.orig_argv):
    from router_service import upstream
    from router_service.attempt import Attempt
    from router_service.shell.hop import Hop

    heed, answer = Attempt._heed, Hop._answer

    def told(attempt):
        return attempt._exchange.body.decode() + str(upstream.render(attempt._exchange, attempt._candidate).headers)

    def _heed(self, judgement, now):
        if judgement and b"provoke-within" in self._exchange.body:
            raise ValueError(told(self))
        return heed(self, judgement, now)

    def _answer(self, effect):
        exchange = getattr(self._machine, "_exchange", None)
        if exchange and b"provoke-outside" in exchange.body:
            raise RuntimeError(told(self._machine))
        answer(self, effect)

    Attempt._heed, Hop._answer = _heed, _answer
"""


@dataclass
class World:
    """A gateway that was started by its own command line, and all that is found out about it."""

    folder: Path
    providers: dict[str, Simulator]
    client: aiohttp.ClientSession
    url: str
    collector: Collector
    found: dict[str, bytes] = field(default_factory=dict)
    replies: list[bytes] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return Home(self.folder / "user" / ".archgw")

    @property
    def stack(self) -> Stack:
        stack = self.home.stack()
        assert stack
        return stack

    async def archgw(self, *arguments: str, said: str = "") -> bytes:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder / "user"),
            "ARCHGW_HOME": str(self.home.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": os.pathsep.join([str(self.folder / "site"), *CODE.values()]),
            "COLUMNS": "300",
            "OPENAI_API_KEY": EXPORTED,
        }
        command = [sys.executable, "-m", "archgw", *arguments]
        careless = ["/bin/sh", "-c", 'umask 000; exec "$@"', "sh", *command]
        _, out, err = await finished(careless, self.folder, environment, patience=PATIENCE, said=said)
        return (out + err).encode()

    async def ask(self, path: str, body: Any, **headers: str) -> int:
        sent = {"content-type": "application/json", "x-api-key": CLIENT, **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client.post(self.url + path, data=data, headers=sent) as reply:
            self.replies.append(await reply.read())
            return reply.status

    async def until_well(self) -> None:
        for _ in range(1200):
            try:
                if await self.ask(MESSAGES, body(MESSAGES, "are you well?", script="")) == 200:
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
        raise AssertionError("the gateway did not come back")


def body(path: str, prompt: str = "", *, stream: bool = False, model: str = "arch.main.v1", script: str = "") -> Any:
    """A conversation in the middle of a tool loop, with a mark in every place; or a new question."""
    script = script or json.dumps([[{"tool": "ls", "input": {"d": 1}}], [{"text": f"It says {WORDS['answer']}."}]])
    words = f"run a command in bash: {WORDS['prompt']} {prompt} @@{script}@@"
    arguments = {"dir": WORDS["toolinput"]}
    if path == MESSAGES:
        messages: list[Any] = [
            {"role": "user", "content": words},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "ls", "input": arguments}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": WORDS["toolresult"]}],
            },
        ]
        tool = {"name": "ls", "description": "lists", "input_schema": {"type": "object"}}
        return {"model": model, "max_tokens": 200, "stream": stream, "system": WORDS["system"], "tools": [tool]} | {
            "messages": messages
        }
    if path == CHAT:
        called = {"id": "call_1", "type": "function", "function": {"name": "ls", "arguments": json.dumps(arguments)}}
        messages = [
            {"role": "system", "content": WORDS["system"]},
            {"role": "user", "content": words},
            {"role": "assistant", "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "call_1", "content": WORDS["toolresult"]},
        ]
        tool = {"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}
        return {"model": model, "stream": stream, "messages": messages, "tools": [tool]}
    items = [
        {"role": "user", "content": words},
        {"type": "function_call", "call_id": "call_1", "name": "ls", "arguments": json.dumps(arguments)},
        {"type": "function_call_output", "call_id": "call_1", "output": WORDS["toolresult"]},
    ]
    tool = {"type": "function", "name": "ls", "parameters": {"type": "object"}, "strict": False}
    return {"model": model, "stream": stream, "instructions": WORDS["system"], "input": items, "tools": [tool]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("leaks")
    for name in ("user", "tmp", "site"):
        (folder / name).mkdir()
    (folder / "site" / "sitecustomize.py").write_text(PROVOKED)
    async with AsyncExitStack() as stack:
        providers = {name: await stack.enter_async_context(Simulator(name)) for name in VENDORS}
        client = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)))
        port = free_port()
        config = CONFIG.replace("$PORT", str(port)).replace("$HASH", hashlib.sha256(CLIENT.encode()).hexdigest())
        for name, provider in providers.items():
            config = config.replace(f"$URL_{name.upper()}", provider.url)
        there = stack.enter_context(collector())
        (folder / "config.yaml").write_text(config.replace("$COLLECTOR", there.url))
        variables = {f"{name.upper()}_API_KEY": KEYS[name] for name in ("anthropic", "deepseek")}
        variables["OTEL_EXPORTER_OTLP_HEADERS"] = f"x-key={IN_HEADER}"
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        world = World(folder, providers, client, f"http://127.0.0.1:{port}", there)
        world.found["up"] = await world.archgw("up", "config.yaml")
        assert b"archgw is up" in world.found["up"], world.found["up"].decode()
        try:
            await good_days(world)
            await bad_days(world)
            await look_around(world)
        finally:
            world.found["down"] = await world.archgw("down")
        world.found["the collector"] = b"".join(body for _, body in world.collector.bodies)
        for path in files(world):
            world.found[f"file {path.relative_to(folder)}"] = path.read_bytes()
        yield world


def files(world: World) -> Iterator[Path]:
    for root in (world.folder / "user", world.folder / "tmp"):
        yield from (path for path in root.rglob("*") if path.is_file())


async def good_days(world: World) -> None:
    for path in (MESSAGES, CHAT, RESPONSES):
        for stream in (False, True):
            for model in ("arch.main.v1", "claude-sonnet-4-5", "deepseek-chat"):
                assert await world.ask(path, body(path, stream=stream, model=model)) == 200, world.replies[-1]
    login = {"x-arch-key": CLIENT, "authorization": f"Bearer {LOGIN}"}
    asked = body(MESSAGES, model="mine")
    async with world.client.post(world.url + MESSAGES, json=asked, headers=login) as reply:
        assert reply.status == 200
    counted = {name: value for name, value in asked.items() if name not in ("max_tokens", "stream")} | {
        "model": "claude-sonnet-4-5"
    }
    ended = {"role": "assistant", "content": f"It said {WORDS['answer']}."}
    told = [*asked["messages"], ended, {"role": "user", "content": f"and now a poem about {WORDS['prompt']}"}]
    assert await world.ask(MESSAGES, asked | {"messages": told, "model": "arch.main.v1"}) == 200
    assert await world.ask("/v1/messages/count_tokens", counted) == 200
    complaint = [*asked["messages"], ended, {"role": "user", "content": f"No, that's wrong: {WORDS['prompt']}"}]
    assert await world.ask(MESSAGES, asked | {"messages": complaint, "model": "arch.main.v1"}) == 200
    for said, status in (
        ({"rating": "bad", "should_be": "shell"}, 200),
        ({"should_be": WORDS["typed"]}, 400),
        ({"rating": WORDS["typed"]}, 400),
        ({"rating": "bad", "session": WORDS["typed"]}, 404),
    ):
        assert await world.ask("/v1/feedback", {"request": "last"} | said) == status


def quoting(vendor: str) -> str:
    """What a vendor says who quotes all that it has been sent."""
    return f"no such key: {KEYS[vendor]}; you said {' '.join(WORDS.values())}"


async def bad_days(world: World) -> None:
    openai = world.providers["openai"]
    for path in (MESSAGES, CHAT):
        for status in (400, 401, 429, 500):
            openai.fail_next(Fault("status", status=status, message=f"{quoting('openai')} in org-zqorgzq1"))
            await world.ask(path, body(path, model="gpt-4o-mini"))
        openai.fail_next(Fault("redirect", message=f"http://127.0.0.1:9/{KEYS['deepseek']}"))
        await world.ask(path, body(path, model="gpt-4o-mini"))
        for kind in ("error_first", "error_after_content", "reset", "html", "truncated", "malformed"):
            openai.fail_next(Fault(kind, message=quoting("openai")))
            await world.ask(path, body(path, model="gpt-4o-mini", stream=True))
        for provoked in ("within", "outside"):
            await world.ask(path, body(path, f"provoke-{provoked}", model="gpt-4o-mini"))
    for name, provider in world.providers.items():
        provider.fault = Fault("status", status=401, message=quoting(name))
    assert await world.ask(MESSAGES, body(MESSAGES)) == 403
    for provider in world.providers.values():
        provider.clear()
    assert await world.ask(MESSAGES, body(MESSAGES), **{"x-api-key": WRONG}) == 403
    assert await world.ask(f"{MESSAGES}?key={IN_QUERY}&token={KEYS['openai']}", body(MESSAGES)) == 200
    assert await world.ask(f"/v1/nothing?key={IN_QUERY}", body(MESSAGES)) == 404
    odd = body(MESSAGES)
    odd["messages"][0] = {"role": WORDS["broken"], "content": [{"type": WORDS["broken"], "text": 1}]}
    for broken in (b'{"messages": "' + WORDS["broken"].encode(), odd, odd | {"max_tokens": WORDS["broken"]}):
        await world.ask(MESSAGES, broken)
    openai.fail_next(Fault("hang"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.ask(MESSAGES, body(MESSAGES, model="gpt-4o-mini")), 0.5)
    await look_back(world, "before the restart")
    os.kill(processes(world)["router"], signal.SIGKILL)
    await world.until_well()
    os.kill(processes(world)["envoy"], signal.SIGKILL)
    await world.until_well()
    openai.fail_next(Fault("status", status=401, message=quoting("openai")))
    await world.ask(MESSAGES, body(MESSAGES, model="gpt-4o-mini"))


def processes(world: World) -> dict[str, int]:
    """The supervisor and its children, by name."""
    found = {"supervisor": world.stack.pid}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            command = (entry.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent == world.stack.pid:
            known = {b"router_service": "router", b"archgw.dashboard": "dashboard"}
            name = next((name for part, name in known.items() if part in command), "envoy")
            found[name] = int(entry.parent.name)
    return found


async def look_around(world: World) -> None:
    found = world.found
    bad = world.folder / "bad.yaml"
    bad.write_text(
        f"llm_providers:\n  - model: openai/gpt-4o\n    access_key: [{EXPORTED}]\n   api_key: {LOGIN}\n"
        f"clients: [{{name: a, key: {CLIENT}}}]\n"
    )
    session = json.dumps({"session_id": "zq"})
    await look_back(world, "at the end")
    for name, arguments, said in (
        ("check", ["check", "config.yaml"], ""),
        ("check of a bad config", ["check", "bad.yaml"], ""),
        ("up with a bad config", ["up", "bad.yaml"], ""),
        ("render envoy", ["render", "envoy", "config.yaml"], ""),
        ("logs", ["logs", "-n", "100000"], ""),
        ("route", ["route", f"{WORDS['typed']}, in bash", "--explain"], ""),
        ("route --json", ["route", f"{WORDS['typed']}, in bash", "--explain", "--json"], ""),
        ("statusline", ["statusline"], session),
        ("cli-agent --dry-run", ["cli-agent", "claude", "--dry-run", "--feedback-commands"], ""),
        ("bad", ["bad", "--should-be", "poetry"], ""),
        ("unrate", ["unrate"], ""),
        ("prompt-hook", ["prompt-hook"], json.dumps({"prompt": WORDS["typed"], "session_id": "zq"})),
    ):
        found[name] = await world.archgw(*arguments, said=said)
    for page in ("config_dump?include_eds", "clusters?format=json", "stats", "stats/prometheus", "server_info"):
        status, found[f"admin /{page}"] = await asyncio.to_thread(unix_http.ask, world.home.admin_socket, f"/{page}")
        assert status == 200
    for arguments in (["stats"], ["stats", "--by", "session", "--json"], ["reload"]):
        found[" ".join(arguments)] = await world.archgw(*arguments)
    async with world.client.get(f"{world.url}/archgw/metrics", headers={"x-api-key": CLIENT}) as reply:
        assert reply.status == 200
        found["metrics"] = await reply.read()
    found |= dict(seen_from_outside(world))
    found["modes"] = json.dumps(modes(world)).encode()


def seen_from_outside(world: World) -> Iterator[tuple[str, bytes]]:
    """What the machine tells of the processes."""
    for name, pid in processes(world).items():
        for what, file in (("argv", "cmdline"), ("environment", "environ"), ("limits", "limits")):
            yield f"{what} of {name}", Path(f"/proc/{pid}/{file}").read_bytes()


def modes(world: World) -> dict[str, int]:
    paths = [world.home.folder, *world.home.folder.rglob("*")]
    return {str(path.relative_to(world.folder)): stat.S_IMODE(path.lstat().st_mode) for path in paths}


async def look_back(world: World, when: str) -> None:
    """At what the router service remembers, as long as it lives."""
    for words in ("status", "status --json", "why", "why --json"):
        world.found[f"{words} {when}"] = await world.archgw(*words.split())
    world.found[f"top {when}"] = await watched(world)


async def watched(world: World) -> bytes:
    """What `archgw top` shows of all that has been, until nothing more comes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "archgw", "top", "--plain", "-n", "500",
        env={"PATH": "/usr/bin:/bin", "ARCHGW_HOME": str(world.home.folder), **CODE},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    lines = [await asyncio.wait_for(process.stdout.readline(), PATIENCE)]
    while True:
        try:
            lines.append(await asyncio.wait_for(process.stdout.readline(), 2))
        except TimeoutError:
            break
    process.terminate()
    await process.wait()
    return b"".join(lines)


# -- what must have happened, or nothing below means anything --------------------------------------------------------


async def test_every_mark_went_through(world: World) -> None:
    received = json.dumps(
        [[request.headers, request.body.decode()] for one in world.providers.values() for request in one.requests]
    )
    answers = b"".join(world.replies).decode()
    for name in (*KEYS, "login"):
        assert SECRETS[name] in received, name
    for name in ("system", "prompt", "toolresult", "toolinput"):
        assert WORDS[name] in received, name
    assert WORDS["answer"] in answers
    assert CLIENT not in received and WRONG not in received
    assert {headers["x-key"] for headers in world.collector.headers} == {IN_HEADER}


@pytest.mark.parametrize("secret", [*KEYS, "login"])
async def test_a_key_goes_to_its_own_vendor_alone(world: World, secret: str) -> None:
    owner = "anthropic" if secret == "login" else secret
    for name, provider in world.providers.items():
        seen = SECRETS[secret] in json.dumps([request.headers for request in provider.requests])
        assert seen is (name == owner)


@pytest.mark.parametrize("secret", SECRETS)
async def test_no_client_is_told_a_key_even_where_a_vendor_quotes_it(world: World, secret: str) -> None:
    assert not [reply for reply in world.replies if SECRETS[secret].encode() in reply]


async def test_it_was_bad_enough(world: World) -> None:
    log = world.found["file user/.archgw/run/router.log"]
    assert b"ValueError at sitecustomize.py" in log, "an error of ours within"
    assert b"RuntimeError" in log, "and one outside"
    supervisor = world.found["file user/.archgw/run/supervisor.log"]
    assert b"router ended with -9" in supervisor and b"envoy ended with -9" in supervisor
    for when in ("before the restart", "at the end"):
        assert b"answered 401 (" in world.found[f"status --json {when}"]
        assert b"laptop" in world.found[f"top {when}"]
        assert b"laptop" in world.found[f"why {when}"]
    assert WORDS["prompt"].encode() in world.found["why at the end"]
    assert world.found["top before the restart"].count(b"\n") > 30
    assert WORDS["typed"].encode() in world.found["route"]
    assert len(world.found["admin /config_dump?include_eds"]) > 10_000
    assert b"archgw_tokens_total{" in world.found["metrics"]
    assert len(world.collector.spans()) > 100 and "archgw.reason" in str(world.collector.spans())
    assert world.found["file user/.archgw/state.sqlite"]
    assert b"not valid YAML" in world.found["check of a bad config"]


# -- what must not ---------------------------------------------------------------------------------------------------


def allowed(mark: str, artefact: str) -> bool:
    """What is told on purpose."""
    if artefact.startswith("why "):
        return mark in WORDS  # what was asked, what was said before, what a vendor said to it
    if artefact in ("route", "route --json"):
        return mark == "typed"
    if artefact in ("environment of router", "environment of supervisor"):
        return mark == "openai"  # the user exported it, and it is there as it is in his shell
    return False


@pytest.mark.parametrize("mark", MARKS)
async def test_no_mark_is_found_anywhere(world: World, mark: str) -> None:
    wanted = MARKS[mark].encode()
    found = [name for name, data in world.found.items() if wanted in data and not allowed(mark, name)]
    assert found == []


async def test_an_account_of_ours_is_found_nowhere(world: World) -> None:
    assert [name for name, data in world.found.items() if b"zqorgzq1" in data] == []
    assert not [reply for reply in world.replies if b"zqorgzq1" in reply]


async def test_all_that_it_left_is_its_owners_alone(world: World) -> None:
    """It was started under a umask of 000."""
    found = json.loads(world.found["modes"])
    assert len(found) > 8
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}


async def test_nothing_of_their_memory_is_dumped(world: World) -> None:
    for name in ("supervisor", "router", "envoy"):
        (line,) = [line for line in world.found[f"limits of {name}"].splitlines() if b"core file size" in line]
        assert line.split()[4:6] == [b"0", b"0"], name
