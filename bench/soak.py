"""Thirty minutes of everything going wrong, and nothing may be lost: python bench/soak.py

    python bench/soak.py --minutes 5 --seed 7 --json soak.json

Clients of all three dialects hold conversations through a gateway with six simulated providers, while providers fail
in every way that they know, the router service and Envoy are killed, and the configuration is loaded anew. Each answer
carries a checksum of its request. Exit 1 when an answer is wrong, a client waits in vain, a secret is where it should
not be, or something ends that nobody ended. See README.md.
"""

import argparse
import asyncio
import io
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from archgw import client as socket_client
from soak_asks import CLIENTS_OWN, FORMS, LONG, MARK, Ask, Dialogue
from soak_judge import Heard
from soak_report import shown, told
from soak_stack import ALWAYS, FIRST_CONTENT, SPOKEN, VENDORS, WHOLE, Soaked, holding, soaked
from soak_verdict import End, Observed, verdict

_SLACK = 30.0  # seconds that a busy machine may take beyond the gateway's limits
_BETWEEN = 15.0 + _SLACK  # seconds without a byte, of a stream: it pings every 15 s
_KEPT = 40  # wrong answers that are shown
_LARGEST = 200_000  # characters of a session, but for its images
_TRIES = 4  # a client asks again, as agents do


@dataclass(slots=True)
class Options:
    seconds: float = 1800.0
    streams: int = 30
    seed: int = 1
    kill_router: float = 60.0  # seconds between kills; 0 for none
    kill_envoy: float = 210.0
    reload: float = 60.0
    black_out: float = 45.0
    images: bool = True
    pause: float = 1.0  # seconds, at most, between a client's requests


@dataclass(slots=True)
class Tally:
    """What came of the requests so far."""

    ends: dict[str, Counter[str]] = field(default_factory=dict)  # by dialect
    failovers: int = 0
    served: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    bytes: int = 0
    seconds: list[float] = field(default_factory=list)  # of whole answers

    def count(self, end: End) -> int:
        return sum(ends[end] for ends in self.ends.values())


class Client:
    """One user with one conversation after another."""

    def __init__(self, number: int, options: Options, gateway: Soaked, tally: Tally) -> None:
        self._number, self._options, self._gateway, self._tally = number, options, gateway, tally
        self._chance = random.Random(f"{options.seed} client {number}")
        self._sessions = 0

    async def run(self, until: float) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while time.monotonic() < until:
                self._sessions += 1
                await self._session(http, until)

    async def _session(self, http: aiohttp.ClientSession, until: float) -> None:
        chance = self._chance
        dialect = chance.choices(list(FORMS), [5, 3, 3])[0]
        dialogue = Dialogue(dialect, chance, f"{self._options.seed}-{self._number}-{self._sessions}")
        for _ in range(chance.randint(1, 4)):
            if time.monotonic() > until or dialogue.size > _LARGEST:
                return
            big = chance.random() < 0.02  # a long answer, which ends the session: it would be too long for most
            images = chance.choice((1, 2, 5)) if self._options.images and chance.random() < 0.04 else 0
            size = chance.choices([300, 1_000, 20_000, 80_000], [4, 6, 2, 1])[0]
            loops = 0 if big else chance.choices([0, 1, 2, 3], [6, 2, 2, 1])[0]
            dialogue.ask(size=size, images=images, tool_turns=loops, pace=LONG if big else None)
            if not await self._turn(http, dialogue, until) or big:
                return

    async def _turn(self, http: aiohttp.ClientSession, dialogue: Dialogue, until: float) -> bool:
        """One ask and its calls of tools; False where the user gives up."""
        chance = self._chance
        model = chance.choice([*ALWAYS, "arch.fast.v1"]) if chance.random() < 0.3 else "arch.main.v1"
        if dialogue.seeing and "deepseek" in model:
            model = "arch.main.v1"
        streamed = chance.random() < 0.7
        going_on = True
        while going_on:
            if dialogue.form.count_path and chance.random() < 0.08:
                await self._request(http, dialogue.request(model, streamed=False, counts=True))
            heard = None
            for _ in range(_TRIES):
                heard = await self._request(http, dialogue.request(model, streamed=streamed))
                if heard or time.monotonic() > until:
                    break
                await asyncio.sleep(chance.uniform(0.2, 2))
            if heard is None:
                return False
            going_on = dialogue.heard(heard.items, heard.text, heard.calls)
        return True

    async def _request(self, http: aiohttp.ClientSession, ask: Ask) -> Heard | None:
        """Ask, judge and note; None where the answer is not one to go on with."""
        chance = self._chance
        await asyncio.sleep(chance.uniform(0, self._options.pause))
        seen = Observed(ask, time.monotonic())
        leaves = chance.uniform(0.02, 2.5) if chance.random() < 0.1 else None
        slow = chance.uniform(0.02, 0.2) if chance.random() < 0.1 else 0.0
        try:
            async with asyncio.timeout(leaves):
                await read(http, self._gateway.stack.url, seen, slow)
        except TimeoutError:
            seen.how = "left"
        seen.ended = time.monotonic()
        return self._judged(seen)

    def _judged(self, seen: Observed) -> Heard | None:
        found = verdict(seen, self._gateway.weather, SPOKEN)
        tally = self._tally
        tally.ends.setdefault(seen.ask.dialect, Counter())[found.end] += 1
        tally.bytes += len(seen.raw) + len(seen.ask.body)
        tally.failovers += max(0, int(seen.headers.get("x-arch-attempts") or 0) - 1)
        if found.end in ("WRONG", "HANG") and len(tally.wrong) < _KEPT:
            tally.wrong.append(shown(seen, found, self._number, self._gateway.weather))
            print(f"{found.end}: {json.dumps(tally.wrong[-1])[:1500]}", file=sys.stderr, flush=True)
        if found.end != "whole":
            return None
        tally.served[seen.served] += 1
        tally.seconds.append(seen.ended - seen.began)
        return found.heard


