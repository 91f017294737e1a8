"""The list of models, as the vendors' own SDKs read it through the gateway."""

from collections.abc import AsyncIterator

import anthropic
import openai
import pytest
import pytest_asyncio
from archgw.simulate import Simulator
from dialogue import CLAUDE, GPT
from stack import Gateway, gateway

CONFIG = f"""
listeners: {{egress_traffic: {{port: $PORT}}}}
llm_providers:
  - {{model: {GPT}, access_key: k, base_url: "$URL_OPENAI", default: true}}
  - {{model: {CLAUDE}, access_key: k, base_url: "$URL_OPENAI"}}
model_aliases: {{mine: gpt-4o-mini}}
"""
OFFERED = ["arch.main.v1", "arch.fast.v1", "arch.claude.code.small.fast", "mine", GPT, CLAUDE]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with (
        Simulator("openai") as provider,
        gateway(tmp_path_factory.mktemp("offers"), CONFIG, {"openai": provider}) as running,
    ):
        yield running


async def test_openais_sdk(running: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == OFFERED
        one = await client.models.retrieve(GPT)
    assert (one.id, one.owned_by, one.model_extra and one.model_extra["context_window"]) == (GPT, "openai", 128_000)


@pytest.mark.parametrize("limit", [1, 4, 6, 1000])
async def test_anthropics_sdk_turns_the_pages(running: Gateway, limit: int) -> None:
    async with anthropic.AsyncAnthropic(base_url=running.url, auth_token="any", max_retries=0) as client:
        assert [model.id async for model in client.models.list(limit=limit)] == OFFERED
        one = await client.models.retrieve(CLAUDE)
    assert (one.id, one.display_name, one.max_input_tokens, one.max_tokens) == (CLAUDE, CLAUDE, 200_000, 64_000)


async def test_what_claude_code_is_offered_can_be_retrieved_and_asked(running: Gateway) -> None:
    async with anthropic.AsyncAnthropic(
        base_url=running.url,
        auth_token="any",
        max_retries=0,
        default_headers={"user-agent": "claude-cli/2.1.330 (external, cli)"},
    ) as client:
        listed = [model.id async for model in client.models.list()]
        assert listed == [f"claude-via-archgw/{id}" for id in [*OFFERED[:2], *OFFERED[3:]]]
        assert (await client.models.retrieve(listed[3])).display_name == GPT
        said = await client.messages.create(
            model=listed[3], max_tokens=100, messages=[{"role": "user", "content": '@@[{"text": "yes"}]@@'}]
        )
    assert [block.type == "text" and block.text for block in said.content] == ["yes"]
    assert running.providers["openai"].requests[-1].model == "gpt-4o-mini"
