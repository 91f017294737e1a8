"""Cooling and limits with the real Envoy: who is asked, who is passed over, and what the client hears."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from archgw.simulate import Fault, Simulator
from stack import Answer, Gateway, gateway

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: k, base_url: "$URL_ANTHROPIC"}
  - {model: deepseek/deepseek-chat, access_key: k, base_url: "$URL_DEEPSEEK"}
failover: {attempts: 3, put_aside_after: 100000, $FAILOVER}
"""
GPT, CLAUDE, DEEPSEEK = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "deepseek/deepseek-chat"
FULL = "has as much under way as failover.limits allow"
ANTHROPIC, OPENAI = "/v1/messages", "/v1/chat/completions"


@asynccontextmanager
async def three(folder: Path, failover: str, config: str = CONFIG) -> AsyncIterator[Gateway]:
    async with Simulator("openai") as one, Simulator("anthropic") as two, Simulator("deepseek") as three:
        providers = {"openai": one, "anthropic": two, "deepseek": three}
        async with gateway(folder, config.replace("$FAILOVER", failover), providers) as running:
            yield running


def hello(*, stream: bool = False, model: str = "arch.main.v1") -> dict[str, object]:
    said = [{"role": "user", "content": "hello"}]
    return {"model": model, "max_tokens": 100, "stream": stream, "messages": said}


def served(answers: list[Answer]) -> Counter[str]:
    return Counter(f"{answer.status} {answer.headers['x-arch-model']}" for answer in answers)


async def test_who_says_when_to_come_back_is_left_alone_and_stepped_over(tmp_path: Path) -> None:
    async with three(tmp_path, "cool_at_most: 3s") as running:
        running.providers["openai"].fail_next(Fault("status", status=429, retry_after=1000))
        first = await running.ask(hello())
        assert (first.headers["x-arch-model"], first.headers["x-arch-attempts"]) == (CLAUDE, "2")
        second = await running.ask(hello(stream=True))
        assert (second.headers["x-arch-model"], second.headers["x-arch-attempts"]) == (CLAUDE, "1")
        assert f"{GPT} is to be left alone for" in second.headers["x-arch-reason"]
        assert len(running.providers["openai"].requests) == 1
        for _ in range(1500):
            third = await running.ask(hello())
            if third.headers["x-arch-model"] == GPT:
                break
            await asyncio.sleep(0.05)
        assert third.headers["x-arch-model"] == GPT, "it is asked again by itself"


async def test_who_cools_is_asked_when_all_others_have_failed(tmp_path: Path) -> None:
    """Claude, which cools, stands in the midst: Envoy goes by it to DeepSeek, and comes back."""
    async with three(tmp_path, "cool_at_most: 10m") as running:
        running.providers["anthropic"].fail_next(Fault("status", status=529, retry_after=500))
        named = await running.ask(hello(model=CLAUDE))
        assert named.headers["x-arch-model"] == GPT
        for provider in ("openai", "deepseek"):
            running.providers[provider].fault = Fault("status", status=500)
        for path in (ANTHROPIC, OPENAI):
            last = await running.ask(hello(), path)
            assert (last.status, last.headers["x-arch-model"]) == (200, CLAUDE), last.body
            assert last.headers["x-arch-attempts"] == "3"
        running.providers["anthropic"].fault = Fault("status", status=500)
        for path in (ANTHROPIC, OPENAI):
            nobody = await running.ask(hello(), path)
            assert nobody.status == 503 and nobody.body.count(b"answered 500") == 3, nobody.body
            assert nobody.headers["x-arch-attempts"] == "3"


async def test_when_all_cool_the_one_that_is_well_soonest_is_asked(tmp_path: Path) -> None:
    async with three(tmp_path, "cool_at_most: 10m") as running:
        for name, seconds in (("openai", 400), ("anthropic", 300), ("deepseek", 500)):
            running.providers[name].fail_next(Fault("status", status=429, retry_after=seconds))
        assert (await running.ask(hello())).status == 429
        answer = await running.ask(hello())
        assert (answer.status, answer.headers["x-arch-model"]) == (200, CLAUDE)