async def read(http: aiohttp.ClientSession, url: str, seen: Observed, slow: float) -> None:
    """Fill in what is heard. `slow`: seconds between the reads of a slow reader."""
    ask = seen.ask
    tries = len(VENDORS)
    first = (FIRST_CONTENT if ask.streamed else WHOLE) * tries + _SLACK
    raw = bytearray()
    waiting = "for the headers"
    try:
        limit = asyncio.timeout(first)
        async with limit:
            reply = await http.post(f"{url}{ask.path}", data=io.BytesIO(ask.body), headers=ask.headers)
        async with reply:
            seen.status, seen.headers = reply.status, {name.lower(): value for name, value in reply.headers.items()}
            waiting = "for the next bytes"
            reads = 0
            while True:
                limit = asyncio.timeout(_BETWEEN)
                async with limit:
                    chunk = await reply.content.readany()
                if not chunk:
                    break
                raw += chunk
                seen.raw = bytes(raw) if reads % 50 == 0 else seen.raw
                reads += 1
                if slow and reads < 100:
                    await asyncio.sleep(slow)
    except TimeoutError:
        if not limit.expired():
            raise  # the client leaves
        seen.how, seen.trouble = "silent", f"waited {waiting}"
    except aiohttp.ClientConnectorError as error:
        seen.how, seen.trouble = "no connection", str(error)
    except (aiohttp.ClientError, ConnectionError) as error:
        seen.how, seen.trouble = "cut", f"{type(error).__name__}: {error}"
    finally:
        seen.raw = bytes(raw)


# -- the whole soak ------------------------------------------------------------------------------------------------


async def soak(options: Options, folder: Path) -> dict[str, Any]:
    """Run it; what came of it, as JSON. `failed` lists what must not be."""
    tally = Tally()
    async with soaked(folder, options.seed) as gateway:
        began = time.monotonic()
        until = began + options.seconds
        tasks = [asyncio.create_task(work) for work in _work(options, gateway)]
        watches = [asyncio.create_task(work) for work in (gateway.watch_ejections(), gateway.watch_memory())]
        clients = [Client(number, options, gateway, tally) for number in range(options.streams)]
        users = [asyncio.create_task(client.run(until)) for client in clients]
        try:
            await asyncio.gather(_no_end([*tasks, *watches], until), *users)
            lasted = time.monotonic() - began
            await _end(tasks)
            await _calm(options, gateway, tally)
        finally:
            await _end([*users, *tasks, *watches])
        leaks = [
            f"{name}: {leak.header} ({leak.reason})"
            for name, provider in gateway.providers.items()
            for leak in provider.leaks
        ]
        leaks += holding(gateway.home.folder, secrets())
        return told(options, gateway, tally, leaks, lasted)


