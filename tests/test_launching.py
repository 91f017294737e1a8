"""Agents themselves, headless, through the launcher and the gateway: an answer, and a loop of tools.

Claude Code has a file of its own, but for the user's own login. opencode (60 MB to download, twenty seconds for a run)
and aider (a hundred packages) are run where they are installed; ARCHGW_TEST_OPENCODE=npm installs the former for the
tests to keep.
"""

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw.simulate import Simulator
from programs import finished, installed, node, program
from stack import CODE, Gateway, gateway

PATIENCE = 120.0  # seconds for one run
CLAUDE_CODE, CODEX, OPENCODE = "2.1.330", "0.171.0", "1.18.33"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
failover: {attempts: 1}
"""
KEYS = {"OPENAI_API_KEY": "key-of-openai", "ANTHROPIC_API_KEY": "key-of-anthropic"}
NOWHERE = "http://127.0.0.1:9/v1"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Run:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def claude() -> Path:
    return program("claude", "@anthropic-ai/claude-code", CLAUDE_CODE)


@pytest.fixture(scope="module")
def codex() -> Path:
    return program("codex", "@openai/codex", CODEX)


@pytest.fixture(scope="module")
def opencode() -> Path:
    named = os.environ.get("ARCHGW_TEST_OPENCODE") or shutil.which("opencode")
    if not named:
        pytest.skip("opencode is not here; ARCHGW_TEST_OPENCODE=npm installs it (60 MB)")
    return installed("opencode", "opencode-ai", OPENCODE, "ARCHGW_TEST_OPENCODE") if named == "npm" else Path(named)


@pytest.fixture(scope="module")
def aider() -> Path:
    named = os.environ.get("ARCHGW_TEST_AIDER") or shutil.which("aider")
    if not named:
        pytest.skip("aider is not here; set ARCHGW_TEST_AIDER to where it is")
    return Path(named)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with Simulator("openai") as openai, Simulator("anthropic") as anthropic:
        providers = {"openai": openai, "anthropic": anthropic}
        async with gateway(tmp_path_factory.mktemp("launching"), CONFIG, providers, KEYS) as running:
            yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> AsyncIterator[None]:
    await running.calm()
    yield
    every = [request for provider in running.providers.values() for request in provider.requests]
    assert every and {request.status for request in every} == {200}
    assert not [leak for provider in running.providers.values() for leak in provider.leaks]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    (folder / "poem.txt").write_text("Roses are röd.\n")
    return folder


async def run(running: Gateway, program: Path, work: Path, *arguments: str, said: str = "", **environment: str) -> Run:
    """`archgw cli-agent ...` in the folder, with a home of its own and nothing of ours around it."""
    command = (str(Path(sys.executable).with_name("archgw")), "cli-agent", *arguments)
    alone = {
        **CODE,
        "PATH": f"{program.parent}:{node()}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(work.parent / "home"),
        "ARCHGW_HOME": str(running.home.folder),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        **environment,
    }
    return Run(*await finished(command, work, alone, patience=PATIENCE, said=said))


def script(*turns: list[dict[str, Any]]) -> str:
    return f"Please. @@{json.dumps(list(turns))}@@"


def bodies(running: Gateway, vendor: str = "openai") -> str:
    return json.dumps([request.json for request in running.providers[vendor].requests], ensure_ascii=False)


# -- Claude Code, with a login of the user's own -------------------------------------------------------------------

PASSED_THROUGH = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, passthrough_auth: true, base_url: "$URL_ANTHROPIC", default: true}
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI"}
failover: {attempts: 1}
"""
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "CLAUDE_CODE_MAX_RETRIES": "0"}


async def test_the_users_login_goes_to_its_vendor_and_to_nobody_else(
    running: Gateway, claude: Path, work: Path
) -> None:
    async with gateway(work.parent, PASSED_THROUGH, running.providers, KEYS) as own:
        for vendor, model in (("anthropic", "claude-sonnet-4-5"), ("openai", "openai/gpt-4o-mini")):
            done = await run(
                *(own, claude, work, "claude", "--model", model, "--", "-p", script([{"text": vendor}])),
                CLAUDE_CODE_OAUTH_TOKEN="login-of-the-user",
                **QUIET,
            )
            assert (done.code, done.out.strip()) == (0, vendor), done.err
            assert "what openai/gpt-4o-mini answers, first or in its place, is billed" in " ".join(done.err.split())
    sent = {
        vendor: {dict(request.headers).get("authorization") for request in provider.requests}
        for vendor, provider in running.providers.items()
    }
    assert sent == {"anthropic": {"Bearer login-of-the-user"}, "openai": {"Bearer key-of-openai"}}


