"""archgw demo: the whole stack against simulated providers, three questions and an outage."""

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from archgw import report, simulated
from archgw.commands.check import example_text
from archgw.home import Home, Stack
from archgw.machine import CannotStart
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor

QUESTIONS = (
    "Create a Python function to validate email addresses",
    "How should I structure a microservices backend?",
    "Fix this syntax error in my JavaScript",
)
_LATENCY, _PACE = 0.05, 0.005  # seconds: quick models, but not infinitely so


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one question, and how long it took in seconds."""

    question: str
    preference: str
    model: str
    reason: str
    attempts: int
    seconds: float
    text: str


def demo() -> None:
    """See it work: no keys, no network, nothing to configure.

    Starts simulated providers on loopback and the whole gateway on free ports, asks the three questions of the
    README through the vendors' own SDK, takes one provider down and asks again.
    """
    try:
        import anthropic  # noqa: F401 - only to tell early that it is missing
    except ImportError:
        report.fail(
            "the demo asks through the anthropic SDK, which is not installed",
            mend="pip install 'archgw[demo]'",
        )
    try:
        asyncio.run(_demo())
    except CannotStart as error:
        report.fail(str(error))


async def _demo() -> None:
    out = report.console
    example = example_text()
    async with AsyncExitStack() as stack:
        names = simulated.vendors(example)
        simulators = {name: await stack.enter_async_context(_provider(name)) for name in names}
        out.print(f"simulated providers: {', '.join(names)}")
        with out.status("starting the router service and Envoy ..."):
            running = await stack.enter_async_context(_gateway(example, {n: s.url for n, s in simulators.items()}))
        out.print(f"the gateway: {running.url}\n")
        answers = [await _ask(running.url, question) for question in QUESTIONS]
        await simulators["deepseek"].refuse()
        out.print("[yellow]DeepSeek goes down[/yellow], and the first question is asked again.\n")
        answers.append(await _ask(running.url, QUESTIONS[0]))
    out.print(_table(answers))
    out.print("\nWith your own keys:  archgw example > config.yaml    then  archgw up    and  archgw cli-agent claude")


def _provider(name: str) -> Simulator:
    return Simulator(name, accept_keys={simulated.KEY_PREFIX + name}, latency=_LATENCY, pace=_PACE)


@asynccontextmanager
async def _gateway(example: str, urls: dict[str, str]) -> AsyncIterator[Stack]:
    """The stack in a folder of its own, on a free port."""
    with tempfile.TemporaryDirectory(prefix="archgw-demo-") as folder:
        config = Path(folder) / "config.yaml"
        listener = {"egress_traffic": {"address": "127.0.0.1", "port": free_port()}}
        config.write_text(simulated.rewired(example, urls, listeners=listener, routing={"deadline": "2s"}))
        environment = {**os.environ, **simulated.keys(list(urls))}
        supervisor = Supervisor(config, Home(Path(folder) / "home"), environment=environment)
        async with supervisor.running() as stack:
            yield stack


async def _ask(url: str, question: str) -> Answer:
    """One streamed question through Anthropic's SDK, as Claude Code would ask it."""
    import anthropic

    started = time.perf_counter()
    async with anthropic.AsyncAnthropic(base_url=url, api_key="not needed: the gateway has the keys") as sdk:
        conversation: list[Any] = [{"role": "user", "content": question}]
        async with sdk.messages.stream(model="arch.main.v1", max_tokens=500, messages=conversation) as stream:
            text = await stream.get_final_text()
            headers = stream.response.headers
    return Answer(
        question=question,
        preference=headers["x-arch-route"],
        model=headers["x-arch-model"],
        reason=headers["x-arch-reason"],
        attempts=int(headers["x-arch-attempts"]),
        seconds=time.perf_counter() - started,
        text=text,
    )


def _table(answers: list[Answer]) -> Table:
    table = Table(show_lines=True)
    table.add_column("question, and why this model", ratio=1)
    table.add_column("preference", overflow="fold")
    table.add_column("model", overflow="fold", max_width=26)
    table.add_column("failover", no_wrap=True)
    table.add_column("time", no_wrap=True, justify="right")
    for answer in answers:
        why = f"{escape(answer.question)}\n[dim]{escape(answer.reason)}[/dim]"
        failover = "-" if answer.attempts == 1 else f"{answer.attempts} tries"
        table.add_row(why, escape(answer.preference), escape(answer.model), failover, report.seconds(answer.seconds))
    return table


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
