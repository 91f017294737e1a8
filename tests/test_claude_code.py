"""Claude Code itself, of two generations, through the launcher and the gateway, answered by models of other vendors.

Both run at once, each in a folder and with a home of its own. What kinds of requests the gateway took theirs for is
read from its log, where the generations are told apart by what they call themselves.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw.simulate import Fault, Simulator
from programs import finished, installed, node
from stack import CODE, Gateway, gateway, settled, until

OLD, NEW = "2.1.197", "2.1.330"
PATIENCE = 60.0  # seconds for one run
GPT, CLAUDE, DEEPSEEK = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "deepseek/deepseek-chat"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
  - {model: deepseek/deepseek-chat, access_key: $DEEPSEEK_API_KEY, base_url: "$URL_DEEPSEEK"}
failover: {put_aside_after: 100000, cool_at_most: 0}
"""
ROUTED = """
routing_preferences:
  - {name: shell, description: "running commands in a terminal, in bash", models: [gpt-4o-mini]}
  - {name: poetry, description: "writing poems and verses about flowers", models: [deepseek-chat]}
routing: {deadline: 10s, sticky: never}
"""
PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"  # what stands before what one types
VENDORS = ("openai", "anthropic", "deepseek")
KEYS = {f"{name.upper()}_API_KEY": f"key-of-{name}" for name in VENDORS}
# It mends a broken stream in silence by asking again without one, so that a broken gateway would look healthy.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Run:
    """What one run printed, and what the gateway took its requests for."""

    code: int
    out: str
    err: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        """What `--output-format json` printed."""
        told = json.loads(self.out)
        assert isinstance(told, dict)
        return told

    @property
    def result(self) -> str:
        assert self.code == 0 and not self.told["is_error"], self.out + self.err
        return str(self.told["result"])

    @property
    def kinds(self) -> list[str]:
        return [str(line["kind"]) for line in self.seen]

    @property
    def served(self) -> set[str]:
        return {str(line["served"]) for line in self.seen}


@dataclass
class Client:
    """One generation, with a folder to work in and a home."""

    version: str
    program: Path
    folder: Path
    running: Gateway
    around: Mapping[str, str] = field(default_factory=lambda: QUIET)
    options: tuple[str, ...] = ()  # of the launcher

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.program.parent}:{node()}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "ARCHGW_HOME": str(self.running.home.folder),
            **CODE,
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            **self.around,
        }

    def launch(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("archgw")), "cli-agent", "claude", *self.options, "--", *arguments]

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.work / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    async def ask(self, prompt: str, *arguments: str) -> Run:
        """`archgw cli-agent claude -- -p prompt`, with nothing of ours around it."""
        before = len(await settled(self.log))
        command = self.launch("-p", prompt, "--output-format", "json", *arguments)
        told = await finished(command, self.work, self.environment, patience=PATIENCE)
        return Run(*told, (await settled(self.log))[before:])

    def log(self) -> list[dict[str, Any]]:
        """The requests of this generation that have ended, as the gateway logs them."""
        lines = self.running.home.log("router").read_text().splitlines()
        facts = [json.loads(line[line.index("{") :]) for line in lines if '"kind"' in line]
        return [fact for fact in facts if fact["client"] == f"claude-cli/{self.version}"]


@pytest.fixture(scope="module")
def programs() -> dict[str, Path]:
    return {version: installed("claude", "@anthropic-ai/claude-code", version) for version in (OLD, NEW)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def providers() -> AsyncIterator[dict[str, Simulator]]:
    async with Simulator("openai") as openai, Simulator("anthropic") as anthropic, Simulator("deepseek") as deepseek:
        yield dict(zip(VENDORS, (openai, anthropic, deepseek), strict=True))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, Simulator]) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("claude"), CONFIG, providers, KEYS) as running:
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def every_vendor_is_content(running: Gateway) -> AsyncIterator[None]:
    """No header reached a vendor that it was not meant for, and whatever was asked was asked rightly."""
    await running.calm()
    yield
    for name, provider in running.providers.items():
        assert not provider.leaks, f"a header reached {name} that it was not meant for"
        assert not [request for request in provider.requests if request.status not in (0, 200, 503)], name


def clients_of(running: Gateway, programs: dict[str, Path], folder: Path) -> list[Client]:
    clients = [Client(version, program, folder / version, running) for version, program in programs.items()]
    for client in clients:
        (client.folder / "home").mkdir(parents=True)
        client.work.mkdir()
    return clients


