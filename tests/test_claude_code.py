"""Claude Code itself, headless, through the launcher and the gateway, answered by a model of another vendor."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw.simulate import Simulator
from programs import node, program
from stack import Gateway, gateway

VERSION = "2.1.330"
PATIENCE = 60.0  # seconds for one run
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
failover: {attempts: 1}
"""
KEYS = {"OPENAI_API_KEY": "key-of-openai", "ANTHROPIC_API_KEY": "key-of-anthropic"}
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
    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """What `--output-format json` printed."""
        told = json.loads(self.out)
        assert isinstance(told, dict)
        return told


@pytest.fixture(scope="module")
def claude() -> Path:
    return program("claude", "@anthropic-ai/claude-code", VERSION)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with Simulator("openai") as openai, Simulator("anthropic") as anthropic:
        providers = {"openai": openai, "anthropic": anthropic}
        async with gateway(tmp_path_factory.mktemp("claude"), CONFIG, providers, KEYS) as running:
            yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def served_by_openai_alone(running: Gateway) -> AsyncIterator[None]:
    await running.calm()
    yield
    openai, anthropic = running.providers["openai"], running.providers["anthropic"]
    assert not anthropic.requests, "nobody asked for Anthropic"
    assert not openai.leaks, "a header reached a provider that it was not meant for"
    assert {(request.path, request.model, request.status) for request in openai.requests} == {
        ("/v1/chat/completions", "gpt-4o-mini", 200)
    }


async def run(running: Gateway, claude: Path, folder: Path, prompt: str, *arguments: str) -> Run:
    """`archgw cli-agent claude -- -p prompt` in the folder, with a home of its own and nothing of ours around it."""
    at_home = folder / "home"
    work = folder / "work"
    at_home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    environment = {
        "PATH": f"{claude.parent}:{node()}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(at_home),
        "ARCHGW_HOME": str(running.home.folder),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        **QUIET,
    }
    archgw = Path(sys.executable).with_name("archgw")
    process = await asyncio.create_subprocess_exec(
        *(str(archgw), "cli-agent", "claude", "--", "-p", prompt, "--output-format", "json", *arguments),
        cwd=work,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Run(process.returncode or 0, out.decode(), err.decode())


def turns(running: Gateway) -> list[dict[str, Any]]:
    """The requests of the tool loop itself; side requests carry no tools."""
    bodies = [request.json or {} for request in running.providers["openai"].requests]
    return [body for body in bodies if body.get("tools")]


async def test_a_question_is_answered(running: Gateway, claude: Path, tmp_path: Path) -> None:
    done = await run(running, claude, tmp_path, 'What now? @@[{"text": "Grüße from another vendor."}]@@')
    assert done.code == 0, done.err + done.out
    assert done.result["result"] == "Grüße from another vendor."
    assert not done.result["is_error"]
    (asked,) = turns(running)
    assert asked["stream"] and asked["max_tokens"] == 16_384, (
        "what gpt-4o-mini can write, not what Claude Code asks for"
    )
    assert "x-anthropic-billing-header" not in json.dumps(asked)


async def test_a_settings_file_of_the_users_does_not_lead_around_the_gateway(
    running: Gateway, claude: Path, tmp_path: Path
) -> None:
    elsewhere = {"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_AUTH_TOKEN": "theirs"}}
    (tmp_path / "home" / ".claude").mkdir(parents=True)
    (tmp_path / "home" / ".claude" / "settings.json").write_text(json.dumps(elsewhere))
    done = await run(running, claude, tmp_path, '@@[{"text": "through the gateway"}]@@')
    assert (done.code, done.result["result"]) == (0, "through the gateway"), done.err + done.out


async def test_a_tool_loop_reads_one_file_and_writes_another(running: Gateway, claude: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "poem.txt").write_text("Roses are röd.\n")
    written = work / "answer.txt"
    steps = [
        [{"text": "I read it."}, {"tool": "Read", "input": {"file_path": str(work / "poem.txt")}}],
        [{"tool": "Write", "input": {"file_path": str(written), "content": "Violets are “blå”.\n\t$HOME \\n\n"}}],
        [{"text": "Both files are in order."}],
    ]
    prompt = f"Finish the poem. @@{json.dumps(steps)}@@"
    done = await run(running, claude, tmp_path, prompt, "--allowedTools", "Read,Write")
    assert done.code == 0, done.err + done.out
    assert done.result["result"] == "Both files are in order."
    assert done.result["num_turns"] == 3 and not done.result["permission_denials"]
    assert written.read_text() == "Violets are “blå”.\n\t$HOME \\n\n"
    first, second, third = turns(running)
    assert "Roses are röd." in results(second)[0]
    assert len(results(first)) == 0 and len(results(third)) == 2
    assert all(body["stream"] for body in (first, second, third))


def results(body: dict[str, Any]) -> list[str]:
    return [message["content"] for message in body["messages"] if message["role"] == "tool"]
