"""The gateway of a soak: its providers, its configurations, and what is done to it while clients ask."""

import asyncio
import math
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from archgw.commands.demo import free_port
from archgw.control import CannotReload
from archgw.home import Home, Stack
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor
from soak_weather import REFUSE, Spell, Weather, next_fault

from router_service.shell import envoy_admin

_PAGE = 4096
SAMPLED_EVERY = 5.0  # seconds between looks at the memory
_BACK_WITHIN = 60.0  # seconds after a kill
MARGIN = 1.0  # seconds, for what was under way when a process came back


@dataclass(frozen=True, slots=True)
class Vendor:
    """`label` is the gateway's name of the model, `spoken` what the model calls itself."""

    name: str
    vendor: str
    label: str
    spoken: str
    key: str
    more: str = ""
    blind: bool = False


VENDORS = (
    Vendor("openai", "openai", "openai/gpt-4o-mini", "openai/gpt-4o-mini", "sk-proj-soak-openai-4f1c", "default: true"),
    Vendor("anthropic", "anthropic", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", "sk-ant-soak-9b2e"),
    Vendor("deepseek", "deepseek", "deepseek/deepseek-chat", "deepseek/deepseek-chat", "sk-soak-ds-77aa", blind=True),
    Vendor("gemini", "gemini", "gemini/gemini-2.5-flash", "gemini/gemini-2.5-flash", "AIza-soak-gemini-03d5"),
    Vendor("house", "openai", "house/gpt-5.1", "openai/gpt-5.1", "sk-soak-house-51c8", "provider_interface: responses"),
    Vendor("mistral", "mistral", "mistral/mistral-large", "mistral/mistral-large", "soak-mistral-e6f0"),
)
COMES_AND_GOES = "mistral"  # with reloads
SPOKEN = {vendor.label: vendor.spoken for vendor in VENDORS}
ALWAYS = tuple(vendor.label for vendor in VENDORS if vendor.name != COMES_AND_GOES)
_PREFERENCES = {
    "code": ("writing new functions and code", ["openai/gpt-4o-mini", "deepseek/deepseek-chat", "house/gpt-5.1"]),
    "bugs": ("finding the cause of crashes and failing tests", ["anthropic/claude-sonnet-4-5", "openai/gpt-4o-mini"]),
    "design": ("system design, structure and trade-offs", ["gemini/gemini-2.5-flash", "anthropic/claude-sonnet-4-5"]),
}
FIRST_CONTENT, WHOLE = 4.0, 10.0  # seconds that a candidate may take


@dataclass
class Soaked:
    """A running gateway under a soak, and all that was noted of it. `lasting` is how many seconds it is to run."""

    supervisor: Supervisor
    home: Home
    stack: Stack
    providers: Mapping[str, Simulator]
    weather: Weather
    file: Path
    port: int
    seed: int
    killed: dict[str, int] = field(default_factory=lambda: {"router": 0, "envoy": 0})
    reloads: list[float] = field(default_factory=list)  # how long each took, seconds
    refused: int = 0  # reloads of a broken file, refused
    troubles: list[str] = field(default_factory=list)
    memory: list[tuple[float, str, int, float]] = field(default_factory=list)  # when, which, its process, MB

    # -- what is done to the providers -----------------------------------------------------------------------------

    async def storm(self, name: str) -> None:
        """Faults on one provider, one spell after another, until cancelled."""
        chance, provider = random.Random(f"{self.seed} {name}"), self.providers[name]
        while True:
            await asyncio.sleep(chance.uniform(3, 15))
            await self.spell(name, provider, chance, seconds=chance.uniform(1, 7))

    async def spell(self, name: str, provider: Simulator, chance: random.Random, *, seconds: float) -> None:
        kind, fault = next_fault(chance)
        spell = Spell(name, kind, time.monotonic())
        self.weather.faults.append(spell)
        if kind == REFUSE:
            await provider.refuse()
        else:
            provider.fault = fault
        try:
            await asyncio.sleep(seconds)
        finally:
            provider.clear()
            await provider.recover()
            spell.ended = time.monotonic()

    async def black_out(self, every: float) -> None:
        """All providers at once refuse all connections, for some seconds."""
        chance = random.Random(f"{self.seed} black-out")
        while True:
            await asyncio.sleep(chance.uniform(0.5, 1.5) * every)
            spells = [Spell(name, REFUSE, time.monotonic()) for name in self.providers]
            self.weather.faults += spells
            seconds = chance.uniform(1, 4)
            await asyncio.gather(*(provider.refuse() for provider in self.providers.values()))
            await asyncio.sleep(seconds)
            await asyncio.gather(*(provider.recover() for provider in self.providers.values()))
            for spell in spells:
                spell.ended = time.monotonic()

    # -- what is done to the gateway -------------------------------------------------------------------------------

    async def keep_killing(self, name: str, every: float, *, first: float) -> None:
        await asyncio.sleep(first)
        while True:
            began = time.monotonic()
            await self.kill(name)
            await asyncio.sleep(max(1.0, every - (time.monotonic() - began)))

    async def kill(self, name: str) -> None:
        """SIGKILL, and wait until the gateway answers again."""
        before = self.supervisor.pids[name]
        spell = Spell(name, "killed", time.monotonic())
        self.weather.kills.append(spell)
        self.killed[name] += 1
        os.kill(before, signal.SIGKILL)
        while self.supervisor.pids[name] == before or not await self._answers():
            if time.monotonic() - spell.began > _BACK_WITHIN:
                self.troubles.append(f"{name} was not back {_BACK_WITHIN:g} s after it was killed")
                return
            await asyncio.sleep(0.1)
        spell.ended = time.monotonic() + MARGIN

    async def _answers(self) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as client,
                client.get(f"{self.stack.url}/healthz") as reply,
            ):
                return reply.status == 200
        return False

    async def keep_reloading(self, every: float) -> None:
        """Orders change, a candidate comes and goes, and now and then the file is broken."""
        chance = random.Random(f"{self.seed} reload")
        rounds = 0
        while True:
            await asyncio.sleep(every)
            rounds += 1
            if rounds % 4 == 0:
                self.file.write_text("llm_providers: [{model: opnai/gpt-4o}]\n")
                await self._reload(broken=True)
            text, labels = config(self.providers, self.port, chance, all_of_them=rounds % 2 == 1)
            self.file.write_text(text)
            _, before = self.weather.plans[-1]
            self.weather.plans.append((time.monotonic(), labels & before))
            await self._reload(broken=False)
            self.weather.plans.append((time.monotonic(), labels))

    async def _reload(self, *, broken: bool) -> None:
        began = time.monotonic()
        try:
            await self.supervisor.reload()
        except CannotReload as error:
            if broken:
                self.refused += 1
            else:
                self.troubles.append(f"a reload failed: {error}")
            return
        if broken:
            self.troubles.append("a broken file was loaded")
        self.reloads.append(time.monotonic() - began)

    # -- what is seen of it ----------------------------------------------------------------------------------------

    async def watch_ejections(self) -> None:
        """Who is put aside by Envoy, as its admin page tells twice a second."""
        seen: dict[str, Spell] = {}
        while True:
            await asyncio.sleep(0.5)
            with suppress(OSError, ValueError):
                now, out = time.monotonic(), await self._ejected()
                for label in out - seen.keys():
                    seen[label] = Spell(label, "aside", now - MARGIN)
                    self.weather.aside.append(seen[label])
                for label in seen.keys() - out:
                    seen.pop(label).ended = now + MARGIN

    async def _ejected(self) -> set[str]:
        labels = {re.sub("[^a-z0-9]+", "-", label): label for label in SPOKEN}
        found = await asyncio.to_thread(envoy_admin.ejections, self.home.admin_socket)
        return {labels[id] for id, aside in found.items() if aside and id in labels}

    async def watch_memory(self) -> None:
        while True:
            for name, pid in self.supervisor.pids.items():
                with suppress(OSError):
                    self.memory.append((time.monotonic(), name, pid, _resident(pid)))
            await asyncio.sleep(SAMPLED_EVERY)

    def unasked_restarts(self) -> dict[str, int]:
        """Ends of the router and Envoy that nobody brought about."""
        ended = {name: self.supervisor.restarts.get(name, 0) - count for name, count in self.killed.items()}
        return {name: count for name, count in ended.items() if count}


