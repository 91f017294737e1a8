"""Simulated AWS checks signatures, as strictly as AWS does and in its words."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from archgw.simulate import Simulator
from archgw.simulate.control import shown
from archgw.simulate.sigv4 import ACCESS_KEY, DATE, SECRET, Scope, signature
from botocore.credentials import ReadOnlyCredentials

from router_service.config import Identity
from router_service.effects import Ask
from router_service.shell.aws import signed

# docs.aws.amazon.com/general/latest/gr/signature-v4-test-suite.html (get-vanilla, post-vanilla), and the example of
# sigv4-signed-request-examples.html: what AWS itself says the signatures are.
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EXAMPLES = {
    "get-vanilla": (
        "GET",
        "/",
        {"host": "example.amazonaws.com"},
        "service",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "post-vanilla": (
        "POST",
        "/",
        {"host": "example.amazonaws.com"},
        "service",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "list users": (
        "GET",
        "/?Action=ListUsers&Version=2010-05-08",
        {"host": "iam.amazonaws.com", "content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        "iam",
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    ),
}


@pytest.mark.parametrize(("method", "target", "headers", "service", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_a_signature_is_what_aws_says_it_is(
    method: str, target: str, headers: dict[str, str], service: str, expected: str
) -> None:
    date, scope = "20150830T123600Z", Scope("us-east-1", service)
    headers = headers | {"x-amz-date": date}
    assert signature(method, target, headers, b"", date=date, scope=scope, secret=EXAMPLE_SECRET) == expected


BODY = b'{"model": "openai.gpt-oss-120b", "messages": [{"role": "user", "content": "hi"}]}'
IDENTITY = Identity("aws", "bedrock", "us-east-1")


def request(
    sim: Simulator, *, secret: str = SECRET, access_key: str = ACCESS_KEY, identity: Identity = IDENTITY
) -> dict[str, str]:
    """The headers that the gateway would send."""
    plain = {"content-type": "application/json", "accept": "application/json"}
    address = {":method": "POST", ":scheme": "http", ":authority": f"127.0.0.1:{sim.port}"}
    ask = Ask("c", {**address, ":path": "/openai/v1/chat/completions", **plain}, BODY)
    return plain | signed(ask, ReadOnlyCredentials(access_key, secret, None), identity)


async def post(sim: Simulator, headers: dict[str, str], body: bytes = BODY) -> tuple[int, Any]:
    url = f"{sim.url}/openai/v1/chat/completions"
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as response:
        return response.status, await response.json()


async def test_what_the_gateway_signs_is_taken() -> None:
    async with Simulator("amazon_bedrock", accept_keys=()) as sim:
        status, told = await post(sim, request(sim))
    assert status == 200 and told["choices"]
    assert not sim.leaks


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"secret": "another"}, "The request signature we calculated does not match the signature you provided."),
        ({"access_key": "AKIANOBODY"}, "The security token included in the request is invalid."),
        (
            {"identity": Identity("aws", "s3", "us-east-1")},
            "Credential should be scoped to correct service: 'bedrock'.",
        ),
    ],
    ids=["wrong secret", "unknown key", "another service"],
)
async def test_a_signature_of_others_is_refused(how: dict[str, Any], told: str) -> None:
    async with Simulator("amazon_bedrock") as sim:
        status, answer = await post(sim, request(sim, **how))
    assert status == 403
    assert list(answer) == ["message"] and answer["message"].startswith(told)


@pytest.mark.parametrize(
    ("minutes", "told"), [(6, "Signature expired: "), (-6, "Signature not yet current: ")], ids=["late", "early"]
)
async def test_a_signature_of_another_time_is_refused(minutes: int, told: str) -> None:
    then = datetime.now(UTC) + timedelta(minutes=minutes)
    async with Simulator("amazon_bedrock", now=then.timestamp) as sim:
        status, answer = await post(sim, request(sim))
    assert status == 403 and answer["message"].startswith(told)
    assert then.strftime(DATE)[:11] in answer["message"]


@pytest.mark.parametrize(
    "change",
    [{"body": BODY + b" "}, {"content-type": "application/json; charset=utf-8"}, {"x-amz-date": "20150830T123600Z"}],
    ids=["the body", "a header", "the date"],
)
async def test_what_was_changed_after_it_was_signed_is_refused(change: dict[str, Any]) -> None:
    body = change.pop("body", BODY)
    async with Simulator("amazon_bedrock") as sim:
        status, _ = await post(sim, request(sim) | change, body)
    assert status == 403


async def test_a_signature_goes_to_nobody_but_aws() -> None:
    async with Simulator("openai") as sim:
        headers = request(sim)
        await post(sim, headers)
        async with aiohttp.ClientSession() as http:
            await http.post(f"{sim.url}/v1/chat/completions", data=BODY, headers=headers)
    assert {leak.reason for leak in sim.leaks} == {"a signature for AWS"}


async def test_what_is_shown_of_a_request_holds_no_session_token() -> None:
    async with Simulator("amazon_bedrock") as sim:
        await post(sim, request(sim) | {"x-amz-security-token": "token-of-an-hour"})
        assert "token-of-an-hour" not in str(shown(sim.requests[-1]))


async def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator("amazon_bedrock") as sim:
        headers = request(sim)
        monkeypatch.setitem(sys.modules, "botocore.auth", None)
        status, answer = await post(sim, headers)
    assert status == 501 and "pip install 'archgw[bedrock]'" in answer["message"]
