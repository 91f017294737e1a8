"""The ground of a drill: stand-ins, a router model that says what it is told, and a stack of its own on free ports."""

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
from aiohttp import web

from archgw.drill.leads import Lead, by_name, leads
from archgw.drill.rewiring import StandIn, failover, player, rewired
from archgw.drill.scenarios import Scenario
from archgw.home import Home
from archgw.machine import CannotStart
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor
from router_service.config import Config, ProviderEntry, usable
from router_service.plan import plan
from router_service.route_prompt import OTHER
from router_service.shell.files import load

LOGIN = "the-login-of-the-drills-client"
BACK_WITHIN = 60.0  # seconds
_KEY = "drill-key-of-{}"
_LATENCY, _PACE = 0.05, 0.01  # seconds before an answer and between its pieces: quick models, but not infinitely so


@dataclass
class Ground:
    """A running stack. `players` stand in for models, by label; `leads` are all models that can be asked."""

    url: str
    home: Home
    supervisor: Supervisor
    players: Mapping[str, Simulator]
    leads: Mapping[str, Lead]
    router: "ToldRouter"
    patience: float
    requests: int = 0

    async def breaks(self, label: str, scenario: Scenario) -> None:
        """What is to be broken before anybody asks."""
        self.router.route = self.leads[label].route
        if scenario.how == "everyone":
            for each in self.players.values():
                await each.refuse()
        elif scenario.how == "port":
            await self.players[label].refuse()
        elif scenario.fault:
            delay = round(scenario.waits * self.patience * 1000) or scenario.fault.delay_ms
            self.players[label].fault = replace(scenario.fault, delay_ms=delay)

    async def heals(self) -> None:
        for each in self.players.values():
            each.clear()
            await each.recover()

    def leaks(self) -> list[str]:
        """What reached a stand-in and was not meant for it: header and reason, never the value."""
        self.forget()
        return [
            f"{label}: {leak.header} ({leak.reason})" for label, each in self.players.items() for leak in each.leaks
        ]

    async def asked(self, label: str, *, times: int) -> None:
        """Until the stand-in has got so many requests since the last `forget`."""
        while len(self.players[label].requests) < times:  # noqa: ASYNC110 - a simulator tells nobody
            await asyncio.sleep(0.005)

    def forget(self) -> None:
        """What was received up to now is counted and let go."""
        for each in self.players.values():
            self.requests += len(each.requests)
            each.requests.clear()

    def kill(self, name: str) -> None:
        os.kill(self.supervisor.pids[name], signal.SIGKILL)

    async def back(self, killed: str, before: int) -> None:
        """Until another process stands in the place of the one that was killed, and a probe passes through both.

        Raises CannotStart.
        """
        try:
            async with asyncio.timeout(BACK_WITHIN), aiohttp.ClientSession() as session:
                while self.supervisor.pids[killed] == before or not await _passes(session, self.url):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # another process tells nobody when it is there
        except TimeoutError as error:
            raise CannotStart(f"{killed} was killed and not back within {BACK_WITHIN:.0f} s") from error


async def _passes(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/healthz", timeout=aiohttp.ClientTimeout(total=2)) as reply:
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


@asynccontextmanager
async def prepared(
    text: str,
    config: Config,
    played: Iterable[ProviderEntry],
    *,
    environment: Mapping[str, str],
    patience: float,
    port: int,
    routed: bool = True,
) -> AsyncIterator[Ground]:
    """The stack of a config and its text, with stand-ins for the `played` models. Raises CannotStart, ConfigErrors.

    Unless `routed` the router service has the config's own router model to load, and models are asked for by name.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="archgw-drill-")))
        router = await stack.enter_async_context(ToldRouter())
        players: dict[str, Simulator] = {}
        stand_ins: dict[str, StandIn] = {}
        keys: dict[str, str] = {}
        for number, entry in enumerate(played, 1):
            variable, key = f"ARCHGW_DRILL_KEY_{number}", _KEY.format(number)
            accepted = {LOGIN if entry.passthrough_auth else key}
            stand_in = Simulator(player(entry), accept_keys=accepted, latency=_LATENCY, pace=_PACE)
            simulator = players[entry.known_as] = await stack.enter_async_context(stand_in)
            stand_ins[entry.known_as] = StandIn(simulator.url, variable)
            keys[variable] = key
        wanted = rewired(
            text,
            config,
            stand_ins,
            port=port,
            router=router.url if routed else "",
            **failover(config, patience),
        )
        file = folder / "config.yaml"
        file.write_text(wanted, "utf-8")
        known = {**environment, **keys}
        wired = plan(usable(load(file, known)))
        supervisor = Supervisor(file, Home(folder / "home"), environment=known)
        running = await stack.enter_async_context(supervisor.running())
        yield Ground(
            url=running.url,
            home=Home(folder / "home"),
            supervisor=supervisor,
            players=players,
            leads={lead.label: lead if routed else by_name(lead) for lead in leads(wired)},
            router=router,
            patience=wired.failover.first_content_timeout,
        )


class ToldRouter:
    """A router model that names the preference that it is told to name; none, when told none."""

    def __init__(self) -> None:
        self.route = ""
        self.url = ""

    async def __aenter__(self) -> "ToldRouter":
        application = web.Application()
        application.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        content = json.dumps({"route": self.route or OTHER})
        return web.json_response({"choices": [{"message": {"role": "assistant", "content": content}}]})
