"""Decisions asked of a running gateway: by every form, by gRPC, and by the examples as they stand in examples/."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
import yaml
from archgw import machine
from archgw.commands.why import why
from archgw.simulate import Simulator
from stack import Answer, Gateway, free_port, gateway, until
from typer import Typer
from typer.testing import CliRunner

from router_service.pb import ext_proc_pb2 as ext
from router_service.pb import ext_proc_pb2_grpc, router_pb2_grpc
from router_service.pb import router_pb2 as pb
from router_service.shell.ledger import Kept

EXAMPLES = Path(__file__).parent.parent / "examples" / "decisions"
DEEPSEEK, GPT = "deepseek/deepseek-chat", "openai/gpt-4o-mini"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, base_url: "$URL_OPENAI", access_key: openais-own, default: true}
  - {model: deepseek/deepseek-chat, base_url: "$URL_DEEPSEEK", access_key: deepseeks-own}
clients:
  - {name: laptop, key: "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}
routing: {deadline: 10s}
limits: {body: 1MiB}
routing_preferences:
  - {name: writing code, description: writing new functions and scripts, models: [deepseek-chat]}
  - {name: jokes, description: telling jokes and funny stories, models: [gpt-4o-mini]}
"""
JSON = {"content-type": "application/json"}
KEY = {"x-api-key": "foo"}  # whose hash the config has
CODE, JOKE = "Write a Python function that parses ISO dates", "Tell me a joke about a parrot"
KEYS = {"OPENAI_API_KEY": "key-of-openai", "DEEPSEEK_API_KEY": "key-of-deepseek"}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with (
        Simulator("openai") as one,
        Simulator("deepseek") as two,
        gateway(tmp_path_factory.mktemp("decisions"), CONFIG, {"openai": one, "deepseek": two}, watch=False) as running,
    ):
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> AsyncIterator[None]:
    """And no vendor was shown what is none of his."""
    await running.calm()
    yield
    assert {name: list(provider.leaks) for name, provider in running.providers.items() if provider.leaks} == {}


