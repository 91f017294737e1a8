"""Clients with keys, and web pages without, at the door of the real Envoy; and Claude Code itself with a client key."""

import asyncio
import hashlib
import io
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw import statusline
from archgw.simulate import Simulator
from programs import finished, installed, node
from stack import CODE, Gateway, gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = f"archgw-{'c0' * 32}"
MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
GUARDED = f"""
clients: [{{name: laptop, key: "sha256:{hashlib.sha256(KEY.encode()).hexdigest()}"}}]
"""
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, passthrough_auth: true, base_url: "$URL_ANTHROPIC"}
failover: {put_aside_after: 100000}
"""


@asynccontextmanager
async def running(folder: Path, config: str) -> AsyncIterator[Gateway]:
    async with Simulator("openai", accept_keys={"key-of-openai"}) as openai, Simulator("anthropic") as anthropic:
        providers = {"openai": openai, "anthropic": anthropic}
        async with gateway(folder, config, providers, {"OPENAI_API_KEY": "key-of-openai"}) as gate:
            yield gate


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with running(tmp_path_factory.mktemp("guarded"), CONFIG + GUARDED) as gate:
        yield gate


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unguarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with running(tmp_path_factory.mktemp("unguarded"), CONFIG) as gate:
        yield gate


def hello(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}], **more}


async def status(gate: Gateway, method: str, path: str, **headers: str) -> int:
    data = json.dumps(hello()).encode() if method == "POST" else None
    sent = {"content-type": "application/json", **headers}
    async with gate.client.request(method, gate.url + path, data=data, headers=sent, allow_redirects=False) as reply:
        await reply.read()
        return reply.status


# -- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "archgw", f"{KEY[:-1]}1"], ids=["none", "any word", "another"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("POST", path)
            for path in (MESSAGES, CHAT, "/v1/responses", "/v1/messages/count_tokens", "/v1/embeddings", "/")
        ),
        *(
            ("GET", path)
            for path in ("/", "/v1/models", "/v1/models/gpt-4o-mini", "/archgw/sessions/s", "/v1/messages")
        ),
        *(("GET", path) for path in ("//v1/models", "/healthz/../v1/models", "/healthz%2f..%2fv1/models", "/healthz/")),
        *((method, MESSAGES) for method in ("OPTIONS", "HEAD", "PUT", "DELETE", "PATCH")),
    ],
)
async def test_nothing_is_answered_without_a_key(guarded: Gateway, method: str, path: str, key: str) -> None:
    await guarded.calm()
    assert await status(guarded, method, path, **({"x-api-key": key} if key else {})) == 403
    assert not [request for provider in guarded.providers.values() for request in provider.requests]


async def test_a_body_without_a_key_is_not_waited_for(guarded: Gateway) -> None:
    """Who may not ask is refused by his headers: of the 16 MB that he promises, not one byte has been sent."""
    host = guarded.url.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(f"POST {MESSAGES} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 16000000\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 30)
    writer.close()
    assert answer == b"HTTP/1.1 403 Forbidden\r\n"


@pytest.mark.parametrize(
    "sent",
    [{"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}, {"x-arch-key": KEY, "authorization": "Bearer other"}],
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
async def test_with_a_key_all_is_as_ever(guarded: Gateway, path: str, sent: dict[str, str]) -> None:
    await guarded.calm()
    assert await status(guarded, "POST", path, **sent) == 200
    (request,) = guarded.providers["openai"].requests
    assert KEY not in json.dumps(request.headers) and request.header("authorization") == "Bearer key-of-openai"
    assert await status(guarded, "GET", "/v1/models", **sent) == 200


async def test_a_login_goes_on_and_the_key_beside_it_does_not(guarded: Gateway) -> None:
    await guarded.calm()
    login = {"x-arch-key": KEY, "authorization": "Bearer sk-ant-oat01-login"}
    data = io.BytesIO(json.dumps(hello(model="claude-sonnet-4-5")).encode())
    async with guarded.client.post(guarded.url + MESSAGES, data=data, headers=login) as reply:
        assert reply.status == 200
    (request,) = guarded.providers["anthropic"].requests
    assert request.header("authorization") == "Bearer sk-ant-oat01-login"
    assert KEY not in json.dumps(request.headers)


async def test_the_status_line_shows_its_key(guarded: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(hello()).encode()
    sent = {"x-api-key": KEY, "x-claude-code-session-id": "a-session"}
    async with guarded.client.post(guarded.url + MESSAGES, data=data, headers=sent) as reply:
        assert reply.status == 200
    assert await asyncio.to_thread(statusline.ask, guarded.url, "a-session") is None
    monkeypatch.setenv("ARCHGW_CLIENT_KEY", KEY)
    told = await asyncio.to_thread(statusline.ask, guarded.url, "a-session")
    assert told and told["model"] == "openai/gpt-4o-mini"


@pytest.mark.parametrize("version", ["2.1.197", "2.1.330"])
async def test_claude_code_is_let_in_by_its_key_and_fails_at_once_without(
    guarded: Gateway, tmp_path: Path, version: str
) -> None:
    program = installed("claude", "@anthropic-ai/claude-code", version)
    await guarded.calm()
    environment = {
        "PATH": f"{program.parent}:{node()}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "ARCHGW_HOME": str(guarded.home.folder),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "ANTHROPIC_AUTH_TOKEN": "a login of its own",
        **CODE,
    }
    command = [sys.executable, "-m", "archgw", "cli-agent", "claude", "--model", "gpt-4o-mini", "--", "-p", "say hello"]
    code, out, err = await finished(command, tmp_path, environment | {"ARCHGW_CLIENT_KEY": KEY}, patience=120)
    assert code == 0, out + err
    assert guarded.providers["openai"].requests
    assert KEY not in json.dumps([request.headers for request in guarded.providers["openai"].requests])
    await guarded.calm()
    code, out, err = await finished(command, tmp_path, environment, patience=120)
    assert code != 0 and "client key" in out + err
    assert not guarded.providers["openai"].requests


# -- pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"host": "evil.example"},
        {"host": "evil.example:80", "origin": "http://evil.example"},
    ],
    ids=["another's page", "another port", "a page of nobody", "a name of its own", "both, as rebinding has them"],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", MESSAGES), ("POST", CHAT), ("GET", "/v1/models"), ("GET", "/archgw/sessions/s")]
)
async def test_no_web_page_can_ask(unguarded: Gateway, method: str, path: str, page: dict[str, str]) -> None:
    """Without the preflight that browsers spare a form, in plain text."""
    await unguarded.calm()
    assert await status(unguarded, method, path, **{"content-type": "text/plain", **page}) == 403
    assert not unguarded.providers["openai"].requests


async def test_a_browser_is_never_told_that_it_may(unguarded: Gateway) -> None:
    sent = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    async with unguarded.client.options(unguarded.url + MESSAGES, headers=sent) as reply:
        assert reply.status == 403
        assert not [name for name in reply.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("host", ["localhost", "archgw", "host.docker.internal:12000"])
async def test_by_our_own_names_everybody_may(unguarded: Gateway, host: str) -> None:
    assert await status(unguarded, "POST", MESSAGES, host=host) == 200