# -- Codex ---------------------------------------------------------------------------------------------------------

HEADLESS = ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
ELSEWHERE = f"""
model = "gpt-5"
model_provider = "elsewhere"
[model_providers.elsewhere]
name = "elsewhere"
base_url = "{NOWHERE}"
wire_api = "responses"
"""


async def test_codex_runs_tools_whatever_its_own_files_say(running: Gateway, codex: Path, work: Path) -> None:
    own = work.parent / "home" / ".codex"
    own.mkdir()
    (own / "config.toml").write_text(ELSEWHERE)
    (own / "mine.config.toml").write_text('model_provider = "elsewhere"\n')
    turns = script(
        [{"text": "I read it."}, {"tool": "exec_command", "input": {"cmd": "cat poem.txt"}}],
        [{"tool": "exec_command", "input": {"cmd": "printf 'Violets are “blå”.' > answer.txt"}}],
        [{"text": "Grüße, both are in order."}],
    )
    done = await run(running, codex, work, "codex", "--", *HEADLESS, "--profile", "mine", turns)
    assert done.code == 0, done.err
    assert done.out.strip() == "Grüße, both are in order."
    assert (work / "answer.txt").read_text() == "Violets are “blå”."
    assert "Roses are röd." in bodies(running)
    assert {request.path for request in running.providers["openai"].requests} == {"/v1/responses"}
    assert (own / "config.toml").read_text() == ELSEWHERE, "no file of the user's is edited"


async def test_codex_asks_the_model_that_was_chosen(running: Gateway, codex: Path, work: Path) -> None:
    done = await run(
        running, codex, work, "codex", "--model", "claude-sonnet-4-5", "--", *HEADLESS, script([{"text": "It is I."}])
    )
    assert (done.code, done.out.strip()) == (0, "It is I."), done.err
    assert not running.providers["openai"].requests and running.providers["anthropic"].requests


# -- opencode ------------------------------------------------------------------------------------------------------


async def test_opencode_runs_tools_whatever_its_own_files_say(running: Gateway, opencode: Path, work: Path) -> None:
    own = {
        "$schema": "https://opencode.ai/config.json",  # it writes this line itself where it is missing
        "model": "elsewhere/x",
        "provider": {"elsewhere": {"options": {"baseURL": NOWHERE}, "models": {"x": {}}}},
    }
    (work / "opencode.json").write_text(json.dumps(own))
    turns = script(
        [{"text": "I read it."}, {"tool": "read", "input": {"filePath": str(work / "poem.txt")}}],
        [{"tool": "write", "input": {"filePath": str(work / "answer.txt"), "content": "Violets are “blå”.\n"}}],
        [{"text": "Grüße, both are in order."}],
    )
    done = await run(
        *(running, opencode, work, "opencode", "--", "run"),
        said=turns,
        OPENCODE_DISABLE_MODELS_FETCH="1",
        OPENCODE_DISABLE_AUTOUPDATE="1",
    )
    assert done.code == 0, done.err
    assert "Grüße, both are in order." in done.out
    assert (work / "answer.txt").read_text() == "Violets are “blå”.\n"
    assert "Roses are röd." in bodies(running)
    assert json.loads((work / "opencode.json").read_text()) == own


async def test_opencode_asks_the_model_that_was_chosen(running: Gateway, opencode: Path, work: Path) -> None:
    done = await run(
        *(running, opencode, work, "opencode", "--model", "anthropic/claude-sonnet-4-5", "--", "run"),
        said=script([{"text": "It is I."}]),
        OPENCODE_DISABLE_MODELS_FETCH="1",
        OPENCODE_DISABLE_AUTOUPDATE="1",
    )
    assert done.code == 0 and "It is I." in done.out, done.err
    assert running.providers["anthropic"].requests


# -- aider ---------------------------------------------------------------------------------------------------------


async def test_aider_edits_a_file_whatever_its_own_files_say(running: Gateway, aider: Path, work: Path) -> None:
    (work / ".env").write_text(f"OPENAI_API_BASE={NOWHERE}\nOPENAI_API_KEY=theirs\n")
    (work / ".aider.conf.yml").write_text(f"openai-api-base: {NOWHERE}\nweak-model: anthropic/claude-3\n")
    said = "poem.txt\n```\nRoses are röd.\nViolets are “blå”.\n```\n"
    done = await run(
        *(running, aider, work, "aider", "--", "--no-git", "--no-analytics", "--no-check-update", "--yes-always"),
        *("--edit-format", "whole", "poem.txt", "--message", script([{"text": said}])),
    )
    assert done.code == 0, done.err + done.out
    assert (work / "poem.txt").read_text() == "Roses are röd.\nViolets are “blå”.\n", done.out