@pytest.fixture
def clients(running: Gateway, programs: dict[str, Path], tmp_path: Path) -> list[Client]:
    return clients_of(running, programs, tmp_path)


async def both(clients: list[Client], dialogue: Callable[[Client], Awaitable[Any]]) -> None:
    """One dialogue with each generation, at the same time."""
    await asyncio.gather(*map(dialogue, clients))


def script(*turns: list[dict[str, Any]]) -> str:
    return f"@@{json.dumps(turns)}@@"


def call(tool: str, **input: Any) -> dict[str, Any]:
    return {"tool": tool, "input": input}


def bodies(running: Gateway, provider: str, words: str) -> list[dict[str, Any]]:
    """The requests of tool loops in which these words stand; side requests carry no tools."""
    asked = [request.json or {} for request in running.providers[provider].requests]
    return [body for body in asked if body.get("tools") and words in json.dumps(body)]


def results(body: dict[str, Any]) -> list[str]:
    return [message["content"] for message in body["messages"] if message["role"] == "tool"]


# -- one run -------------------------------------------------------------------------------------------------------


async def test_a_question_is_answered(clients: list[Client], running: Gateway) -> None:
    async def dialogue(client: Client) -> None:
        done = await client.ask(f"What now, {client.version}? {script([{'text': 'Grüße from another vendor.'}])}")
        assert done.result == "Grüße from another vendor."
        assert done.kinds == ["user turn"] and done.served == {GPT}
        (asked,) = bodies(running, "openai", f"What now, {client.version}?")
        assert asked["stream"] and asked["max_tokens"] == 16_384, "what gpt-4o-mini can write, not what was asked for"
        assert "x-anthropic-billing-header" not in json.dumps(asked)

    await both(clients, dialogue)
    assert not running.providers["anthropic"].requests, "nobody asked for Anthropic"


