"""Providers that cannot be reached or trusted: TLS and DNS. The next candidate answers; the reason is told in words."""

import ssl
from pathlib import Path

import pytest
import trustme
from archgw.simulate import Simulator
from stack import gateway

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "BASE_URL", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
failover: {first_content_timeout: 5s, whole_answer_timeout: 5s}
"""
HELLO = {"model": "arch.main.v1", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("name", "trusted", "model", "words"),
    [
        ("localhost", True, "openai/gpt-4o-mini", ""),
        ("elsewhere.test", True, "anthropic/claude-sonnet-4-5", "could not be trusted: TLS"),
        ("localhost", False, "anthropic/claude-sonnet-4-5", "could not be trusted: TLS"),
    ],
    ids=["trusted", "a certificate for another name", "an authority nobody knows"],
)
async def test_tls(tmp_path: Path, name: str, trusted: bool, model: str, words: str) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = server_context(ours if trusted else theirs, name)
    async with Simulator("openai", ssl_context=context) as openai, Simulator("anthropic") as anthropic:
        config = CONFIG.replace("BASE_URL", f"https://localhost:{openai.port}")
        environment = {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a", "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        async with gateway(tmp_path, config, {"anthropic": anthropic}, environment) as running:
            answer = await running.ask(HELLO)
    assert answer.status == 200
    assert answer.headers["x-arch-model"] == model
    assert words in answer.headers["x-arch-reason"]
    assert len(openai.requests) == (1 if trusted and name == "localhost" else 0)


async def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    async with Simulator("anthropic") as anthropic:
        config = CONFIG.replace("BASE_URL", "http://no-such-host.invalid:81")
        environment = {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a"}
        async with gateway(tmp_path, config, {"anthropic": anthropic}, environment) as running:
            answer = await running.ask(HELLO)
    assert answer.status == 200
    assert answer.headers["x-arch-model"] == "anthropic/claude-sonnet-4-5"
    assert "openai/gpt-4o-mini has no address" in answer.headers["x-arch-reason"]
