"""The dashboard beside a running gateway: its own process, that nobody waits for and that is nobody's undoing."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from archgw.commands import dashboard as command
from archgw.dashboard import keys
from archgw.home import Home, Stack
from archgw.simulate import Simulator
from stack import CODE, Gateway, free_port, gateway, until
from terminal import CONFIG, Shell, told

STACK = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers: [{model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI"}]
dashboard: {port: $DASHBOARD}
"""
ASK = {"model": "gpt-4o-mini", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


async def asked(running: Gateway, path: str) -> object:
    """None where it does not answer."""
    headers = {"authorization": f"Bearer {keys.key(running.home)}"}
    try:
        async with running.client.get(f"{running.stack.dashboard}{path}", headers=headers) as answer:
            return await answer.json() if answer.status == 200 else None
    except aiohttp.ClientError:
        return None


async def until_asked(running: Gateway, path: str, wanted: str) -> None:
    for _ in range(600):
        found = repr(await asked(running, path))
        if wanted in found:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(found)


def environment_of(pid: int) -> str:
    """Where the system shows it."""
    file = Path(f"/proc/{pid}/environ")
    return file.read_text() if file.exists() else ""


async def test_it_shows_what_the_gateway_does_and_comes_back_when_it_dies(tmp_path: Path) -> None:
    config = STACK.replace("$DASHBOARD", str(free_port()))
    known = {**CODE, "OPENAI_API_KEY": "sk-x"}
    async with (
        Simulator("openai") as openai,
        gateway(tmp_path, config, {"openai": openai}, environment=known, dashboard=True) as run,
    ):
        assert (await run.ask(ASK)).status == 200
        await until_asked(run, "/api/requests", "openai/gpt-4o-mini")
        await until_asked(run, "/api/gateway", "'state': 'running'")
        assert "sk-x" not in environment_of(run.supervisor.pids["dashboard"]), "no vendor's key is of use to it"
        before = run.supervisor.pids["dashboard"]
        os.kill(before, signal.SIGKILL)
        assert (await run.ask(ASK)).status == 200
        await until(lambda: run.supervisor.pids["dashboard"] != before)
        await until_asked(run, "/api/gateway", "'state': 'running'")
        last = run.supervisor.pids["dashboard"]
    await until(lambda: not Path(f"/proc/{last}").exists())


async def test_a_port_that_is_taken_costs_the_page_alone(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = STACK.replace("$DASHBOARD", str(port))
        async with Simulator("openai") as openai, gateway(tmp_path, config, {"openai": openai}, dashboard=True) as run:
            assert (await run.ask(ASK)).status == 200
            assert run.stack.dashboard == "" and "dashboard" not in run.supervisor.pids
            assert run.stack.without.startswith(f"no dashboard: cannot listen on 127.0.0.1:{port}: ")
            assert "set another dashboard.port" in run.stack.without


@pytest.fixture
def up(shell: Shell) -> Iterator[Shell]:
    """As if a stack ran, with a dashboard."""
    with shell.home.hold():
        shell.home.announce(Stack(os.getpid(), shell.config(), "http://127.0.0.1:1", 0.0, "http://127.0.0.1:12001"))
        yield shell


def test_of_a_running_gateway_the_address_is_told(up: Shell) -> None:
    result = up.run("dashboard")
    assert result.output == f"http://127.0.0.1:12001/#key={keys.key(up.home)}\n"


def test_without_a_gateway_it_is_served_from_the_ledger(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[Home, int]] = []
    monkeypatch.setattr("archgw.dashboard.serving.here", lambda at, config, port: served.append((at, port)))
    port = free_port()
    said = told(shell.run("dashboard", "--config", shell.config(f"{CONFIG}dashboard: {{port: {port}}}\n")))
    assert f"http://127.0.0.1:{port}/#key=" in said and "Ctrl-C ends it." in said
    other = free_port()
    shell.run("dashboard", "--port", str(other))
    assert [one[1] for one in served] == [port, other]


def test_a_port_that_is_taken_is_told_with_what_to_do(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = shell.run("dashboard", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 1 and "name another: archgw dashboard --port N" in told(result)


def test_where_there_is_no_screen_nothing_is_opened(up: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    monkeypatch.setattr(command, "_has_screen", lambda: False)
    up.run("dashboard")
    assert opened == []
    monkeypatch.setattr(command, "_has_screen", lambda: True)
    up.run("dashboard", "--no-open")
    assert opened == []
    up.run("dashboard")
    assert opened == [(up.home.run / "dashboard.html").as_uri()]
    assert keys.key(up.home) not in opened[0], "arguments of a browser can be read by everybody"
