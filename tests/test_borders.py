"""What crosses the gateway's borders, with the real Envoy: of the headers of either side, only what is listed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw.simulate import Fault, Simulator
from archgw.simulate.faults import TELLTALES
from dialogue import openai_completion
from stack import Gateway, gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

VENDORS = ("openai", "anthropic", "deepseek")
KEYS = {f"{name.upper()}_API_KEY": f"key-of-{name}" for name in VENDORS}
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
  - {model: deepseek/deepseek-chat, access_key: $DEEPSEEK_API_KEY, base_url: "$URL_DEEPSEEK"}
  - {model: anthropic/claude-opus-4-8, name: mine, passthrough_auth: true, base_url: "$URL_ANTHROPIC"}
failover: {attempts: 3, first_content_timeout: 20s, whole_answer_timeout: 20s, put_aside_after: 100000}
"""
MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
LABELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "deepseek": "deepseek/deepseek-chat",
}

# Whatever clients, proxies and SDKs put on a request. Each value is a mark, so that it is known wherever it turns up.
ODD = (
    *("cookie", "cookie2", "authorization", "x-api-key", "api-key", "x-goog-api-key", "x-auth-token", "x-csrf-token"),
    *("proxy-authorization", "proxy-authenticate", "x-amz-security-token", "x-amz-date", "x-amzn-trace-id"),
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-user"),
    *("x-forwarded-email", "x-forwarded-client-cert", "forwarded", "via", "x-real-ip", "true-client-ip"),
    *("cf-connecting-ip", "cf-ray", "cf-ipcountry", "fastly-client-ip", "x-cluster-client-ip", "x-client-ip"),
    *("traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "uber-trace-id"),
    *("x-cloud-trace-context", "x-request-id", "x-correlation-id", "x-envoy-original-path", "x-envoy-max-retries"),
    *("x-envoy-upstream-alt-stat-name", "x-envoy-expected-rq-timeout-ms", "x-envoy-force-trace"),
    *("openai-organization", "openai-project", "openai-beta", "anthropic-dangerous-direct-browser-access"),
    *("x-stainless-lang", "x-stainless-os", "x-stainless-retry-count", "x-claude-code-session-id"),
    *("x-claude-code-prompt-id", "helicone-auth", "http-referer", "referer", "x-title", "from", "accept-language"),
    *("sec-fetch-site", "sec-fetch-mode", "sec-ch-ua", "sec-gpc", "priority", "dnt", "range", "if-none-match"),
    *("if-modified-since", "cache-control", "pragma", "x-http-method-override", "x-original-url", "x-rewrite-url"),
    *("x-arch-key", "x-arch-anything", "x-archgw-chain", "x-archgw-provider", "x-archgw-candidate"),
    *("x-archgw-exchange", "x-archgw-retry", "x-archgw-role", "grpc-timeout", "x-tenant", "x-user-email"),
)
MARK = "a-mark-of-the-clients"
OURS = {"host", "user-agent", "content-type", "content-length", "accept", "accept-encoding"}
TO = {  # what each vendor may be sent besides, by the client's path: Anthropic's own headers from its own clients alone
    "openai": {path: {"authorization"} for path in (MESSAGES, CHAT, RESPONSES)},
    "deepseek": {path: {"authorization"} for path in (MESSAGES, CHAT, RESPONSES)},
    "anthropic": {
        MESSAGES: {"x-api-key", "anthropic-version", "anthropic-beta", "x-app"},
        CHAT: {"x-api-key", "anthropic-version"},
        RESPONSES: {"x-api-key", "anthropic-version"},
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        providers = {
            name: await stack.enter_async_context(
                Simulator(name, refuse_leaks=False, accept_keys=None if name == "anthropic" else {f"key-of-{name}"})
            )
            for name in VENDORS
        }
        folder = tmp_path_factory.mktemp("borders")
        yield await stack.enter_async_context(gateway(folder, CONFIG, providers, KEYS))


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> None:
    await running.calm()


def body(path: str, model: str, *, stream: bool) -> dict[str, Any]:
    said = {"input": "hello"} if path == RESPONSES else {"messages": [{"role": "user", "content": "hello"}]}
    limit = {} if path == RESPONSES else {"max_tokens": 50}
    return {"model": model, "stream": stream, **limit, **said}


def odd() -> dict[str, str]:
    own = {"user-agent": "a-client/1.0", "anthropic-version": "2023-06-01", "x-app": "cli"}
    return own | {"anthropic-beta": "context-1m-2025-08-07"} | {name: f"{MARK}-{name}" for name in ODD}


# -- towards vendors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", [MESSAGES, CHAT, RESPONSES])
@pytest.mark.parametrize("failing", [0, 1, 2], ids=["at once", "one retry", "two retries"])
@pytest.mark.parametrize("first", VENDORS)
async def test_only_listed_headers_reach_a_vendor(
    running: Gateway, first: str, failing: int, path: str, stream: bool
) -> None:
    order = [first, *(name for name in VENDORS if name != first)]
    for name in order[:failing]:
        running.providers[name].fail_next(Fault("status", status=500))
    answer = await running.ask(body(path, LABELS[first], stream=stream), path, **odd())
    assert answer.status == 200, answer.body
    assert answer.headers["x-arch-attempts"] == str(failing + 1)
    for name in order[: failing + 1]:
        (received,) = running.providers[name].requests
        seen = dict(received.headers)
        assert len(seen) == len(received.headers), "none comes twice"
        assert set(seen) - OURS == TO[name][path]
        assert MARK not in json.dumps(received.headers), "nor does anything of theirs come under a listed name"
        assert MARK.encode() not in received.body
        assert f"key-of-{name}" in json.dumps(seen)
        assert not [other for other in VENDORS if other != name and f"key-of-{other}" in json.dumps(seen)]
    assert not [
        leak for provider in running.providers.values() for leak in provider.leaks if leak.header != "x-api-key"
    ]
    untouched = [running.providers[name].requests for name in order[failing + 1 :]]
    assert not any(untouched)


@pytest.mark.parametrize("path", [MESSAGES, CHAT, RESPONSES])
async def test_a_clients_login_goes_to_the_one_vendor_that_it_is_for(running: Gateway, path: str) -> None:
    """And stays behind when another has to step in."""
    running.providers["anthropic"].fail_next(Fault("status", status=500))
    answer = await running.ask(body(path, "mine", stream=False), path, **odd())
    assert answer.status == 200, answer.body
    (with_login,) = running.providers["anthropic"].requests
    assert with_login.header("authorization") == f"{MARK}-authorization"
    assert with_login.header("x-api-key") == f"{MARK}-x-api-key"
    (stepped_in,) = [request for name in ("openai", "deepseek") for request in running.providers[name].requests]
    assert MARK not in json.dumps(stepped_in.headers)


# -- towards clients -----------------------------------------------------------------------------------------------

ALWAYS = {"content-type", "date", "server", "transfer-encoding", "content-length", "x-arch-model", "x-arch-route"} | {
    "x-arch-reason",
    "x-arch-attempts",
    "x-arch-request-id",
    "x-arch-warnings",
}
IDS = {"request-id", "x-request-id"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", [MESSAGES, CHAT, RESPONSES])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_of_a_vendors_headers_few_reach_the_client(
    running: Gateway, vendor: str, path: str, stream: bool
) -> None:
    """No cookie, no organisation, no limits of the account, nothing of the vendor's proxies."""
    running.providers[vendor].fail_next(Fault("telltale"))
    answer = await running.ask(body(path, LABELS[vendor], stream=stream), path)
    assert answer.status == 200 and answer.headers["x-arch-model"] == LABELS[vendor]
    names = {name.lower() for name in answer.headers}
    spoken = path == (MESSAGES if vendor == "anthropic" else CHAT) or (vendor == "openai" and path == RESPONSES)
    assert names <= ALWAYS | (IDS if spoken else set())
    assert "mark" not in json.dumps(answer.headers)


async def test_who_asks_with_his_own_login_is_told_of_his_own_limits(running: Gateway) -> None:
    running.providers["anthropic"].fail_next(Fault("telltale"))
    answer = await running.ask(body(MESSAGES, "mine", stream=False), **{"x-api-key": "his own"})
    assert answer.status == 200
    told = {name for name, value in answer.headers.items() if value == "mark"}
    assert told == {
        name for name, _ in TELLTALES if name.startswith(("anthropic-ratelimit-", "anthropic-organization"))
    }


async def with_trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server of OpenAI's dialect that says something behind its answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    answer = json.dumps(openai_completion("with trailers")).encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n")
    writer.write(b"trailer: x-billed-to, set-cookie\r\n\r\n%x\r\n%s\r\n" % (len(answer), answer))
    writer.write(b"0\r\nx-billed-to: mark\r\nset-cookie: mark\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
async def test_what_a_vendor_says_behind_its_answer_reaches_no_client(tmp_path: Path, path: str) -> None:
    server = await asyncio.start_server(with_trailers, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = f"""
listeners: {{egress_traffic: {{port: $PORT}}}}
llm_providers: [{{model: own/any, provider_interface: openai, base_url: "http://127.0.0.1:{port}/v1"}}]
"""
    async with server, gateway(tmp_path, config, {}) as running:
        asked = json.dumps(body(path, "own/any", stream=False)).encode()
        host = running.url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(f"POST {path} HTTP/1.1\r\nhost: {host}\r\nte: trailers\r\nconnection: close\r\n".encode())
        writer.write(f"content-type: application/json\r\ncontent-length: {len(asked)}\r\n\r\n".encode() + asked)
        seen = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert b"with trailers" in seen and seen.endswith(b"0\r\n\r\n")
    assert b"mark" not in seen


# -- redirects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_redirect_of_a_vendors_is_a_failure_and_nobody_follows_it(
    running: Gateway, status: int, stream: bool
) -> None:
    """The next of the list answers; where the redirect leads, nothing arrives, and the client is not sent there."""
    async with Simulator("deepseek") as elsewhere:
        fault = Fault("redirect", status=status, message=f"{elsewhere.url}/v1/chat/completions")
        running.providers["openai"].fail_next(fault)
        answer = await running.ask(body(MESSAGES, LABELS["openai"], stream=stream))
        assert not elsewhere.requests
    assert answer.status == 200 and answer.headers["x-arch-model"] == LABELS["anthropic"]
    assert f"answered {status}" in answer.headers["x-arch-reason"]
    assert "location" not in {name.lower() for name in answer.headers}


async def test_when_all_redirect_the_client_is_told_so_and_goes_nowhere(running: Gateway) -> None:
    for provider in running.providers.values():
        provider.fault = Fault("redirect", message="http://127.0.0.1:9/stolen")
    answer = await running.ask(body(MESSAGES, LABELS["openai"], stream=False))
    assert answer.status == 503 and "answered 307" in answer.json["error"]["message"]
    assert "stolen" not in json.dumps(answer.headers) and b"stolen" not in answer.body