async def test_a_model_that_is_full_is_passed_over(tmp_path: Path) -> None:
    async with three(tmp_path, "limits: {max_requests: 2}") as running:
        for provider in running.providers.values():
            provider.fault = Fault("slow_headers", delay_ms=8000)
        answers = await asyncio.gather(*(running.ask(hello()) for _ in range(6)))
        assert served(answers) == {f"200 {GPT}": 2, f"200 {CLAUDE}": 2, f"200 {DEEPSEEK}": 2}
        moved = [answer for answer in answers if answer.headers["x-arch-model"] == CLAUDE]
        assert all(f"{GPT} {FULL}" in answer.headers["x-arch-reason"] for answer in moved)
        assert all(answer.headers["x-arch-attempts"] == "1" for answer in answers)
        assert not any((await running.ejected()).values())


async def test_who_may_not_even_wait_for_a_connection_goes_on(tmp_path: Path) -> None:
    """Each of Envoy's workers has a connection in any case; one request may wait, and the next may not."""
    async with three(tmp_path, "limits: {max_connections: 1, max_pending_requests: 1}") as running:
        running.providers["openai"].fault = Fault("hang")
        asked = [asyncio.create_task(running.ask(hello())) for _ in range(min(4, os.cpu_count() or 1) + 2)]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        for passed in done:
            answer = passed.result()
            assert answer.headers["x-arch-model"] == CLAUDE and f"{GPT} {FULL}" in answer.headers["x-arch-reason"]


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
async def test_when_all_are_full_the_client_is_told_so_in_its_dialect(tmp_path: Path, path: str) -> None:
    async with three(tmp_path, "limits: {max_requests: 1}") as running:
        for provider in running.providers.values():
            provider.fault = Fault("slow_headers", delay_ms=8000)
        answers = await asyncio.gather(*(running.ask(hello(), path) for _ in range(5)))
        assert Counter(answer.status for answer in answers) == {200: 3, 503: 2}
        for answer in answers:
            if answer.status == 503:
                assert answer.json["error"]["message"].count(FULL) == 3
                assert ("type" in answer.json) == (path == ANTHROPIC)


async def test_a_model_may_have_limits_of_its_own(tmp_path: Path) -> None:
    config = CONFIG.replace("default: true}", "default: true, limits: {max_requests: 1}}")
    async with three(tmp_path, "limits: {max_requests: 50}", config) as running:
        for provider in running.providers.values():
            provider.fault = Fault("slow_headers", delay_ms=8000)
        answers = await asyncio.gather(*(running.ask(hello()) for _ in range(4)))
        assert served(answers) == {f"200 {GPT}": 1, f"200 {CLAUDE}": 3}


async def test_no_more_second_tries_than_may_be(tmp_path: Path) -> None:
    """Envoy counts them on the chain."""
    async with three(tmp_path, "limits: {max_retries: 2}") as running:
        running.providers["openai"].fault = Fault("status", status=500)
        running.providers["anthropic"].fault = Fault("slow_headers", delay_ms=8000)
        answers = await asyncio.gather(*(running.ask(hello()) for _ in range(6)))
        assert Counter(answer.status for answer in answers) == {200: 2, 503: 4}
        for answer in answers:
            if answer.status == 503:
                assert f"{GPT} answered 500" in answer.json["error"]["message"]
                assert "x-archgw-retry" not in answer.headers


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
async def test_no_more_second_tries_than_the_budget_has_room_for(tmp_path: Path, path: str) -> None:
    """The service counts them, for what Envoy takes a share of is counted elsewhere."""
    async with three(tmp_path, "limits: {retry_budget: {share: 50%, least: 1}}") as running:
        running.providers["openai"].fault = Fault("status", status=500)
        running.providers["anthropic"].fault = Fault("slow_headers", delay_ms=8000)
        well = [asyncio.create_task(running.ask(hello(model=CLAUDE), path)) for _ in range(2)]
        for _ in range(1500):
            if len(running.providers["anthropic"].requests) == 2:
                break
            await asyncio.sleep(0.02)
        answers = await asyncio.gather(*(running.ask(hello(), path) for _ in range(6)))
        kinds = Counter(answer.status for answer in answers)
        assert set(kinds) == {200, 503} and 1 <= kinds[200] <= 4, kinds
        for answer in answers:
            if answer.status == 503:
                assert "failover.limits.retry_budget" in answer.json["error"]["message"]
        assert {answer.status for answer in await asyncio.gather(*well)} == {200}
