"""Vendors that are asked with a cloud's own credentials, through the real Envoy: what they get is what they demand."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from archgw.simulate import Simulator
from archgw.simulate.sigv4 import ACCESS_KEY, SECRET
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sdks import AnthropicClient, Client, OpenAIClient, ResponsesClient, Result, Results, User
from stack import Gateway, gateway

BEDROCK = "amazon_bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OSS = "amazon_bedrock/openai.gpt-oss-120b"
STEP_IN = "openai/gpt-4o-mini"
CLAUDE, GEMINI = "vertex/claude-sonnet-4-5@20250929", "vertex/google/gemini-3-pro"
MODELS = (BEDROCK, OSS, CLAUDE, GEMINI)
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
$MODELS
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
failover: {attempts: 2, first_content_timeout: 5s, put_aside_after: 100000, cool_at_most: 0}
"""
AWS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
GOOGLE = {
    "VERTEX_ACCESS_TOKEN": "k",
    "GOOGLE_CLOUD_PROJECT": "our-project",
    "GOOGLE_CLOUD_LOCATION": "europe-west1",
}

pytestmark = pytest.mark.asyncio(loop_scope="module")
every_model = pytest.mark.parametrize(
    "model", MODELS, ids=["bedrock claude", "bedrock gpt-oss", "vertex claude", "vertex gemini"]
)
whole_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def config(*models: str) -> str:
    proof = {"amazon_bedrock": "credentials: aws", "vertex": "access_key: $VERTEX_ACCESS_TOKEN"}
    entries = (
        f'  - {{model: "{model}", {proof[name]}, base_url: "$URL_{name.upper()}"}}'
        for model in models
        if (name := model.partition("/")[0])
    )
    return CONFIG.replace("$MODELS", "\n".join(entries))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with AsyncExitStack() as stack:
        names = ("amazon_bedrock", "vertex", "openai")
        providers = {name: await stack.enter_async_context(Simulator(name, accept_keys={"k"})) for name in names}
        environment = {"OPENAI_API_KEY": "k", **AWS, **GOOGLE}
        folder = tmp_path_factory.mktemp("clouds")
        yield await stack.enter_async_context(gateway(folder, config(*MODELS), providers, environment))


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[AnthropicClient, OpenAIClient, ResponsesClient],
    ids=["anthropic-sdk", "openai-sdk", "responses-sdk"],
)
async def client(request: pytest.FixtureRequest, running: Gateway) -> AsyncIterator[Client]:
    made = request.param(running.url)
    yield made
    await made.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> AsyncIterator[None]:
    await running.calm()
    yield
    leaked = [leak for provider in running.providers.values() for leak in provider.leaks]
    assert not leaked, "a header reached a provider that it was not meant for"


@every_model
@whole_and_streamed
async def test_a_text_and_a_tool_loop(running: Gateway, client: Client, model: str, stream: bool) -> None:
    steps = [[{"text": "Grüß Gott"}, {"tool": "weather", "input": {"city": "Århus"}}], [{"text": "Fine."}]]
    ask = User(f"@@{json.dumps(steps)}@@")
    called = await client.ask(model, [ask], stream=stream, tool="weather")
    assert called.headers["x-arch-model"] == model and called.headers["x-arch-attempts"] == "1"
    assert called.text == "Grüß Gott" and called.calls[0].input == {"city": "Århus"}
    back = Results((Result(called.calls[0].id, "sun"),))
    answered = await client.ask(model, [ask, called, back], stream=stream, tool="weather")
    assert answered.text == "Fine."


async def test_the_clients_bytes_are_what_is_signed(running: Gateway) -> None:
    """And the query that Claude Code sends."""
    body = b'{ "max_tokens" : 100, "model":"%s", "messages":[ {"role":"user", "content" : "caf\\u00e9"} ]}'
    answer = await running.ask(body % BEDROCK.encode(), "/v1/messages?beta=true")
    assert answer.status == 200 and answer.text.endswith("you asked: café")
    (received,) = running.providers["amazon_bedrock"].requests
    assert received.body == body % BEDROCK.partition("/")[2].encode()
    assert (received.path, received.query) == ("/anthropic/v1/messages", "beta=true")
    signed = (received.header("authorization") or "").partition("SignedHeaders=")[2].partition(",")[0]
    assert signed == "content-type;host;x-amz-content-sha256;x-amz-date"
    assert "/eu-central-1/bedrock/aws4_request" in (received.header("authorization") or "")


