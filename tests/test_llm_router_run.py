"""An LLM that routes, in a running gateway: whom it names, and who answers when it is slow, refuses or is gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from archgw.commands.route import route
from archgw.simulate import Fault, Simulator
from stack import Answer, Gateway, gateway
from typer import Typer
from typer.testing import CliRunner

KEYS = {"openai": "key-of-openai", "deepseek": "key-of-deepseek", "mistral": "key-of-mistral"}
ROUTER_KEY = "key-of-router"
GPT, DEEPSEEK, MISTRAL = "openai/gpt-4o-mini", "deepseek/deepseek-chat", "mistral/mistral-small-latest"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, base_url: "$URL_OPENAI", access_key: $OPENAI_API_KEY, default: true}
  - {model: deepseek/deepseek-chat, base_url: "$URL_DEEPSEEK", access_key: $DEEPSEEK_API_KEY}
  - {model: mistral/mistral-small-latest, base_url: "$URL_MISTRAL", access_key: $MISTRAL_API_KEY}
routing: {deadline: 2s, model: {base_url: "$URL_ROUTER/v1", name: Arch-Router, access_key: $ROUTER_KEY}}
routing_preferences:
  - {name: writing code, description: writing new functions and scripts, models: [deepseek-chat]}
  - {name: other, description: stories and jokes, models: [mistral-small-latest]}
"""
CODE, JOKE, NEITHER = "Write a script that adds up", "Tell me two jokes", "Where is Lima?"
SLOW = Fault("slow_headers", delay_ms=8000)
SESSIONS = count(1)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with (
        Simulator("openai", accept_keys={KEYS["openai"]}) as one,
        Simulator("deepseek", accept_keys={KEYS["deepseek"]}) as two,
        Simulator("mistral", accept_keys={KEYS["mistral"]}) as three,
        Simulator("vllm", accept_keys={ROUTER_KEY}) as router,
    ):
        providers = {"openai": one, "deepseek": two, "mistral": three, "router": router}
        environment = {f"{name.upper()}_API_KEY": key for name, key in KEYS.items()} | {"ROUTER_KEY": ROUTER_KEY}
        folder = tmp_path_factory.mktemp("llm-router")
        async with gateway(folder, CONFIG, providers, environment, watch=False) as running:
            yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> AsyncIterator[None]:
    """And nobody, the router least of all, was shown what is none of his."""
    await running.calm()
    yield
    assert {name: list(provider.leaks) for name, provider in running.providers.items() if provider.leaks} == {}


async def asked(running: Gateway, words: str, *before: str) -> Answer:
    """In a session of its own."""
    roles = ("user", "assistant")
    said = [{"role": roles[at % 2], "content": text} for at, text in enumerate([*before, words])]
    answer = await running.ask(
        {"model": "arch.main.v1", "max_tokens": 50, "messages": said}, **{"x-session-id": str(next(SESSIONS))}
    )
    assert answer.status == 200, answer.body
    return answer


@pytest.mark.parametrize(
    ("words", "route", "label", "reason"),
    [
        (CODE, "writing code", DEEPSEEK, "writing code (1.00 over"),
        (JOKE, "other", MISTRAL, "other (1.00 over"),
        (NEITHER, "default", GPT, "no preference fits ("),
    ],
    ids=["a preference", "one called other", "none"],
)
async def test_what_the_llm_names_answers(running: Gateway, words: str, route: str, label: str, reason: str) -> None:
    answer = await asked(running, words, "Tell me jokes about scripts", "No.")
    assert (answer.headers["x-arch-route"], answer.headers["x-arch-model"]) == (route, label)
    assert answer.headers["x-arch-reason"].startswith(reason) and f"simulated {label}" in answer.text
    (request,) = running.providers["router"].requests
    assert request.header("authorization") == f"Bearer {ROUTER_KEY}"
    assert (request.model, request.status) == ("Arch-Router", 200)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (SLOW, "the router model took longer than 2000 ms"),
        (Fault("status", status=401), "the router model answered 401: its key was refused"),
        (Fault("status", status=503), "the router model answered 503"),
        (Fault("html"), "the router model answered with something else than JSON"),
        (Fault("redirect", message="http://127.0.0.1:9/"), "the router model answered 307"),
        (Fault("reset"), "the router model could not be reached"),
        (Fault("close"), "the router model broke off"),
        (Fault("truncated"), "the router model answered with something else than JSON"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_where_the_llm_is_of_no_help_the_default_answers_and_says_why(
    running: Gateway, fault: Fault, reason: str
) -> None:
    running.providers["router"].fault = fault
    answer = await asked(running, CODE)
    assert (answer.headers["x-arch-route"], answer.headers["x-arch-model"]) == ("default", GPT)
    assert reason in answer.headers["x-arch-reason"] and ROUTER_KEY not in answer.headers["x-arch-reason"]


async def test_where_the_llm_is_gone_the_default_answers_until_it_is_back(running: Gateway) -> None:
    await running.providers["router"].refuse()
    answer = await asked(running, CODE)
    assert (answer.headers["x-arch-route"], answer.headers["x-arch-model"]) == ("default", GPT)
    assert "the router model could not be reached" in answer.headers["x-arch-reason"]
    told = await explained(running, CODE)
    assert (told["trouble"], told["fits"]) == ("the router model could not be reached", {})
    await running.providers["router"].recover()
    assert (await asked(running, CODE)).headers["x-arch-model"] == DEEPSEEK
    told = await explained(running, CODE)
    assert "trouble" not in told and told["fits"] == {"writing code": 1.0, "other": 0.0, "none of them": 0.0}


async def explained(running: Gateway, words: str) -> Any:
    app = Typer()
    app.command()(route)
    environment = {"ARCHGW_HOME": str(running.home.folder), "COLUMNS": "300"}
    arguments = [words, "--explain", "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)
