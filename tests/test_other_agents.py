"""opencode and Qwen Code themselves, headless, through the gateway: a tool loop answered by models of other vendors."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw.simulate import Simulator
from programs import finished, node, program
from stack import Gateway, gateway

PATIENCE = 90.0  # seconds for one run; both look for updates first
SONNET, GPT, MISTRAL = "anthropic/claude-sonnet-4-5", "openai/gpt-5.5", "mistral/mistral-small-latest"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-5.5, base_url: "$URL_OPENAI/v1", access_key: $OPENAI_API_KEY}
  - {model: anthropic/claude-sonnet-4-5, base_url: "$URL_ANTHROPIC/v1", access_key: $ANTHROPIC_API_KEY, default: true}
  - {model: mistral/mistral-small-latest, base_url: "$URL_MISTRAL/v1", access_key: $MISTRAL_API_KEY}
failover: {attempts: 1}
"""
VENDORS = ("openai", "anthropic", "mistral")
# A command that reads a file, as each of them has a tool for it.
LOOK = {"command": "cat poem.txt", "description": "look"}
BASH = {"tool": "bash", "input": LOOK}
SHELL = {"tool": "run_shell_command", "input": LOOK | {"is_background": False}}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        providers = {name: await stack.enter_async_context(Simulator(name)) for name in VENDORS}
        keys = {f"{name.upper()}_API_KEY": f"key-of-{name}" for name in VENDORS}
        folder = tmp_path_factory.mktemp("agents")
        yield await stack.enter_async_context(gateway(folder, CONFIG, providers, keys))


async def run(command: list[str], prompt: str, home: Path, work: Path, **more: str) -> str:
    """What it printed, with a home of its own and nothing of ours around it; `prompt` is typed in."""
    path = f"{Path(command[0]).parent}:{node()}:/usr/local/bin:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(home), "TERM": "dumb", "LANG": "C.UTF-8", **more}
    code, out, err = await finished(command, work, environment, patience=PATIENCE, said=prompt)
    assert code == 0, err + out
    return out


def opencode(package: str) -> Callable[..., Any]:
    """opencode with a provider of this AI SDK package: that is how it is told which dialect to speak."""

    async def ask(running: Gateway, model: str, prompt: str, home: Path, work: Path) -> str:
        name = str(program("opencode", "opencode-ai", "1.18.33"))
        limit = {"context": 200_000, "output": 32_000}
        provider = {
            "npm": package,
            "options": {"baseURL": f"{running.url}/v1", "apiKey": "mine"},
            "models": {model: {"name": model, "tool_call": True, "limit": limit}},
        }
        settings = {"provider": {"gateway": provider}, "model": f"gateway/{model}", "small_model": f"gateway/{model}"}
        settings |= {"autoupdate": False, "share": "disabled", "permission": {"*": "allow"}}
        (home / ".config" / "opencode").mkdir(parents=True)
        (home / ".config" / "opencode" / "opencode.json").write_text(json.dumps(settings))
        quiet = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}
        return await run([name, "run", "--format", "json"], prompt, home, work, **quiet)

    return ask


async def qwen(running: Gateway, model: str, prompt: str, home: Path, work: Path) -> str:
    name = str(program("qwen", "@qwen-code/qwen-code", "0.24.4"))
    settings = {
        "security": {"auth": {"selectedType": "openai"}},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "general": {"enableAutoUpdate": False},
    }
    (home / ".qwen").mkdir(parents=True)
    (home / ".qwen" / "settings.json").write_text(json.dumps(settings))
    told = {"OPENAI_API_KEY": "mine", "OPENAI_BASE_URL": f"{running.url}/v1", "OPENAI_MODEL": model}
    return await run([name, "-y", "-p", prompt, "--output-format", "json"], "", home, work, **told)


@pytest.mark.parametrize(
    ("ask", "model", "tool"),
    [
        pytest.param(opencode("@ai-sdk/openai-compatible"), MISTRAL, BASH, id="opencode, chat: Mistral"),
        pytest.param(opencode("@ai-sdk/anthropic"), GPT, BASH, id="opencode, messages: OpenAI"),
        pytest.param(qwen, SONNET, SHELL, id="Qwen Code: Anthropic"),
        pytest.param(qwen, MISTRAL, SHELL, id="Qwen Code: Mistral"),
    ],
)
async def test_a_tool_loop_reads_a_file(
    running: Gateway, tmp_path: Path, ask: Callable[..., Any], model: str, tool: dict[str, Any]
) -> None:
    await running.calm()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "poem.txt").write_text("Roses are röd.\n")
    prompt = f"Please. @@{json.dumps([[{'text': 'I look.'}, tool], [{'text': 'Done, grüße.'}]])}@@"
    out = await ask(running, model, prompt, tmp_path / "home", tmp_path / "work")
    assert "Roses are röd." in out and "Done, grüße." in out
    vendor = running.providers[model.partition("/")[0]]
    loop = [request for request in vendor.requests if (request.json or {}).get("tools")]
    assert [request.status for request in vendor.requests] == [200] * len(vendor.requests)
    assert len(loop) == 2 and "Roses are röd." in loop[1].body.decode()
    assert not any(provider.leaks for provider in running.providers.values())
    assert not [name for name, other in running.providers.items() if other.requests and other is not vendor]
