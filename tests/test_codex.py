"""Codex itself, headless, through the gateway in OpenAI's Responses, answered by models of every dialect."""

import json
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw.simulate import Fault, Simulator
from programs import finished, node, program
from stack import Gateway, gateway

VERSION = "0.171.0"
PATIENCE = 60.0  # seconds for one run
GPT, MINI, SONNET = "openai/gpt-5.5", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"
DEEPSEEK, MISTRAL, ROUTED = "deepseek/deepseek-v4-pro", "mistral/mistral-small-latest", "arch.main.v1"
MODELS = (GPT, MINI, SONNET, DEEPSEEK, MISTRAL, ROUTED)
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-5.5, base_url: "$URL_OPENAI/v1", access_key: $OPENAI_API_KEY}
  - {model: openai/gpt-4o-mini, base_url: "$URL_OPENAI/v1", access_key: $OPENAI_API_KEY}
  - {model: anthropic/claude-sonnet-4-5, base_url: "$URL_ANTHROPIC/v1", access_key: $ANTHROPIC_API_KEY, default: true}
  - {model: deepseek/deepseek-v4-pro, base_url: "$URL_DEEPSEEK/v1", access_key: $DEEPSEEK_API_KEY}
  - {model: mistral/mistral-small-latest, base_url: "$URL_MISTRAL/v1", access_key: $MISTRAL_API_KEY}
  - {model: deepseek/deepseek-chat, name: gpt-5.5, base_url: "$URL_DEEPSEEK/v1", access_key: $DEEPSEEK_API_KEY}