AROUND = [
    {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_AUTH_TOKEN": "theirs"},
    {"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "us-east-1", "ANTHROPIC_BEDROCK_BASE_URL": "http://127.0.0.1:9"},
]


@pytest.mark.parametrize("env", AROUND, ids=["an address", "a cloud"])
async def test_a_settings_file_of_the_users_does_not_lead_around_the_gateway(
    clients: list[Client], env: dict[str, str]
) -> None:
    async def dialogue(client: Client) -> None:
        (client.folder / "home" / ".claude").mkdir()
        (client.folder / "home" / ".claude" / "settings.json").write_text(json.dumps({"env": env}))
        done = await client.ask(script([{"text": "through the gateway"}]))
        assert done.result == "through the gateway"

    await both(clients, dialogue)


async def test_the_models_that_it_lists_are_the_gateways(clients: list[Client]) -> None:
    """What /model shows is what it found; and what it shows can be asked. The older generation does not look."""
    client = next(client for client in clients if client.version == NEW)
    model = f"claude-via-archgw/{GPT}"
    done = await client.ask(script([{"text": "chosen"}]), "--model", model)
    assert done.result == "chosen"
    assert done.told["modelUsage"][model]["contextWindow"] == 200_000, "the largest window of the config"
    found = json.loads((client.folder / "home" / ".claude" / "cache" / "gateway-models.json").read_text())["models"]
    names = ["arch.main.v1", "arch.fast.v1", GPT, CLAUDE, DEEPSEEK]
    assert [(one["id"], one["display_name"]) for one in found] == [
        (f"claude-via-archgw/{name}", name) for name in names
    ]
    assert found[0]["description"] == "Each request to the model that your preferences name for it"


async def test_what_is_read_travels_through_a_tool_loop(clients: list[Client], running: Gateway) -> None:
    """Two tools at once, then one that needs what they said; every answer is streamed."""

    async def dialogue(client: Client) -> None:
        nonce = f"röd-{client.version}"
        poem = client.file("poem.txt", f"Roses are {nonce}.\n")
        written = client.work / "answer.txt"
        content = "Violets are “blå”.\n\t$HOME \\n\n"
        steps = script(
            [
                {"text": "Both."},
                call("Read", file_path=str(poem)),
                call("Bash", command="echo $((40+2))-$(wc -w < poem.txt)", description="count"),
            ],
            [call("Write", file_path=str(written), content=content)],
            [call("Bash", command="cat answer.txt", description="look")],
            [{"text": "All is in order."}],
        )
        done = await client.ask(f"Finish the poem. {steps}", "--allowedTools", "Read,Write,Bash")
        assert done.result == "All is in order."
        assert done.told["num_turns"] == 5 and not done.told["permission_denials"]
        assert written.read_text() == content
        assert done.kinds == ["user turn", *["tool continuation"] * 3] and done.served == {GPT}
        first, second, third, fourth = bodies(running, "openai", str(poem))
        assert [len(results(body)) for body in (first, second, third, fourth)] == [0, 2, 3, 4]
        assert nonce in results(second)[0] and results(second)[1] == "42-3"
        assert "“blå”" in results(fourth)[3]
        assert all(body["stream"] for body in (first, second, third, fourth))

    await both(clients, dialogue)


async def test_a_picture_that_was_read_is_seen(clients: list[Client], running: Gateway) -> None:
    async def dialogue(client: Client) -> None:
        picture = client.file("dot.png", png())
        steps = script([call("Read", file_path=str(picture))], [{"text": "A dot."}])
        done = await client.ask(f"Look. {steps}", "--allowedTools", "Read")
        assert done.result == "A dot."
        assert done.kinds == ["user turn", "tool continuation"]
        _, second = bodies(running, "openai", str(picture))
        shown = [part for message in second["messages"] for part in parts(message) if part["type"] == "image_url"]
        assert [part["image_url"]["url"] for part in shown] == [f"data:image/png;base64,{b64encode(png()).decode()}"]

    await both(clients, dialogue)


def parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def png() -> bytes:
    """One red dot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


async def test_subagents_and_searches_are_threads_beside_the_turn(clients: list[Client]) -> None:
    """The one generation waits for its subagents, the other is notified of their ends."""

    async def dialogue(client: Client) -> None:
        steps = script(
            [
                call("Agent", description="look", subagent_type="Explore", prompt="SUB: list the files"),
                call("Agent", description="do", subagent_type="general-purpose", prompt="GEN: list the files"),
                call("WebSearch", query="roses"),
                call("ToolSearch", query="select:WebFetch", max_results=3),
            ],
            [{"text": "They are at it."}],
        )
        done = await client.ask(f"Delegate. {steps}", "--allowedTools", "WebSearch")
        assert done.code == 0, done.out + done.err
        assert done.kinds.count("user turn") == 1
        assert done.kinds.count("subagent: user turn") == 2
        assert done.kinds.count("web search") == 1
        notified = client.version == NEW  # of both with the results, once for both, or once for each
        assert done.kinds.count("tool continuation") in ((1, 2, 3) if notified else (1,))
        assert set(done.kinds) == {"user turn", "subagent: user turn", "web search", "tool continuation"}
        routes = {line["kind"]: line["route"] for line in done.seen}
        assert routes["web search"] == "fast" and routes["tool continuation"] == "default"

    await both(clients, dialogue)


# -- sessions ------------------------------------------------------------------------------------------------------


async def test_a_session_is_measured_compacted_and_goes_on(clients: list[Client]) -> None:
    async def dialogue(client: Client) -> None:
        first = await client.ask(script([{"text": "The word is " + client.version}]))
        measured = await client.ask("/context", "--continue")
        assert "Context Usage" in measured.result
        assert not [kind for kind in measured.kinds if kind == "user turn"], "what is counted is no turn"
        compacted = await client.ask("/compact", "--continue")
        assert compacted.code == 0 and set(compacted.kinds) == {"compaction"} and compacted.served == first.served
        after = await client.ask(f"And now? {script([{'text': 'On we go.'}])}", "--continue")
        assert after.result == "On we go." and after.kinds == ["user turn"]

    await both(clients, dialogue)


async def test_a_session_is_handed_from_vendor_to_vendor(clients: list[Client], running: Gateway) -> None:
    """With thinking on, a tool loop at each, and what each has thought kept from the others."""

    async def dialogue(client: Client) -> None:
        client.file("poem.txt", f"Roses are {client.version}.\n")
        for at, model in enumerate((GPT, CLAUDE, DEEPSEEK, CLAUDE)):
            steps = script(
                [{"thinking": f"thought {at}"}, call("Read", file_path=str(client.work / "poem.txt"))],
                [{"thinking": f"afterthought {at}"}, {"text": f"Answer {at}."}],
            )
            more = ["--continue"] if at else []
            prompt = f"Turn {at} of {client.version}. {steps}"
            done = await client.ask(prompt, "--model", model, "--allowedTools", "Read", *more)
            assert done.result == f"Answer {at}."
            assert done.kinds == ["user turn", "tool continuation"] and done.served == {model}

        last = bodies(running, "anthropic", f"Turn 3 of {client.version}")[-1]
        said = [block for message in last["messages"] for block in parts(message)]
        assert last["thinking"]["type"] != "disabled"
        thoughts = [block for block in said if block["type"] == "thinking"]
        assert thoughts and all(block["signature"] for block in thoughts), "its own, as it gave them out"
        assert not {f"{word} {at}" for word in ("thought", "afterthought") for at in (0, 2)} & {
            block["thinking"] for block in thoughts
        }
        assert [block["text"] for block in said if block.get("text", "").startswith("Answer")] == [
            f"Answer {at}." for at in range(3)
        ]

    await both(clients, dialogue)


async def test_who_steps_in_during_a_tool_loop_finishes_the_turn(clients: list[Client], running: Gateway) -> None:
    openai = running.providers["openai"]

    async def dialogue(client: Client) -> Run:
        steps = script(
            [
                call(
                    "Bash",
                    command=f"touch begun; while [ ! -e {client.folder}/go ]; do sleep 0.1; done",
                    description="w",
                )
            ],
            [call("Bash", command="echo second", description="s")],
            [{"text": "Done, by whomever."}],
        )
        return await client.ask(f"Wait. {steps}", "--allowedTools", "Bash")

    async def fail_meanwhile() -> None:
        await until(lambda: all((client.work / "begun").exists() for client in clients), patience=PATIENCE)
        openai.fault = Fault("status", status=503)
        for client in clients:
            (client.folder / "go").touch()

    *runs, _ = await asyncio.gather(*map(dialogue, clients), fail_meanwhile())
    for done in runs:
        assert done.result == "Done, by whomever."
        assert done.kinds == ["user turn", "tool continuation", "tool continuation"]
        assert [line["served"] for line in done.seen] == [GPT, CLAUDE, CLAUDE]
        assert [len(line["attempts"]) for line in done.seen] == [1, 2, 1], (
            "the pin has followed: who failed is not asked"
        )


# -- a terminal ----------------------------------------------------------------------------------------------------


@dataclass
class Terminal:
    """Claude Code in a terminal of tmux's, with a server of its own."""

    client: Client

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", f"archgw-{os.getpid()}-{self.client.version}", "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def open(self) -> None:
        project = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        known = {"hasCompletedOnboarding": True, "theme": "dark", "projects": {str(self.client.work): project}}
        (self.client.folder / "home" / ".claude.json").write_text(json.dumps(known))
        variables = [f"{name}={value}" for name, value in self.client.environment.items()]
        command = ["env", "-i", *variables, *self.client.launch("--allowedTools", "Bash")]
        self.tmux("new-session", "-d", "-s", "s", "-x", "150", "-y", "50", "-c", str(self.client.work), *command)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "s")

    def words(self) -> str:
        """Without the ends of lines, which come where the terminal has no more room."""
        return " ".join(self.screen().split())

    async def type(self, words: str) -> None:
        """What comes fast is taken for a paste, the end of its line too: so it is ended twice, with time between."""
        self.tmux("send-keys", "-t", "s", "-l", words)
        await until(lambda: words[:20] in self.screen(), patience=PATIENCE)
        for _ in range(2):
            await asyncio.sleep(1.0)
            self.tmux("send-keys", "-t", "s", "Enter")

    def close(self) -> None:
        self.tmux("kill-server")


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not here, which plays the terminal")
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


async def test_what_is_typed_while_a_tool_runs_reaches_the_model_that_began(
    tmp_path: Path, programs: dict[str, Path], providers: dict[str, Simulator], terminals: list[Terminal]
) -> None:
    """Words that would be routed elsewhere, were they a turn of their own: afterwards they are."""
    (tmp_path / "gateway").mkdir()
    poem = "write a poem about the flowers, four verses"

    async def dialogue(client: Client) -> None:
        terminal = Terminal(client)
        terminals.append(terminal)
        terminal.open()
        await until(lambda: PROMPT in terminal.screen(), patience=PATIENCE)
        slow = call("Bash", command="touch begun; while [ ! -e go ]; do sleep 0.1; done; echo slept", description="w")
        await terminal.type(f"run this command in bash in the terminal {script([slow], [{'text': 'Slept well.'}])}")
        await until((client.work / "begun").exists, patience=PATIENCE)
        await terminal.type(poem)
        client.file("go", "")
        await until(lambda: "Slept well." in terminal.screen(), patience=PATIENCE)
        await until(
            lambda: f"{GPT} tool continuation (shell)" in terminal.screen(), patience=PATIENCE
        )  # the status line
        await terminal.type(f"{poem}, again")
        await until(lambda: len([line for line in client.log() if line["kind"] == "user turn"]) == 2, patience=PATIENCE)
        await until(lambda: f"{DEEPSEEK} poetry (" in terminal.screen(), patience=PATIENCE)
        turns = [line for line in client.log() if line["kind"] != "title"]
        assert [(line["kind"], line["route"], line["served"]) for line in turns] == [
            ("user turn", "shell", GPT),
            ("tool continuation", "shell", GPT),
            ("user turn", "poetry", DEEPSEEK),
        ]
        assert {line["route"] for line in client.log() if line["kind"] == "title"} <= {"fast"}

    async with gateway(tmp_path / "gateway", CONFIG + ROUTED, providers, KEYS) as routed:
        await both(clients_of(routed, programs, tmp_path / "clients"), dialogue)
        asked = [body for body in bodies(routed, "openai", poem) if results(body)]
    assert len(asked) == len(programs), "the words were told to who ran the command, once"
    assert all(poem in json.dumps(body["messages"][-2:]) for body in asked)


# -- budgets -------------------------------------------------------------------------------------------------------

BUDGET = "budgets: [{name: pocket money, at_most: $0.000001, per: day, each: session, then: block}]\n"
SPENT = "API Error: Request rejected (429) · archgw: the budget “pocket money” is spent: $"


async def test_a_budget_that_blocks_is_told_on_the_screen_and_nothing_is_tried_in_vain(
    tmp_path: Path, programs: dict[str, Path], providers: dict[str, Simulator], terminals: list[Terminal]
) -> None:
    """With all the retries that it makes by itself, which take minutes where it is not told not to."""
    (tmp_path / "gateway").mkdir()
    persistent = {name: value for name, value in QUIET.items() if name != "CLAUDE_CODE_MAX_RETRIES"}

    async def dialogue(client: Client) -> None:
        client = replace(client, around=persistent)
        first = await client.ask(script([{"text": "As long as it lasts."}]))
        assert first.result == "As long as it lasts."
        refused = await client.ask("And now?", "--continue")
        assert refused.code == 1 and refused.told["is_error"]
        assert refused.told["result"].startswith(SPENT) and "it begins anew on " in refused.told["result"]
        assert [line["status"] for line in refused.seen] == [429]

        terminal = Terminal(client)
        terminals.append(terminal)
        terminal.open()  # another session, which has a budget of its own
        await until(lambda: PROMPT in terminal.screen(), patience=PATIENCE)
        await terminal.type(f"what do you say {script([{'text': 'As long as it lasts.'}])}")
        await until(lambda: [line for line in client.log() if line["kind"] == "user turn"][2:], patience=PATIENCE)
        before = len(await settled(client.log))
        await terminal.type("and what do you say now")
        await until(lambda: SPENT in terminal.words(), patience=PATIENCE)
        told = terminal.words()
        assert "To go on before, raise it in config.yaml (budgets)" in told
        await until(lambda: "budget spent: $" in terminal.words(), patience=PATIENCE)  # status line
        turns = [line for line in (await settled(client.log))[before:] if line["kind"] == "user turn"]
        assert [line["status"] for line in turns] == [429], "it is not tried again"

    async with gateway(tmp_path / "gateway", CONFIG + BUDGET, providers, KEYS) as thrifty:
        await both(clients_of(thrifty, programs, tmp_path / "clients"), dialogue)


# -- feedback ------------------------------------------------------------------------------------------------------


def said_of(running: Gateway, request: str) -> set[tuple[str, str | None]]:
    """What the ledger has of a request, but for what was noticed."""
    with closing(sqlite3.connect(running.home.ledger)) as ledger:
        rows = ledger.execute("select signal, told from signals where request = ?", (request,))
        return {(signal, told) for signal, told in rows if signal in ("good", "bad", "should be")}


async def turns_of(client: Client) -> list[dict[str, Any]]:
    return [line for line in await settled(client.log) if line["kind"] == "user turn"]


async def test_feedback_commands_rate_this_sessions_last_answer_and_ask_no_model(
    clients: list[Client], running: Gateway
) -> None:
    """In a session that went on in another place meanwhile; and the user's own hook runs as well."""

    async def dialogue(client: Client) -> None:
        client = replace(client, options=("--feedback-commands",))
        own = {"type": "command", "command": f"cat >> {client.folder}/prompts"}
        (client.folder / "home" / ".claude").mkdir()
        hooks = {"hooks": {"UserPromptSubmit": [{"hooks": [own]}]}}
        (client.folder / "home" / ".claude" / "settings.json").write_text(json.dumps(hooks))
        first = await client.ask(f"What? {script([{'text': 'This.'}])}")
        session, id = first.told["session_id"], first.seen[0]["id"]
        other = await client.ask(f"Another? {script([{'text': 'That.'}])}")
        assert other.told["session_id"] != session and first.result == "This."
        resumed, should_be = ["--resume", session], ("should be", f"model:{CLAUDE}")
        bad = await client.ask("/archgw:bad anthropic/claude-sonnet-4-5", *resumed)
        assert f"archgw: kept, bad, should be the model {CLAUDE}: {GPT} (default)" in bad.out + bad.err, (
            bad.out + bad.err
        )
        assert bad.told["num_turns"] == 0 and bad.told["usage"]["output_tokens"] == 0
        await until(lambda: said_of(running, id) == {("bad", None), should_be}, patience=PATIENCE)
        wrong = await client.ask("/archgw:bad nonsense", *resumed)
        assert "not kept" in wrong.out + wrong.err and "no preference or model" in wrong.out + wrong.err
        good = await client.ask("/archgw:good", *resumed)
        assert "archgw: kept, good" in good.out + good.err
        await until(lambda: said_of(running, id) == {("good", None), should_be}, patience=PATIENCE)
        back = await client.ask("/archgw:unrate", *resumed)
        assert "archgw: taken back" in back.out + back.err
        await until(lambda: said_of(running, id) == set(), patience=PATIENCE)
        asked = [line["kind"] for run in (bad, wrong, good, back) for line in run.seen]
        assert asked == [], "no model was asked"
        assert said_of(running, other.seen[0]["id"]) == set()
        assert "What?" in (client.folder / "prompts").read_text()
        assert sorted(path.name for path in client.work.iterdir()) == [], "nothing is written into the project"

    await both(clients, dialogue)
    folder = running.home.folder / "claude"
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*")} == {0}


async def test_feedback_commands_are_listed_and_typed_in_a_terminal(
    clients: list[Client], running: Gateway, terminals: list[Terminal]
) -> None:
    async def dialogue(client: Client) -> None:
        client, before = replace(client, options=("--feedback-commands",)), len(await turns_of(client))
        terminal = Terminal(client)
        terminals.append(terminal)
        terminal.open()
        await until(lambda: PROMPT in terminal.screen(), patience=PATIENCE)
        await terminal.type(f"what do you say {script([{'text': 'As you see.'}])}")
        await until(lambda: "As you see." in terminal.screen(), patience=PATIENCE)
        await until(lambda: [line for line in client.log() if line["kind"] == "user turn"][before:], patience=PATIENCE)
        (turn,) = (await turns_of(client))[before:]
        terminal.tmux("send-keys", "-t", "s", "-l", "/goo")
        await until(lambda: "Tell archgw that the last answer was good" in terminal.words(), patience=PATIENCE)
        terminal.tmux("send-keys", "-t", "s", "-l", "d")
        await until(lambda: "/good" in terminal.screen(), patience=PATIENCE)
        for _ in range(2):
            await asyncio.sleep(1.0)
            terminal.tmux("send-keys", "-t", "s", "Enter")
        await until(lambda: f"archgw: kept, good: {GPT}" in terminal.words(), patience=PATIENCE)
        await until(lambda: said_of(running, turn["id"]) == {("good", None)}, patience=PATIENCE)
        assert (await turns_of(client))[before:] == [turn], "no model was asked"

    await both(clients, dialogue)