def holding(folder: Path, secrets: Mapping[str, bytes]) -> list[str]:
    """Which file of the folder holds which secret."""
    return [
        f"{path.relative_to(folder)} holds {what}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for what, secret in secrets.items()
        if secret in path.read_bytes()
    ]


def _resident(pid: int) -> float:
    """MB of memory that a process has in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


@asynccontextmanager
async def soaked(folder: Path, seed: int) -> AsyncIterator[Soaked]:
    """A gateway with its providers. Raises what Supervisor.running raises."""
    async with AsyncExitStack() as open:
        providers = {
            vendor.name: await open.enter_async_context(Simulator(vendor.vendor, accept_keys={vendor.key}, keep=20))
            for vendor in VENDORS
        }
        port = free_port()
        text, labels = config(providers, port, random.Random(seed), all_of_them=False)
        file = folder / "config.yaml"
        file.write_text(text)
        home = Home(folder / "home")
        keys = {f"{vendor.name.upper()}_KEY": vendor.key for vendor in VENDORS}
        path = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
        supervisor = Supervisor(file, home, environment={"PATH": "/usr/bin:/bin", **path, **keys})
        stack = await open.enter_async_context(supervisor.running())
        candidates = {vendor.label: vendor.name for vendor in VENDORS}
        blind = {vendor.label for vendor in VENDORS if vendor.blind}
        weather = Weather(candidates, blind, plans=[(-math.inf, labels)])
        yield Soaked(supervisor, home, stack, providers, weather, file, port, seed)


def config(
    providers: Mapping[str, Simulator], port: int, chance: random.Random, *, all_of_them: bool
) -> tuple[str, frozenset[str]]:
    """A configuration with preferences in some order, and the labels of its models."""
    used = [vendor for vendor in VENDORS if all_of_them or vendor.name != COMES_AND_GOES]
    lines = [f"listeners: {{egress_traffic: {{port: {port}}}}}", "llm_providers:"]
    for vendor in used:
        path = "/v1" if vendor.name == "house" else ""
        address = f'base_url: "{providers[vendor.name].url}{path}"'
        more = f", {vendor.more}" if vendor.more else ""
        lines.append(f"  - {{model: {vendor.label}, access_key: ${vendor.name.upper()}_KEY, {address}{more}}}")
    lines.append("routing_preferences:")
    for name, (description, models) in _PREFERENCES.items():
        order = chance.sample(models, len(models)) + (["mistral/mistral-large"] if all_of_them else [])
        lines.append(f"  - {{name: {name}, description: '{description}', models: [{', '.join(order)}]}}")
    lines.append(
        f"failover: {{attempts: {len(VENDORS)}, first_content_timeout: {FIRST_CONTENT}s,"
        f" whole_answer_timeout: {WHOLE}s, put_aside_for: 2s}}"
    )
    return "\n".join(lines) + "\n", frozenset(vendor.label for vendor in used)