failover: {attempts: 1, put_aside_after: 100000, cool_at_most: 0}
"""
VENDORS = ("openai", "anthropic", "deepseek", "mistral")
# Its own repairs would hide what the gateway breaks.
SETTINGS = """
model_provider = "archgw"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.archgw]
name = "archgw"
base_url = "$URL/v1"
env_key = "ARCHGW_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
[analytics]
enabled = false
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Run:
    code: int
    err: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What it did, thought or said, as `codex exec --json` tells it."""
        ended = [event["item"] for event in self.events if event["type"] == "item.completed"]
        return [item for item in ended if item["type"] == kind]

    @property
    def said(self) -> list[str]:
        return [item["text"] for item in self.of("agent_message")]

    @property
    def trouble(self) -> str:
        return "; ".join(event["error"]["message"] for event in self.events if event["type"] == "turn.failed")


@pytest.fixture(scope="module")
def codex() -> Path:
    return program("codex", "@openai/codex", VERSION)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        providers = {name: await stack.enter_async_context(Simulator(name)) for name in VENDORS}
        keys = {f"{name.upper()}_API_KEY": f"key-of-{name}" for name in VENDORS}
        folder = tmp_path_factory.mktemp("codex")
        yield await stack.enter_async_context(gateway(folder, CONFIG, providers, keys))


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> AsyncIterator[None]:
    await running.calm()
    yield
    leaked = [leak for provider in running.providers.values() for leak in provider.leaks]
    assert not leaked, "a header reached a provider that it was not meant for"


async def run(running: Gateway, codex: Path, folder: Path, model: str, *arguments: str) -> Run:
    """`codex exec ...` in the folder, with a home of its own and nothing of ours around it."""
    home, work = folder / "home", folder / "work"
    work.mkdir(exist_ok=True)
    (home / ".codex").mkdir(parents=True, exist_ok=True)
    (home / ".codex" / "config.toml").write_text(SETTINGS.replace("$URL", running.url))
    environment = {
        "PATH": f"{codex.parent}:{node()}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "CODEX_HOME": str(home / ".codex"),
        "ARCHGW_KEY": "mine",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }
    first, *more = arguments
    command = (str(codex), "exec", *more, "--json", "--skip-git-repo-check", "-m", model, first)
    code, out, err = await finished(command, work, environment, patience=PATIENCE)
    told = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return Run(code, err, told)


def asked(running: Gateway) -> list[dict[str, Any]]:
    """What whoever answered was asked, one after the other."""
    every = [request for provider in running.providers.values() for request in provider.requests]
    assert all(request.status == 200 for request in every), [request.body[:300] for request in every]
    return [request.json or {} for request in sorted(every, key=lambda request: request.time)]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# A red square of eight pixels; Codex looks into what it sends.
RED = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
RED += chunk(b"IDAT", zlib.compress((b"\0" + b"\xff\0\0" * 8) * 8)) + chunk(b"IEND", b"")


def script(*turns: list[dict[str, Any]]) -> str:
    return f"Please. @@{json.dumps(list(turns))}@@"


def shell(command: str) -> dict[str, Any]:
    return {"tool": "exec_command", "input": {"cmd": command}}


@pytest.mark.parametrize("model", MODELS)
async def test_commands_are_run_and_their_output_comes_back(
    running: Gateway, codex: Path, tmp_path: Path, model: str
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "poem.txt").write_text("Roses are röd.\n")
    turns = (
        [{"text": "I read it."}, shell("cat poem.txt"), shell("echo twice")],
        [shell("printf 'Violets are “blå”.' > answer.txt")],
        [{"text": "Grüße: both are in order."}],
    )
    done = await run(running, codex, tmp_path, model, script(*turns))
    assert done.code == 0, done.err + done.trouble
    assert done.said == ["I read it.", "Grüße: both are in order."]
    outputs = [item["aggregated_output"] for item in done.of("command_execution")]  # two of them at once
    assert sorted(outputs) == ["", "Roses are röd.\n", "twice\n"]
    assert (tmp_path / "work" / "answer.txt").read_text() == "Violets are “blå”."
    first, second, third = asked(running)
    assert "Roses are röd." not in json.dumps(first, ensure_ascii=False)
    assert "Roses are röd." in json.dumps(second, ensure_ascii=False)
    assert all(body["stream"] for body in (first, second, third))


async def test_a_session_goes_on_with_a_model_of_another_vendor(running: Gateway, codex: Path, tmp_path: Path) -> None:
    """What one thought and did goes to the next as far as the next one takes it: everybody is strict."""
    for at, model in enumerate((DEEPSEEK, SONNET, GPT, MISTRAL, MINI, SONNET, DEEPSEEK)):
        turns = [{"thinking": f"thought {at}"}, {"text": "I look."}, shell(f"echo look-{at}")], [{"text": f"done {at}"}]
        again = ("resume", "--last") if at else ()
        done = await run(running, codex, tmp_path, model, script(*turns), *again)
        assert (done.code, done.said[-1]) == (0, f"done {at}"), (model, done.err, done.trouble)
        told = json.dumps(asked(running)[-1])
        assert all(f"look-{before}" in told for before in range(at + 1)), model


async def test_an_image_that_it_views_reaches_a_model_that_sees(running: Gateway, codex: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "red.png").write_bytes(RED)
    view = {"tool": "view_image", "input": {"path": str(tmp_path / "work" / "red.png")}}
    done = await run(running, codex, tmp_path, SONNET, script([view], [{"text": "It is red."}]))
    assert (done.code, done.said) == (0, ["It is red."]), done.err + done.trouble
    assert '"media_type": "image/png"' in json.dumps(asked(running)[-1])


PATCH = """*** Begin Patch
*** Add File: poem.txt
+Violets are “blå”.
*** End Patch
"""


@pytest.mark.parametrize("model", [GPT, "gpt-5.5"])
async def test_a_tool_of_plain_text_works_with_whoever_answers(
    running: Gateway, codex: Path, tmp_path: Path, model: str
) -> None:
    """Codex gives models that it takes for OpenAI's a tool that is no function; here one of them is DeepSeek's."""
    vendor = {GPT: "openai"}.get(model, "deepseek")
    patch = {"tool": "apply_patch"} | ({"arguments": PATCH} if vendor == "openai" else {"input": {"input": PATCH}})
    done = await run(running, codex, tmp_path, model, script([patch], [{"text": "Patched."}]))
    assert (done.code, done.said) == (0, ["Patched."]), done.err + done.trouble
    assert (tmp_path / "work" / "poem.txt").read_text() == "Violets are “blå”.\n"
    assert len(running.providers[vendor].requests) == len(asked(running)) == 2


async def test_a_tool_out_of_a_namespace_is_known_by_its_own_name(
    running: Gateway, codex: Path, tmp_path: Path
) -> None:
    """What only OpenAI knows as a tool of a namespace is a function for DeepSeek, and comes back as what it is."""
    wait = {"tool": "multi_agent_v1__wait_agent", "input": {"targets": ["nobody"]}}
    done = await run(running, codex, tmp_path, DEEPSEEK, script([wait], [{"text": "Nobody came."}]))
    assert (done.code, done.said) == (0, ["Nobody came."]), done.err + done.trouble
    (result,) = [message for message in asked(running)[-1]["messages"] if message["role"] == "tool"]
    assert "nobody" in result["content"] and "unsupported" not in result["content"]


# -- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [GPT, SONNET, DEEPSEEK])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("status", status=429, message="slow down, please"), "429"),
        (Fault("status", status=400, message="that cannot be"), "that cannot be"),
        (Fault("error_after_content", message="broken off"), "broken off"),
        (Fault("end_after_content"), ""),
    ],
    ids=["too many", "refused", "an error in the stream", "an end too soon"],
)
async def test_a_failure_is_told_in_the_vendors_words(
    running: Gateway, codex: Path, tmp_path: Path, model: str, fault: Fault, words: str
) -> None:
    running.providers[model.partition("/")[0]].fail_next(fault)
    done = await run(running, codex, tmp_path, model, script([{"text": "one two three four", "chunks": 8}]))
    assert done.code != 0 and done.trouble and words in done.trouble, (done.err, done.events)


@pytest.mark.parametrize("model", [GPT, SONNET, DEEPSEEK])
async def test_too_long_a_session_is_known_as_that(running: Gateway, codex: Path, tmp_path: Path, model: str) -> None:
    said = {
        GPT: "Your input exceeds the context window of this model. Please adjust your input and try again.",
        SONNET: "prompt is too long: 213462 tokens > 200000 maximum",
        DEEPSEEK: "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens "
        "(140000 in the messages, 0 in the completion). Please reduce the length of the messages or completion.",
    }
    running.providers[model.partition("/")[0]].fail_next(Fault("status", status=400, message=said[model]))
    done = await run(running, codex, tmp_path, model, script([{"text": "never"}]))
    assert done.code != 0 and "context window" in done.trouble, done.trouble
