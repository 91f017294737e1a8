"""The gateways that can be compared: how each is installed and run, and what its clients must send.

A gateway is an entry here, and a configuration in peers/ where it wants one: @PORT@ and @UPSTREAM_PORT@ are filled in.
A program can be overridden by the variable named beside it, the first port by BENCH_PORT.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from archgw.machine import envoy_binary

HERE = Path(__file__).resolve().parent
UPSTREAM_PORT = int(os.environ.get("BENCH_PORT", "9100"))  # of the mock; the gateways have the numbers above it
_PEERS_MODES = ("openai", "anthropic", "translate", "continued")
_LITELLM_KEY = "sk-benchmark-only-7f3a9c51d2e84b60"  # LiteLLM refuses to start without a long key; it guards nothing

ByMode = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Gateway:
    """`install` and `files` are for the work folder; `config` is a file in peers/, written to `config_to` there.

    `stale` is a file of an earlier run that would stop it from starting.
    """

    port: int
    command: tuple[str, ...]
    install: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    config_to: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    stale: str = ""
    models: ByMode = field(default_factory=dict)
    headers: Mapping[str, ByMode] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def gateways(work: Path) -> dict[str, Gateway]:
    return {
        "direct": Gateway(
            port=UPSTREAM_PORT,
            install=(f"cc -O2 -o mockllm {HERE}/mockllm.c",),
            command=(_program("MOCKLLM", work / "mockllm"), "@PORT@"),
        ),
        # The same binary that archgw runs, as a plain proxy.
        "envoy": Gateway(
            port=UPSTREAM_PORT + 1,
            config="envoy.yaml",
            command=(
                _program("ENVOY", envoy_binary()),
                *("-c", "@CONFIG@", "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"),
            ),
        ),
        "archgw": Gateway(
            port=UPSTREAM_PORT + 2,
            config="archgw.yaml",
            command=(sys.executable, "-m", "archgw.supervisor", "@CONFIG@"),
            environment={"ARCHGW_HOME": str(work / "archgw-home"), "MOCK_KEY": "sk-mock"},
            models={
                "openai": "mock/openai",
                "anthropic": "mock/anthropic",
                "translate": "mock/openai",
                "continued": "arch.main.v1",
                "routed": "arch.main.v1",
            },
            headers={"continued": {"x-session-id": "bench"}},
        ),
        "litellm": _litellm(work, port=UPSTREAM_PORT + 4),
        # the same program with its opt-in Rust path (Anthropic to Anthropic only, in 1.106)
        "litellm-rust": _litellm(work, port=UPSTREAM_PORT + 5, LITELLM_RUST="1"),
        "ccr": Gateway(
            port=UPSTREAM_PORT + 6,
            # 3.x needs @the-next-ai/ai-gateway, which the npm registry did not serve when this was written
            install=("npm install --prefix ccr @musistudio/claude-code-router@2.0.0",),
            stale="ccr-home/.claude-code-router/.claude-code-router.pid",  # what it names may be a zombie
            config="ccr.json",
            config_to="ccr-home/.claude-code-router/config.json",
            command=(
                _program("NODE", "node"),
                _program("CCR", work / "ccr/node_modules/@musistudio/claude-code-router/dist/cli.js"),
                "start",
            ),
            environment={"HOME": str(work / "ccr-home")},
            models={
                "openai": "mock,mock-openai",
                "anthropic": "mocka,mock-anthropic",
                "translate": "mock,mock-openai",
                "continued": "mock,mock-openai",
            },
        ),
        "portkey": Gateway(
            port=UPSTREAM_PORT + 7,
            # as npm resolves it today (@hono/node-server 1.19, and 1.14 too) all its streams fail with
            # 'TypeError: immutable': github.com/Portkey-AI/gateway/issues/1389
            files={"portkey/package.json": '{"overrides": {"@hono/node-server": "1.13.0"}}'},
            install=("npm install --prefix portkey @portkey-ai/gateway@1.15.2",),
            command=(
                _program("NODE", "node"),
                _program("PORTKEY", work / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"),
                "--port=@PORT@",
                "--headless",
            ),
            environment={"NODE_ENV": "production"},
            headers={
                "openai": _portkey_headers("openai"),
                "anthropic": _portkey_headers("anthropic"),
                "translate": _portkey_headers("openai"),
                "continued": _portkey_headers("openai"),
            },
        ),
        # OpenAI in, OpenAI out: it passes requests on
        "sglang": Gateway(
            port=UPSTREAM_PORT + 8,
            install=(f"{sys.executable} -m venv sglang", "sglang/bin/pip install -q sglang-router==0.3.2"),
            command=(
                _program("SGLANG", work / "sglang/bin/python"),
                *("-m", "sglang_router.launch_router", "--backend", "openai"),
                *("--worker-urls", f"http://127.0.0.1:{UPSTREAM_PORT}", "--host", "127.0.0.1", "--port", "@PORT@"),
                *("--prometheus-host", "127.0.0.1", "--prometheus-port", str(UPSTREAM_PORT + 9)),
                *("--disable-health-check", "--log-level", "warn"),  # the mock has no page of its health
            ),
            models={"openai": "mock"},
        ),
    }


def _program(variable: str, usual: str | Path) -> str:
    return os.environ.get(variable, str(usual))


def _litellm(work: Path, *, port: int, **environment: str) -> Gateway:
    return Gateway(
        port=port,
        install=(f"{sys.executable} -m venv litellm", "litellm/bin/pip install -q litellm[proxy]==1.108.7"),
        config="litellm.yaml",
        command=(
            _program("LITELLM", work / "litellm/bin/litellm"),
            *("--config", "@CONFIG@", "--host", "127.0.0.1", "--port", "@PORT@"),
            *("--num_workers", "1", "--telemetry", "False"),
        ),
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_MASTER_KEY": _LITELLM_KEY,
            # else /v1/messages for an OpenAI provider goes to its Responses API, not to chat completions
            "LITELLM_USE_CHAT_COMPLETIONS_URL_FOR_ANTHROPIC_MESSAGES": "true",
            **environment,
        },
        models={
            "openai": "mock-openai",
            "anthropic": "mock-anthropic",
            "translate": "mock-openai",
            "continued": "mock-openai",
        },
        headers={mode: {"authorization": f"Bearer {_LITELLM_KEY}", "x-api-key": _LITELLM_KEY} for mode in _PEERS_MODES},
    )


def _portkey_headers(provider: str) -> ByMode:
    return {"x-portkey-provider": provider, "x-portkey-custom-host": f"http://127.0.0.1:{UPSTREAM_PORT}/v1"}
