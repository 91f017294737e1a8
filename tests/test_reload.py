"""Another config for a gateway that runs: nothing fails, nothing is cut short, and a bad one changes nothing."""

import asyncio
import errno
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from archgw.app import app
from archgw.control import CannotReload
from archgw.simulate import Fault, Simulator
from router_models import own_model
from stack import Answer, Gateway, gateway, until
from typer.testing import CliRunner

MODELS = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
failover: {first_content_timeout: 5s, put_aside_after: 100000}
"""
GPT, CLAUDE = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"


@asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[Gateway]:
    async with Simulator("openai", accept_keys={"o", "o2"}) as openai, Simulator("anthropic") as anthropic:
        providers = {"openai": openai, "anthropic": anthropic}
        async with gateway(
            folder, MODELS, providers, {"ANTHROPIC_API_KEY": "a"} | options.pop("keys", KEY), **options
        ) as it:
            yield it


KEY = {"OPENAI_API_KEY": "o"}


def file(running: Gateway) -> Path:
    return Path(running.stack.config)


def rewrite(running: Gateway, *pairs: tuple[str, str]) -> None:
    """As an editor does: the whole file in place of the old one."""
    text = file(running).read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    part = file(running).with_suffix(".new")
    part.write_text(text)
    part.replace(file(running))


def hello(*, stream: bool = False, model: str = "arch.main.v1", text: str = "hello") -> dict[str, Any]:
    return {"model": model, "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": text}]}


async def served(running: Gateway, **asked: Any) -> str:
    answer = await running.ask(hello(**asked))
    assert answer.status == 200, answer.body
    return answer.headers["x-arch-model"]


async def test_another_default_answers_the_next_request(tmp_path: Path) -> None:
    async with running(tmp_path, watch=False) as it:
        assert await served(it) == GPT
        make_claude_the_default(it)
        reloaded = await it.supervisor.reload()
        assert reloaded.changes == (f"everything else: {CLAUDE}; before: {GPT}",)
        assert await served(it) == CLAUDE
        again = await it.supervisor.reload()
        assert again.changes == () and again.last == reloaded.changes and 0 <= again.ago < 600
        told = await asyncio.to_thread(CliRunner().invoke, app, ["reload"], env={"ARCHGW_HOME": str(it.home.folder)})
        words = " ".join(told.output.split())
        assert "Nothing is different since the file was last read" in words and reloaded.changes[0] in words


def make_claude_the_default(it: Gateway) -> None:
    lines = file(it).read_text().splitlines()
    lines[3], lines[4] = lines[3].replace(", default: true", ""), lines[4].replace("}", ", default: true}")
    file(it).write_text("\n".join(lines))


async def test_a_new_model_can_be_asked_and_a_removed_one_is_not_known_any_more(tmp_path: Path) -> None:
    async with Simulator("deepseek") as deepseek, running(tmp_path, watch=False) as it:
        line = "  - {model: anthropic/claude-sonnet-4-5"
        rewrite(it, (line, f'  - {{model: deepseek/deepseek-chat, access_key: d, base_url: "{deepseek.url}"}}\n{line}'))
        reloaded = await it.supervisor.reload()
        assert "model deepseek/deepseek-chat: new" in reloaded.changes
        assert any("written out" in warning or "access_key" in warning for warning in reloaded.warnings)
        assert await served(it, model="deepseek/deepseek-chat") == "deepseek/deepseek-chat"
        lines = [one for one in file(it).read_text().splitlines() if "claude" not in one]
        file(it).write_text("\n".join(lines))
        assert f"model {CLAUDE}: no longer used" in (await it.supervisor.reload()).changes
        answer = await it.ask(hello(model=CLAUDE))
        assert answer.status == 404 or answer.headers["x-arch-model"] != CLAUDE


UNUSABLE = {
    "a wrong name": ("llm_providers: [{model: opnai/gpt-4o}]", "did you mean 'openai'?"),
    "no YAML": ("llm_providers: [", "not valid YAML"),
    "nothing": ("", "nothing is configured"),
    "no key": ("llm_providers: [{model: deepseek/deepseek-chat}]", "$DEEPSEEK_API_KEY is not set"),
    "no router model": ("llm_providers: [{model: openai/x}]\nrouting: {model: /no/such/folder}", "/no/such/folder"),
}


async def test_a_config_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, watch=False) as it:
        kept = file(it).read_text()
        for case, (text, words) in UNUSABLE.items():
            file(it).write_text(text)
            with pytest.raises(CannotReload) as refused:
                await it.supervisor.reload()
            assert words in str(refused.value), case
            assert it.supervisor.trouble == str(refused.value)
            assert await served(it) == GPT, case
        os.kill(it.supervisor.pids["router"], signal.SIGKILL)
        os.kill(it.supervisor.pids["envoy"], signal.SIGKILL)
        await it.until_well(hello())
        assert await served(it) == GPT, "the config that was accepted outlives a restart"
        file(it).write_text(kept)
        assert (await it.supervisor.reload()).changes == () and it.supervisor.trouble == ""


ROUTED = """
routing_preferences: [{name: jokes, description: telling jokes, models: [claude-sonnet-4-5]}]
routing: {model: ./mine}
"""


async def test_a_router_model_that_loads_but_cannot_run_changes_nothing(tmp_path: Path) -> None:
    own_model(tmp_path / "mine", takes=["p", 4], logits=3)
    script = "@@" + json.dumps([{"text": "x", "chunks": 60, "bytes": 6_000}]) + "@@"
    async with running(tmp_path, watch=False) as it:
        it.providers["openai"].pace = 0.05
        before, answers = dict(it.supervisor.pids), list[Answer]()
        stream = asyncio.create_task(it.ask(hello(stream=True, text=script)))
        file(it).write_text(file(it).read_text() + ROUTED)
        reloading = asyncio.create_task(it.supervisor.reload())
        while not reloading.done():
            answers.append(await it.ask(hello()))
        with pytest.raises(CannotReload) as refused:
            await reloading
        assert str(refused.value) == (
            f"routing.model: {tmp_path}/mine/router.onnx: logits: expected [1, 2], found [1, 3]"
        )
        assert {answer.status for answer in answers} == {200} and await served(it) == GPT
        answer = await stream
        assert answer.status == 200 and answer.body.count(b"event: message_stop") == 1
        assert it.supervisor.pids == before and it.supervisor.restarts == {}


async def test_the_file_is_watched_and_so_are_the_keys_beside_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=o\n")
    async with running(tmp_path, keys={}) as it:
        openai = it.providers["openai"]
        assert await served(it) == GPT
        (tmp_path / ".env").write_text("OPENAI_API_KEY=o2\n")
        for _ in range(200):
            openai.requests.clear()
            assert await served(it) == GPT
            if "o2" in dict(openai.requests[-1].headers)["authorization"]:
                break
            await asyncio.sleep(0.05)
        assert dict(openai.requests[-1].headers)["authorization"] == "Bearer o2"
        make_claude_the_default(it)
        for _ in range(200):
            if await served(it) == CLAUDE:
                break
            await asyncio.sleep(0.05)
        assert await served(it) == CLAUDE
        os.kill(it.supervisor.pids["router"], signal.SIGKILL)
        await it.until_well(hello())
        openai.requests.clear()
        assert await served(it, model=GPT) == GPT
        assert dict(openai.requests[-1].headers)["authorization"] == "Bearer o2", "the new key outlives a restart"


async def test_a_request_under_way_ends_where_it_was_meant_to(tmp_path: Path) -> None:
    """Its model has moved meanwhile, and answers at the old address."""
    async with Simulator("anthropic") as moved, running(tmp_path, watch=False) as it:
        it.providers["anthropic"].fail_next(Fault("slow_headers", delay_ms=1500))
        under_way = asyncio.create_task(it.ask(hello(model=CLAUDE)))
        await until(lambda: it.providers["anthropic"].requests)
        rewrite(it, (it.providers["anthropic"].url, moved.url))
        (change,) = (await it.supervisor.reload()).changes
        assert change.startswith(f"model {CLAUDE}: is asked at {moved.url}")
        assert await served(it, model=CLAUDE) == CLAUDE
        assert len(moved.requests) == 1, "who asks now is led to the new address"
        answer = await under_way
        assert answer.status == 200 and answer.headers["x-arch-model"] == CLAUDE
        assert len(it.providers["anthropic"].requests) == 1 and len(moved.requests) == 1


async def test_reloads_under_load_fail_no_request_and_cut_no_stream(tmp_path: Path) -> None:
    script = "@@" + json.dumps([{"text": "x", "chunks": 60, "bytes": 6_000}]) + "@@"
    async with running(tmp_path, watch=False) as it:
        for provider in it.providers.values():
            provider.pace = 0.05
        ended = asyncio.Event()
        answers: list[Answer] = []

        async def keep_asking() -> None:
            while not ended.is_set():
                answers.append(await it.ask(hello()))

        streams = [asyncio.create_task(it.ask(hello(stream=True, text=script))) for _ in range(8)]
        askers = [asyncio.create_task(keep_asking()) for _ in range(4)]
        for number in range(6):
            if number % 2:
                rewrite(it, ("attempts: 2", "attempts: 3"))
            elif number:
                rewrite(it, ("attempts: 3", "attempts: 2"))
            else:
                rewrite(it, ("failover: {", "failover: {attempts: 2, put_aside_for: 20s, "))
                make_claude_the_default(it)
            assert (await it.supervisor.reload()).changes
        ended.set()
        await asyncio.gather(*askers)
        assert len(answers) > 20 and {answer.status for answer in answers} == {200}
        for answer in await asyncio.gather(*streams):
            assert answer.status == 200 and answer.body.count(b"event: message_stop") == 1


async def test_what_is_read_at_the_start_alone_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, watch=False) as it:
        port = it.url.rpartition(":")[2]
        rewrite(it, (f"port: {port}", "port: 1"))
        reloaded = await it.supervisor.reload()
        assert reloaded.later == ("listeners, limits",)
        assert await served(it) == GPT


async def test_a_listener_that_is_to_be_another_is_still_the_one_that_is_watched(tmp_path: Path) -> None:
    """The watchdog asks where Envoy listens, and not where it will: else it would end both, again and again."""
    async with running(tmp_path, watch=False, silence=3.0) as it:
        pids, port = dict(it.supervisor.pids), it.url.rpartition(":")[2]
        rewrite(it, (f"port: {port}", "port: 1"))
        await it.supervisor.reload()
        assert it.supervisor.url == it.url
        await asyncio.sleep(5)  # longer than nothing may be answered
        assert it.supervisor.pids == pids and it.supervisor.restarts == {}
        assert (await it.supervisor.reload()).later == ("listeners, limits",), "it is told until it is so"


async def test_a_full_disk_costs_a_reload_and_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with running(tmp_path) as it:
        with monkeypatch.context() as patched:
            patched.setattr("archgw.supervisor.write_private", full)
            patched.setattr("archgw.envoy_files.write_private", full)
            make_claude_the_default(it)  # which is noticed, too
            with pytest.raises(CannotReload, match="No space left"):
                await it.supervisor.reload()
            assert await served(it) == GPT
        assert (await it.supervisor.reload()).changes == (f"everything else: {CLAUDE}; before: {GPT}",)
        assert await served(it) == CLAUDE


async def test_a_router_service_that_may_take_it_late_begins_anew_with_the_old_one(tmp_path: Path) -> None:
    async with running(tmp_path, watch=False) as it:
        before = it.supervisor.pids["router"]
        os.kill(before, signal.SIGSTOP)
        make_claude_the_default(it)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("archgw.client._ADOPTED_WITHIN", 1.0)
            with pytest.raises(CannotReload, match="did not answer, and is started anew"):
                await it.supervisor.reload()
        await it.until_well(hello())
        assert it.supervisor.pids["router"] != before and await served(it) == GPT


async def test_going_down_lets_streams_end_and_takes_nobody_new(tmp_path: Path) -> None:
    script = "@@" + json.dumps([{"text": "x", "chunks": 30, "bytes": 300}]) + "@@"
    async with running(tmp_path, watch=False) as it:
        it.providers["openai"].fault = Fault("slow_events", delay_ms=60)
        stream = asyncio.create_task(it.ask(hello(stream=True, text=script)))
        await until(lambda: it.providers["openai"].requests)
        it.supervisor.stop(20)
        refused = None
        while refused is None and not stream.done():
            try:
                async with aiohttp.ClientSession() as fresh, fresh.get(f"{it.url}/healthz"):
                    await asyncio.sleep(0.02)
            except aiohttp.ClientError as error:
                refused = error
        assert refused is not None, "no new connection is taken while a stream is under way"
        answer = await stream
        assert answer.status == 200 and b"event: message_stop" in answer.body