def said(words: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": words}]


def asked_of(running: Gateway) -> list[str]:
    return [name for name, provider in running.providers.items() for _ in provider.requests]


async def decide(running: Gateway, path: str, body: Any, **headers: str) -> Answer:
    return await running.ask(body, f"/routing/v1/{path}", **(KEY | headers))


# As the SDKs send them: Anthropic's, OpenAI's for chat completions and for responses.
FORMS = {
    "messages": {"max_tokens": 1024, "system": "Be brief.", "messages": said(CODE), "stream": True},
    "chat/completions": {"messages": [{"role": "system", "content": "Be brief."}, *said(CODE)], "temperature": 0.2},
    "responses": {"instructions": "Be brief.", "input": CODE, "store": False},
}


@pytest.mark.parametrize("path", FORMS)
async def test_a_whole_request_is_decided_and_goes_nowhere(running: Gateway, path: str) -> None:
    answer = await decide(running, path, {"model": "arch.main.v1"} | FORMS[path])
    assert answer.status == 200, answer.body
    told = answer.json
    assert (told["preference"], [one["model"] for one in told["models"]]) == ("writing code", [DEEPSEEK, GPT])
    assert told["models"][0]["base_url"] == f"{running.providers['deepseek'].url}/v1"
    assert set(told["scores"]) == {"writing code", "jokes", "none"} and told["difficulty"]
    assert (answer.headers["x-arch-model"], answer.headers["x-arch-request-id"]) == (DEEPSEEK, told["request_id"])
    assert b"own" not in answer.body and asked_of(running) == []


@pytest.mark.parametrize(("path", "anthropic"), [("decide", True), ("messages", True), ("responses", False)])
async def test_what_envoy_refuses_itself_is_in_the_dialect_of_the_form(
    running: Gateway, path: str, anthropic: bool
) -> None:
    async def endless() -> AsyncIterator[bytes]:  # no length is told, so that it is Envoy who counts
        for _ in range(20):
            yield b" " * 64 * 1024

    url = f"{running.url}/routing/v1/{path}"
    async with running.client.post(url, data=endless(), headers=JSON | KEY) as reply:
        told = await reply.json()
    assert (reply.status, "type" in told) == (413, anthropic)
    assert "larger than 1 MiB" in told["error"]["message"]


async def test_a_question_alone_and_what_it_leaves_behind(running: Gateway) -> None:
    answer = await decide(running, "decide", {"prompt": JOKE, "context": ["assistant: done", f"user: {CODE}"]})
    assert (answer.json["preference"], answer.json["session"]) == ("jokes", None)
    told = await explained(running, answer.json["request_id"])
    assert told.startswith(f"jokes -> {GPT}\n") and "decided only" in told and JOKE in told
    assert await in_ledger(running, answer.json["request_id"]) is None


async def explained(running: Gateway, request: str) -> str:
    app = Typer()
    app.command()(why)
    environment = {"ARCHGW_HOME": str(running.home.folder), "COLUMNS": "300"}
    result = await asyncio.to_thread(CliRunner().invoke, app, [request], env=environment)
    assert result.exit_code == 0, result.output
    return result.output


async def in_ledger(running: Gateway, request: str) -> Kept | None:
    """As feedback finds it, which waits for what is under way to the ledger."""
    answer = await running.ask({"request": request, "rating": "good"}, "/v1/feedback", **KEY)
    return answer.json if answer.status == 200 else None


async def test_what_was_decided_holds_where_the_turn_goes_on(running: Gateway) -> None:
    """The client's proxy has asked the model itself; the results of its tools come to the gateway."""
    session = {"x-session-id": "decided"}
    call = {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    tools = [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object", "properties": {}}}}]
    first = {"model": "arch.main.v1", "messages": said(CODE), "tools": tools}
    await decide(running, "chat/completions", first, **session)
    results = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a joke.py"},
    ]
    answer = await running.ask(first | {"messages": [*said(CODE), *results]}, "/v1/chat/completions", **KEY, **session)
    assert (answer.status, answer.headers["x-arch-model"]) == (200, DEEPSEEK), answer.body
    assert "tool continuation -> stays with" in answer.headers["x-arch-reason"]


# -- gRPC ----------------------------------------------------------------------------------------------------------


def front(running: Gateway) -> str:
    return running.url.removeprefix("http://")


def by_grpc(at: str, request: pb.DecisionRequest, **metadata: str) -> pb.Decision:
    with grpc.insecure_channel(at) as channel:
        given = [(name.replace("_", "-"), value) for name, value in metadata.items()]
        decided: pb.Decision = router_pb2_grpc.DecisionsStub(channel).Decide(request, metadata=given, timeout=20)
        return decided


@pytest.mark.parametrize("at", ["front", "socket"])
async def test_any_program_may_ask_by_grpc(running: Gateway, at: str) -> None:
    address = front(running) if at == "front" else f"unix:{running.home.router_socket}"
    key = {"x_api_key": "foo"} if at == "front" else {}
    body = json.dumps({"model": "arch.main.v1", "max_tokens": 9, "messages": said(CODE)}).encode()
    whole = pb.DecisionRequest(dialect="anthropic_messages", body=body, headers={"X-Session-Id": f"grpc-{at}"})
    told = await asyncio.to_thread(by_grpc, address, whole, **key)
    assert (told.preference, told.models[0].model, told.session) == ("writing code", DEEPSEEK, f"grpc-{at}/")
    question = pb.DecisionRequest(body=json.dumps({"prompt": JOKE, "model": "gpt-4o-mini"}).encode())
    told = await asyncio.to_thread(by_grpc, address, question, **key)
    assert (told.HasField("preference"), told.lane, told.HasField("session")) == (False, "explicit", False)
    names = await callers(running, told.request_id)
    assert names == ("laptop" if at == "front" else "")


async def callers(running: Gateway, request: str) -> str:
    with grpc.insecure_channel(f"unix:{running.home.router_socket}") as channel:
        found = router_pb2_grpc.RouterStub(channel).Explain(pb.ExplainRequest(request=request), timeout=20)
        return str(found.request.caller)


@pytest.mark.parametrize(
    ("metadata", "request_", "code", "words"),
    [
        ({}, {"body": b"{}"}, "PERMISSION_DENIED", "this gateway wants a client key"),
        ({"x_archgw_caller": "laptop"}, {"body": b"{}"}, "PERMISSION_DENIED", "this gateway wants a client key"),
        ({"x_api_key": "foo"}, {"body": b"{}"}, "INVALID_ARGUMENT", "expected a prompt, or messages"),
        ({"x_api_key": "foo"}, {"body": b""}, "INVALID_ARGUMENT", "the request has no body"),
        ({"x_api_key": "foo"}, {"body": b"\xff\xfe"}, "INVALID_ARGUMENT", "is not valid JSON"),
        ({"x_api_key": "foo"}, {"body": b'{"prompt": "hi", "context": "x"}'}, "INVALID_ARGUMENT", "context: expected"),
        ({"x_api_key": "foo"}, {"body": b'{"prompt": [["hi"]]}'}, "INVALID_ARGUMENT", "prompt: expected words"),
        ({"x_api_key": "foo"}, {"dialect": "latin"}, "INVALID_ARGUMENT", "dialect: expected anthropic_messages, "),
        ({"x_api_key": "foo"}, {"body": b" " * 2 * 1024 * 1024}, "RESOURCE_EXHAUSTED", "larger than 1 MiB"),
        ({"x_api_key": "foo"}, {"body": b'{"prompt": "a", "model": "gpt-99"}'}, "NOT_FOUND", "knows no model 'gpt-99'"),
    ],
)  # fmt: skip
async def test_a_call_that_fails_says_why(
    running: Gateway, metadata: dict[str, str], request_: Any, code: str, words: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        await asyncio.to_thread(by_grpc, front(running), pb.DecisionRequest(**request_), **metadata)
    error: Any = raised.value
    assert error.code().name == code and words in error.details()


@pytest.mark.parametrize("at", ["front", "socket"])
async def test_bytes_that_are_no_message_harm_nobody_else(running: Gateway, at: str) -> None:
    address = front(running) if at == "front" else f"unix:{running.home.router_socket}"
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/archgw.v1.Decisions/Decide")  # which sends bytes as they are
        with pytest.raises(grpc.RpcError) as raised:
            await asyncio.to_thread(call, b"\xff" * 9, metadata=[("x-api-key", "foo")], timeout=20)
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT and "no message of that method" in error.details()
    told = await asyncio.to_thread(by_grpc, address, pb.DecisionRequest(body=b'{"prompt": "hi"}'), x_api_key="foo")
    assert told.models


async def test_nothing_else_of_the_services_own_is_to_be_had_at_the_front(running: Gateway) -> None:
    with grpc.insecure_channel(front(running)) as channel:
        stub = router_pb2_grpc.RouterStub(channel)
        for call, request in ((stub.Status, pb.StatusRequest()), (stub.Adopt, pb.AdoptRequest())):
            with pytest.raises(grpc.RpcError) as raised:
                await asyncio.to_thread(call, request, metadata=[("x-api-key", "foo")], timeout=20)
            error: Any = raised.value
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED, error


# -- the examples --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def program(command: list[str], port: int, log: Path, **environment: str) -> AsyncIterator[str]:
    """The address of a proxy, as soon as it listens."""
    with log.open("w") as out:
        env = os.environ | KEYS | environment
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, env=env)
    try:
        await until(lambda: process.returncode is not None or machine.why_taken("127.0.0.1", port))
        assert process.returncode is None, told(log)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


def told(log: Path) -> str:
    return log.read_text()[-3000:]


@asynccontextmanager
async def their_envoy(
    running: Gateway, folder: Path, *, socket: Path, modes: bool = True, held: int | None = None
) -> AsyncIterator[str]:
    """As in the example, but for where it listens, and where the vendors are. `modes`: what is skipped is said; `held`:
    so many bytes of a body it can hold, and has a host files.example."""
    port = free_port()
    config = yaml.safe_load((EXAMPLES / "envoy.yaml").read_text())
    resources = config["static_resources"]
    resources["listeners"][0]["address"]["socket_address"]["port_value"] = port
    for cluster in resources["clusters"]:
        address = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        if cluster["name"] == "archgw":
            address["pipe"]["path"] = str(socket)
            continue
        address["socket_address"] = {"address": "127.0.0.1", "port_value": running.providers[cluster["name"]].port}
        del cluster["transport_socket"]
    if held is not None:
        resources["listeners"][0]["per_connection_buffer_limit_bytes"] = held
        hosts = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]
        route = {"match": {"prefix": "/"}, "route": {"cluster": "openai"}}
        kept_off = {"request_headers_to_remove": hosts["virtual_hosts"][0]["request_headers_to_remove"]}
        hosts["virtual_hosts"].append({"name": "files", "domains": ["files.example"], "routes": [route]} | kept_off)
    if not modes:
        (filters,) = resources["listeners"][0]["filter_chains"]
        asking = filters["filters"][0]["typed_config"]["http_filters"][0]["typed_config"]
        asking["processing_mode"] = {"request_body_mode": "BUFFERED"}
        asking["failure_mode_allow"] = False  # else who is not answered waits, and goes on
    file = folder / "envoy.json"
    file.write_text(json.dumps(config))
    command = [str(machine.envoy_binary()), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1"]
    async with program(command, port, folder / "envoy.log") as url:
        yield url


def last(running: Gateway, name: str) -> Any:
    return running.providers[name].requests[-1]


@pytest.mark.parametrize("modes", [True, False], ids=["as in the example", "with answers shown to us"])
async def test_somebody_elses_envoy_routes_by_our_headers(running: Gateway, tmp_path: Path, modes: bool) -> None:
    async with their_envoy(running, tmp_path, socket=running.home.router_socket, modes=modes) as url:

        async def ask(body: Any, **headers: str) -> Answer:
            data = body if isinstance(body, bytes) else json.dumps({"model": "arch.main.v1"} | body).encode()
            async with running.client.post(f"{url}/v1/chat/completions", data=data, headers=JSON | headers) as reply:
                return Answer(reply.status, dict(reply.headers), await reply.read())

        forged = {"x-arch-provider": "openai", "x-arch-model": "gpt-4o-mini", "x-arch-anything": "1"}
        of_others = ("cookie", "forwarded", "proxy-authorization", "x-forwarded-host", "x-forwarded-port")
        forged |= dict.fromkeys(of_others, "for=203.0.113.7") | {"x-forwarded-for": "203.0.113.7"}
        answer = await ask({"messages": said(CODE)}, **forged, **KEY)
        assert answer.status == 200, answer.body
        assert asked_of(running) == ["deepseek"]
        got = last(running, "deepseek")
        assert got.json["model"] == "deepseek-chat" and got.json["messages"] == said(CODE)
        assert got.header("authorization") == "Bearer key-of-deepseek", "theirs, and never ours"
        assert not [name for name, _ in got.headers if name.startswith("x-arch") or name in KEY]

        assert (await ask({"messages": said(JOKE)})).status == 200
        assert last(running, "openai").json["model"] == "gpt-4o-mini"

        await running.calm()  # a provider that is forged, and nothing that can be decided: their last route answers
        await ask(b"no JSON", **{"x-arch-provider": "deepseek"})
        assert asked_of(running) == ["openai"]
        assert last(running, "openai").header("authorization") == "Bearer key-of-openai"


async def test_without_us_their_last_route_answers(running: Gateway, tmp_path: Path) -> None:
    """Theirs, and not the one that a client makes up, whose headers nobody else takes away then."""
    async with their_envoy(running, tmp_path, socket=tmp_path / "nobody.sock") as url:
        body = {"model": "gpt-4o-mini", "messages": said(CODE)}
        forged = {"x-arch-provider": "deepseek", "x-arch-model": "deepseek-chat"}
        keys = dict.fromkeys(("x-arch-key", "x-api-key", "api-key", "authorization"), "foo")
        async with running.client.post(f"{url}/v1/chat/completions", json=body, headers=forged | keys) as reply:
            assert reply.status == 200
    assert asked_of(running) == ["openai"] and last(running, "openai").json["model"] == "gpt-4o-mini"
    assert "foo" not in [value for _, value in last(running, "openai").headers]


async def test_where_the_filter_is_off_nothing_is_held(running: Gateway, tmp_path: Path) -> None:
    """Not even by a service that hangs: where the filter is on, their Envoy refuses what it cannot hold meanwhile."""

    async def long() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"x" * 16 * 1024

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    socket = tmp_path / "hangs.sock"
    async with (
        await asyncio.start_unix_server(silent, socket),
        their_envoy(running, tmp_path, socket=socket, held=64 * 1024) as url,
    ):
        for host, status in (("files.example", 404), ("models.example", 413)):
            async with running.client.post(f"{url}/v1/files", data=long(), headers={"host": host}) as reply:
                assert reply.status == status, await reply.text()


async def test_the_stream_ends_where_there_is_nothing_to_decide(running: Gateway) -> None:
    """Their Envoy goes on by itself then, and holds no body for us."""
    head = ext.ProcessingRequest()
    for name, value in {":method": "POST", ":path": "/v1/files"}.items():
        head.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    async with grpc.aio.insecure_channel(f"unix:{running.home.router_socket}") as channel:
        stub: Any = ext_proc_pb2_grpc.ExternalProcessorStub(channel)
        stream = stub.Process(metadata=[("x-archgw-role", "decide")], timeout=20)
        await stream.write(head)
        answer = await stream.read()
        assert answer.HasField("request_headers")
        assert await stream.read() is grpc.aio.EOF and await stream.code() is grpc.StatusCode.OK


async def test_the_example_is_one_that_envoy_takes() -> None:
    command = [str(machine.envoy_binary()), "--mode", "validate", "-c", str(EXAMPLES / "envoy.yaml")]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=os.environ | KEYS)
    assert done.returncode == 0, done.stderr[-3000:]


async def test_the_client_in_python(running: Gateway) -> None:
    source = (EXAMPLES / "ask.py").read_text()
    assert 'post(f"{GATEWAY}/routing' in source
    open_gateway = source.replace('completions", asked)  #', "completions\", asked, **{'x-api-key': 'foo'})  #")
    command = [sys.executable, "-c", open_gateway, CODE]
    environment = os.environ | KEYS | {"ARCHGW": running.url}
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{DEEPSEEK} (writing code (")
    assert last(running, "deepseek").header("authorization") == "Bearer key-of-deepseek"


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "usage: "), ([CODE], "nobody answers at http://127.0.0.1:1/routing")], ids=str
)
async def test_the_client_in_python_says_what_it_lacks(arguments: list[str], said: str) -> None:
    command = [sys.executable, str(EXAMPLES / "ask.py"), *arguments]
    environment = os.environ | KEYS | {"ARCHGW": "http://127.0.0.1:1"}
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and done.stderr.startswith(said) and len(done.stderr.splitlines()) == 1


NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NJS = Path(NGINX).parents[1] / "lib/nginx/modules/ngx_http_js_module.so" if NGINX else None


@pytest.mark.skipif(not (NJS and NJS.exists()), reason="nginx-light and libnginx-mod-http-js are not installed")
async def test_nginx_asks_and_passes_on(running: Gateway, tmp_path: Path) -> None:
    assert NGINX and NJS
    port = free_port()
    config = (EXAMPLES / "nginx.conf").read_text()
    changes = {
        "modules/ngx_http_js_module.so": str(NJS),
        "js_import archgw.js;": f"js_import archgw from {EXAMPLES}/archgw.js;",
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "http://127.0.0.1:12000": running.url,
        "https://api.openai.com": running.providers["openai"].url,
        "https://api.deepseek.com": running.providers["deepseek"].url,
        "events {}": "events {}\npid nginx.pid;\ndaemon off;\nmaster_process off;",
        "http {": "http {\naccess_log off;\n" + "".join(f"{name}_temp_path {name};\n" for name in TEMPORARY),
    }
    for old, new in changes.items():
        assert old in config
        config = config.replace(old, new)
    (tmp_path / "nginx.conf").write_text(config)
    command = [NGINX, "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"]
    async with program(command, port, tmp_path / "nginx.log") as url:
        for words, name, model in ((CODE, "deepseek", "deepseek-chat"), (JOKE, "openai", "gpt-4o-mini")):
            body = {"model": "arch.main.v1", "messages": said(words)}
            async with running.client.post(f"{url}/v1/chat/completions", json=body, headers=KEY) as reply:
                assert reply.status == 200, (await reply.text(), told(tmp_path / "nginx.log"))
            got = last(running, name)
            assert (got.json["model"], got.json["messages"]) == (model, said(words))
            assert (got.header("authorization"), got.header("x-api-key")) == (f"Bearer key-of-{name}", None)
        await running.calm()
        body = {"model": "gpt-4o-mini", "messages": said(CODE)}
        async with running.client.post(f"{url}/v1/chat/completions", json=body) as reply:  # by no client key
            assert reply.status == 200
        assert asked_of(running) == ["openai"]


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