async def test_no_secret_is_in_anything_that_is_written(running: Gateway) -> None:
    await running.ask({"model": BEDROCK, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
    assert [file for file in written(running) if SECRET.encode() in file.read_bytes()] == []


def written(running: Gateway) -> list[Path]:
    """Files, command lines, and what Envoy is told."""
    files = [file for file in running.home.folder.rglob("*") if file.is_file()]
    pids = running.supervisor.pids
    told = [Path(f"/proc/{pid}/cmdline") for pid in pids.values()] + [Path(f"/proc/{pids['envoy']}/environ")]
    return files + [file for file in told if file.exists()]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "another"}, "answered 403 (The request signature we calculated does not match"),
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "answered 403 (The security token included in the request is invalid.)"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "there are no AWS credentials"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "the AWS credentials could not be had (PartialCredentialsError)"),
        ({"AWS_PROFILE": "nobody"}, "the AWS credentials could not be had (ProfileNotFound)"),
    ],
    ids=["wrong secret", "unknown key", "none", "half of them", "unknown profile"],
)
async def test_where_aws_takes_no_credentials_the_next_model_answers(
    running: Gateway, tmp_path: Path, change: dict[str, str], told: str
) -> None:
    """The home folder is empty, so that nothing of whoever runs this is found."""
    environment = {"OPENAI_API_KEY": "k", "HOME": str(tmp_path), **AWS, **change}
    asked = {"model": BEDROCK, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with gateway(tmp_path, config(BEDROCK), running.providers, environment) as other:
        for stream in (False, True):
            answer = await other.ask(asked | {"stream": stream})
            assert answer.status == 200
            assert answer.headers["x-arch-model"] == STEP_IN
            assert f"{BEDROCK} {told}" in answer.headers["x-arch-reason"]


async def test_credentials_may_stand_in_the_dotenv_file_and_come_with_a_session_token(
    running: Gateway, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in AWS.items()))
    environment = {"OPENAI_API_KEY": "k", "HOME": str(tmp_path), "AWS_SESSION_TOKEN": "a token for an hour"}
    asked = {"model": OSS, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with gateway(tmp_path, config(OSS), running.providers, environment) as other:
        answer = await other.ask(asked, "/v1/chat/completions")
    assert answer.status == 200 and answer.headers["x-arch-model"] == OSS
    received = running.providers["amazon_bedrock"].requests[-1]
    assert received.header("x-amz-security-token") == "a token for an hour"
    assert "x-amz-security-token" in (received.header("authorization") or "")


# -- Vertex ----------------------------------------------------------------------------------------------------

PLACE = "/v1/projects/our-project/locations/europe-west1"


@pytest.mark.parametrize(("stream", "verb"), [(False, "rawPredict"), (True, "streamRawPredict")])
async def test_claude_on_vertex_gets_the_clients_bytes_but_for_model_and_version(
    running: Gateway, stream: bool, verb: str
) -> None:
    body = b'{ "model":"%s", "max_tokens" : 100, "messages":[ {"role":"user", "content" : "caf\\u00e9"} ]%s%s }'
    last = b',"stream":true' if stream else b""
    asked = body % (CLAUDE.encode(), last, b"")
    betas = "interleaved-thinking-2025-05-14,prompt-caching-scope-2026-01-05"
    answer = await running.ask(asked, "/v1/messages?beta=true", **{"anthropic-beta": betas, "anthropic-version": "x"})
    assert answer.status == 200, answer.body
    (received,) = running.providers["vertex"].requests
    expected = asked.replace(b'"model":"%s", ' % CLAUDE.encode(), b"")
    expected = expected.removesuffix(b" }") + b',"anthropic_version":"vertex-2023-10-16" }'
    assert received.body == expected
    assert received.path == f"{PLACE}/publishers/anthropic/models/claude-sonnet-4-5@20250929:{verb}"
    assert received.query == "", "Google's API knows no other than its own"
    assert received.header("anthropic-beta") == "interleaved-thinking-2025-05-14"
    assert received.header("anthropic-version") is None
    assert received.header("authorization") == "Bearer k"


async def test_the_others_on_vertex_are_asked_in_openais_dialect(running: Gateway) -> None:
    asked = {"model": GEMINI, "messages": [{"role": "user", "content": "hi"}]}
    answer = await running.ask(asked, "/v1/chat/completions")
    assert answer.status == 200, answer.body
    (received,) = running.providers["vertex"].requests
    assert received.path == f"{PLACE}/endpoints/openapi/chat/completions"
    assert received.json is not None and received.json["model"] == "google/gemini-3-pro"


@pytest.mark.parametrize("model", [CLAUDE, GEMINI], ids=["claude", "gemini"])
async def test_a_token_that_has_ended_is_stepped_over(running: Gateway, tmp_path: Path, model: str) -> None:
    environment = {"OPENAI_API_KEY": "k", **GOOGLE, "VERTEX_ACCESS_TOKEN": "of-an-hour-ago"}
    asked = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with gateway(tmp_path, config(model), running.providers, environment) as other:
        answer = await other.ask(asked)
    assert answer.status == 200 and answer.headers["x-arch-model"] == STEP_IN
    assert f"{model} answered 401 (Request had invalid authentication" in answer.headers["x-arch-reason"]
    running.providers["vertex"].leaks.clear()


class Tokens:
    """Google's token endpoint: each time another token, good for so many seconds."""

    def __init__(self, seconds: int) -> None:
        self.given: list[str] = []
        self.asked = asyncio.Event()
        self._seconds = seconds

    async def answer(self, request: web.Request) -> web.Response:
        assert "assertion" in await request.post()
        self.given.append(f"token-{len(self.given)}")
        self.asked.set()
        told = {"access_token": self.given[-1], "expires_in": self._seconds, "token_type": "Bearer"}
        return web.json_response(told)


@asynccontextmanager
async def google(tokens: Tokens, folder: Path) -> AsyncIterator[dict[str, str]]:
    """A service account whose tokens come from here."""
    app = web.Application()
    app.router.add_post("/token", tokens.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "type": "service_account",
        "client_email": "archgw@our-project.iam.gserviceaccount.com",
        "private_key": pem,
        "token_uri": f"http://127.0.0.1:{runner.addresses[0][1]}/token",
    }
    file = folder / "account.json"
    file.write_text(json.dumps(account))
    try:
        yield {**GOOGLE, "GOOGLE_APPLICATION_CREDENTIALS": str(file), "VERTEX_ACCESS_TOKEN": ""}
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("seconds", "given"), [(3600, ["token-0"] * 3), (60, ["token-1", "token-2", "token-3"])], ids=["hour", "minute"]
)
async def test_a_token_is_fetched_once_and_again_before_it_ends(tmp_path: Path, seconds: int, given: list[str]) -> None:
    """One that ends within minutes is not used again. The first is fetched at the start, before anybody asks."""
    tokens = Tokens(seconds)
    text = config(CLAUDE).replace("access_key: $VERTEX_ACCESS_TOKEN", "credentials: google")
    asked = {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with AsyncExitStack() as stack:
        providers = {name: await stack.enter_async_context(Simulator(name)) for name in ("vertex", "openai")}
        environment = await stack.enter_async_context(google(tokens, tmp_path))
        other = await stack.enter_async_context(
            gateway(tmp_path, text, providers, {"OPENAI_API_KEY": "k", "HOME": str(tmp_path), **environment})
        )
        await tokens.asked.wait()
        for _ in range(3):
            answer = await other.ask(asked)
            assert answer.headers["x-arch-model"] == CLAUDE, answer.headers["x-arch-reason"]
        sent = [received.credentials[0] for received in providers["vertex"].requests]
    assert sent == given


async def test_where_google_gives_no_token_the_next_model_answers(running: Gateway, tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text("{}")
    text = config(CLAUDE).replace("access_key: $VERTEX_ACCESS_TOKEN", "credentials: google")
    environment = {"OPENAI_API_KEY": "k", **GOOGLE, "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json")}
    asked = {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with gateway(tmp_path, text, running.providers, environment) as other:
        answer = await other.ask(asked)
    assert answer.status == 200 and answer.headers["x-arch-model"] == STEP_IN
    assert "the Google credentials could not be had (DefaultCredentialsError)" in answer.headers["x-arch-reason"]