def _work(options: Options, gateway: Soaked) -> list[Coroutine[Any, Any, None]]:
    work = [gateway.storm(name) for name in gateway.providers]
    if options.black_out:
        work.append(gateway.black_out(options.black_out))
    if options.kill_router:
        work.append(gateway.keep_killing("router", options.kill_router, first=options.kill_router / 2))
    if options.kill_envoy:
        work.append(gateway.keep_killing("envoy", options.kill_envoy, first=options.kill_envoy * 0.6))
    if options.reload:
        work.append(gateway.keep_reloading(options.reload))
    return work


async def _no_end(tasks: Sequence[asyncio.Task[None]], until: float) -> None:
    """None of these ends by itself: raises what one of them failed with."""
    done, _ = await asyncio.wait(tasks, timeout=until - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _calm(options: Options, gateway: Soaked, tally: Tally) -> None:
    """After the storm: every dialect is answered, and nothing is held any more."""
    for provider in gateway.providers.values():
        provider.clear()
        await provider.recover()
    await _let_go(gateway)
    await _well(gateway)
    calm = Options(seed=options.seed, pause=0.1)
    client = Client(10_000, calm, gateway, tally)
    async with aiohttp.ClientSession() as http:
        for dialect in FORMS:
            dialogue = Dialogue(dialect, random.Random(f"{options.seed} {dialect}"), f"{options.seed}-calm-{dialect}")
            dialogue.ask(size=500)
            for _ in range(_TRIES):  # one try in ten leaves
                if await client._request(http, dialogue.request("arch.main.v1", streamed=True)):
                    break
            else:
                gateway.troubles.append(f"after the storm, {dialect} is not answered")


async def _well(gateway: Soaked, within: float = 60.0) -> None:
    """What was killed last is there again."""
    end = time.monotonic() + within
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
        while time.monotonic() < end:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with http.get(f"{gateway.stack.url}/healthz") as reply:
                    if reply.status == 200:
                        return
            await asyncio.sleep(0.2)
    gateway.troubles.append(f"{within:g} s after the last client the gateway is not well")


async def _let_go(gateway: Soaked, within: float = 60.0) -> None:
    status: Any = None
    end = time.monotonic() + within
    while time.monotonic() < end:
        with suppress(grpc.RpcError):
            status = await asyncio.to_thread(socket_client.status, gateway.home)
            if status.requests_under_way == 0 and status.bytes_held == 0:
                return
        await asyncio.sleep(0.5)
    held = f"{status.requests_under_way} requests and {status.bytes_held} bytes" if status else "no status"
    gateway.troubles.append(f"{within:g} s after the last client the router service still holds {held}")


def secrets() -> dict[str, bytes]:
    keys = {f"the key of {vendor.name}": vendor.key.encode() for vendor in VENDORS}
    own = {f"the client's {name}": value.removeprefix("Bearer ").encode() for name, value in CLIENTS_OWN.items()}
    return {**keys, **own, "words of a prompt": MARK.encode()}


def main() -> None:
    options, out = _options()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a provider whose answer is cut is no error
    with tempfile.TemporaryDirectory(prefix="archgw-soak-") as folder:
        found = asyncio.run(soak(options, Path(folder)))
    print(found["text"])
    if out:
        out.write_text(json.dumps({key: value for key, value in found.items() if key != "text"}, indent=1))
    sys.exit(1 if found["failed"] else 0)


def _options() -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, default=30.0)
    add("--streams", type=int, default=30, help="clients at a time")
    add("--seed", type=int, default=1, help="of clients, faults, kills and configurations; not of how they interleave")
    add("--kill-router", type=float, default=60.0, metavar="SECONDS", help="between kills; 0: none")
    add("--kill-envoy", type=float, default=210.0, metavar="SECONDS", help="between kills; 0: none")
    add("--reload", type=float, default=60.0, metavar="SECONDS", help="between reloads; 0: none")
    add("--black-out", type=float, default=45.0, metavar="SECONDS", help="between times of nobody answering; 0: none")
    add("--no-images", action="store_true", help="nothing larger than 80 KB")
    add("--pause", type=float, default=1.0, help="seconds, at most, between two requests of a client")
    add("--json", type=Path, metavar="FILE", help="write all of it here")
    given = parser.parse_args()
    options = Options(
        seconds=given.minutes * 60,
        streams=given.streams,
        seed=given.seed,
        kill_router=given.kill_router,
        kill_envoy=given.kill_envoy,
        reload=given.reload,
        black_out=given.black_out,
        images=not given.no_images,
        pause=given.pause,
    )
    return options, given.json


if __name__ == "__main__":
    main()
