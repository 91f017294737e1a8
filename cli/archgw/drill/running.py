"""The drill itself: break one thing, ask as a client would, see what comes, mend it, go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import aiohttp
import grpc

from archgw import client as journal
from archgw.drill.findings import Row, Try, with_tries
from archgw.drill.ground import LOGIN, Ground
from archgw.drill.leads import Lead
from archgw.drill.reading import Client, Reading, has_content, read
from archgw.drill.scenarios import Scenario
from archgw.drill.verdict import Seen, judge
from archgw.machine import CannotStart

QUESTION = "What does a circuit breaker do? One short sentence, please."
MOST_TOKENS = 200  # of an answer
_GRACE = 20.0  # seconds beyond all waits of the gateway after which an answer hangs
_JOURNAL_WITHIN = 3.0  # seconds; what a client has read to the end may be recorded a moment later
Sign = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Asking:
    """One client with one question."""

    client: Client
    model: str
    streamed: bool

    @property
    def body(self) -> dict[str, object]:
        return {
            "model": self.model,
            "max_tokens": MOST_TOKENS,
            "stream": self.streamed,
            "messages": [{"role": "user", "content": QUESTION}],
        }

    @property
    def headers(self) -> dict[str, str]:
        if self.client.name == "anthropic":
            return {"x-api-key": LOGIN, "anthropic-version": "2023-06-01"}
        return {"authorization": f"Bearer {LOGIN}"}


async def drilled(
    ground: Ground, lead: Lead, scenarios: Sequence[Scenario], clients: Sequence[Client]
) -> AsyncIterator[list[Row]]:
    """The rows of one model, scenario by scenario; the clients ask at the same time."""
    for scenario in scenarios:
        await ground.breaks(lead.label, scenario)
        try:
            yield await _rows(ground, lead, scenario, clients)
        finally:
            await ground.heals()


async def _rows(ground: Ground, lead: Lead, scenario: Scenario, clients: Sequence[Client]) -> list[Row]:
    ground.forget()
    begun = [asyncio.Event() for _ in clients]
    asking = [Asking(client, lead.model, scenario.streamed) for client in clients]
    limit = _GRACE + lead.chain.attempts * ground.patience
    under_way = [
        asyncio.create_task(ask(ground.url, one, limit=limit, on_content=event.set))
        for one, event in zip(asking, begun, strict=True)
    ]
    back = None
    if scenario.of_gateway:
        back = await _kill(ground, lead, scenario, begun)
    seen = await asyncio.gather(*under_way)
    rows = [_row(lead, scenario, client, one, _says(ground)) for client, one in zip(clients, seen, strict=True)]
    if scenario.of_gateway:
        return [replace(row, back=back) for row in rows]
    tries = await asyncio.gather(*(tried(ground, one) for one in seen))
    return [with_tries(row, told) for row, told in zip(rows, tries, strict=True)]


async def _kill(ground: Ground, lead: Lead, scenario: Scenario, begun: Sequence[asyncio.Event]) -> float:
    """Kill the process at its moment; how long it took until the gateway answered again."""
    try:
        async with asyncio.timeout(_GRACE):
            if scenario.midway:
                await asyncio.gather(*(event.wait() for event in begun))
            else:
                await ground.asked(lead.label, times=len(begun))
    except TimeoutError as error:
        raise CannotStart(f"{lead.label} was not asked or did not answer, so nothing was under way to break") from error
    name = scenario.how
    before = ground.supervisor.pids[name]
    killed = time.perf_counter()
    ground.kill(name)
    await ground.back(name, before)
    return time.perf_counter() - killed


def _row(lead: Lead, scenario: Scenario, client: Client, seen: Seen, says: Mapping[str, str]) -> Row:
    reading = Reading()
    if seen.ending != "refused":
        kind = seen.headers.get("content-type", "")
        reading = read(client, status=seen.status, kind=kind, body=seen.body, streamed=scenario.streamed)
    judged = judge(seen, reading, says)
    return Row(
        candidate=lead.label,
        scenario=scenario.name,
        client=client.name,
        verdict=judged.verdict,
        saw=judged.saw,
        status=seen.status,
        model=seen.model if seen.status == 200 else "",
        first_content=seen.first_content,
        seconds=seen.seconds,
    )


def _says(ground: Ground) -> dict[str, str]:
    """What each stand-in answers when it is well; a real model's words nobody knows."""
    return {
        label: f"simulated {player.vendor.name}/{ground.leads[label].candidate.model}: you asked: {QUESTION}"
        for label, player in ground.players.items()
    }


async def ask(url: str, asking: Asking, *, limit: float, on_content: Sign = lambda: None) -> Seen:
    """Ask once, on a connection of one's own, and read to whatever end there is. Never tries again."""
    started = time.perf_counter()
    seen = Seen("refused")
    body = bytearray()
    first: float | None = None
    try:
        async with (
            asyncio.timeout(limit),
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.post(f"{url}{asking.client.path}", json=asking.body, headers=asking.headers) as reply,
        ):
            headers = {name.lower(): value for name, value in reply.headers.items()}
            seen = Seen("broken", reply.status, headers)
            async for chunk in reply.content.iter_any():
                body += chunk
                if (
                    first is None
                    and reply.status == 200
                    and (not asking.streamed or has_content(asking.client, bytes(body)))
                ):
                    first = time.perf_counter() - started
                    on_content()
            seen = replace(seen, ending="whole")
    except TimeoutError:
        seen = replace(seen, ending="hung")
    except aiohttp.ClientConnectorError:
        pass  # nobody listens: it stays refused
    except (aiohttp.ClientError, OSError):
        seen = replace(seen, ending="broken")
    return replace(seen, body=bytes(body), first_content=first, seconds=time.perf_counter() - started)


async def tried(ground: Ground, seen: Seen) -> tuple[Try, ...]:
    """Every try, as the gateway's journal has it; none where Envoy answered itself."""
    id = seen.headers.get("x-arch-request-id", "")
    if not id or seen.model in ("", "none"):
        return ()
    deadline = time.monotonic() + _JOURNAL_WITHIN
    while time.monotonic() < deadline:
        try:
            told = await asyncio.to_thread(journal.explain, ground.home, id, "")
        except grpc.RpcError:
            await asyncio.sleep(0.03)
            continue
        return tuple(Try(one.model, one.status, one.trouble, one.seconds) for one in told.tries)
    return ()
