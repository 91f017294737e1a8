"""A Redis that is slow, silent, full, demoted or closed, and services that write the same at once.

Between us and a real Redis stands a proxy that does what a bad network does.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio
from proxies import Proxy, proxy
from redises import installed, real_redis
from stack import free_port, until

from router_service.budgets import Spending
from router_service.session import Pin, Session, Sessions
from router_service.shell import purse, redis_client, state

SESSION = Session(pin=Pin("jokes", "deepseek", 0.9), requests=1, spent=1.0, baseline=2.0)
LATER = 4_000_000_000.0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    if not installed():
        pytest.skip("Redis is not installed")
    number = free_port()
    with real_redis(number):
        yield number


@dataclass
class World:
    """The real Redis as an administrator sees it, and the way to it that may be bad."""

    admin: Any
    way: Proxy

    @asynccontextmanager
    async def replica(self, *, direct: bool = False) -> AsyncIterator[tuple[state.Redis, Sessions]]:
        port = self.admin.connection_pool.connection_kwargs["port"] if direct else self.way.port
        store, sessions = state.Redis(f"redis://127.0.0.1:{port}/0"), Sessions()
        await store.open(sessions)
        yield store, sessions
        await store.close()


@pytest_asyncio.fixture
async def world(port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(redis_client, "WITHIN", 1.0)
    admin = redis.asyncio.Redis(port=port)
    await admin.flushall()
    async with proxy(port) as way:
        yield World(admin, way)
    await admin.aclose()


async def test_what_comes_later_than_a_request_waits_is_there_for_the_next(world: World) -> None:
    async with world.replica(direct=True) as (other, others), world.replica() as (store, sessions):
        others.put("s/", SESSION)
        await other.keep(others)
        world.way.delay = 0.2
        for _ in range(5):
            await store.recall(sessions, ("s/",))
            assert "s/" not in sessions
        assert "answers after more than" in store.trouble
        await until(lambda: sessions.get("s/") == SESSION)
        assert world.way.accepted <= 5, "nothing is hung up on"
        world.way.delay = 0.0
        await until(lambda: not store._asking)
        await store.keep(sessions)
        assert store.trouble == ""


async def test_who_never_answers_is_waited_for_by_few_and_told_of_it_all_afterwards(world: World) -> None:
    async with world.replica() as (store, sessions):
        world.way.deaf = True
        for number in range(300):
            sessions.put(f"s{number}/", SESSION)
        await asyncio.gather(
            *(store.recall(sessions, (f"s{number}/",)) for number in range(300)),
            *(store.hurry(sessions) for _ in range(300)),
        )
        assert world.way.most_open <= 3 * state._CONNECTIONS, "some are given up while the next are opened"
        assert "it does not answer in time" in store.trouble and len(sessions.changed) == 300
        there = world.way.accepted
        await store.recall(sessions, ("s1/",))
        await store.hurry(sessions)
        assert world.way.accepted == there, "nobody asks any more but who looks whether it is back"
        world.way.deaf = False
        for _ in range(100):
            await store.keep(sessions)
            if not store.trouble:
                break
        assert (store.trouble, sessions.changed) == ("", set())
        assert await world.admin.dbsize() == 300


async def test_what_is_being_written_is_not_overwritten_by_what_was_there_before(world: World) -> None:
    async with world.replica() as (store, sessions):
        sessions.put("s/", SESSION)
        await store.keep(sessions)
        world.way.delay = 0.02
        newer = SESSION.paid(5, 5)
        asking = asyncio.create_task(store.recall(sessions, ("s/",)))
        await asyncio.sleep(0)
        sessions.put("s/", newer)
        writing = asyncio.create_task(store.hurry(sessions))
        while not writing.done():
            await store.recall(sessions, ("s/",))
            assert sessions.get("s/") == newer
        await asking
        assert sessions.get("s/") == newer
    async with world.replica(direct=True) as (store, sessions):
        await store.recall(sessions, ("s/",))
        assert sessions.get("s/") == newer


async def test_a_write_that_nobody_heard_of_is_not_counted_twice(world: World) -> None:
    async with world.replica() as (store, sessions):
        sessions.put("s/", SESSION)
        await store.keep(sessions)
        sessions.put("s/", SESSION.paid(1, 1))

        async def lose_the_last_word() -> None:
            for _ in range(100_000):
                world.way.mute = (await world.admin.get("archgw:session:s/")) != first
                if world.way.mute:
                    return

        first = await world.admin.get("archgw:session:s/")
        world.way.delay = 0.05
        losing = asyncio.create_task(lose_the_last_word())
        await store.keep(sessions)
        await losing
        assert store.trouble and sessions.changed == {"s/"}
        world.way.mute, world.way.delay = False, 0.0
        sessions.put("s/", sessions.get("s/").paid(1, 1))
        await store.keep(sessions)
        assert (store.trouble, sessions.get("s/").spent) == ("", 3.0)


async def test_two_services_that_write_one_session_lose_nothing(world: World) -> None:
    """A sub-agent's long answer ends at one of them, while the other has begun the session's next turn."""
    async with world.replica() as (one, ones), world.replica() as (other, others):
        ones.put("s/", SESSION)
        await one.keep(ones)
        await other.recall(others, ("s/",))
        await until(lambda: "s/" in others)
        turn = Pin("coding", "gpt", 0.8)
        ones.put("s/", ones.get("s/").turned(turn).paid(1, 1))
        await one.keep(ones)
        others.put("s/", others.get("s/").paid(0.5, 1))
        await other.keep(others)
        whole = replace(SESSION, pin=turn, spent=2.5, baseline=4.0)
        assert others.get("s/") == whole and not others.changed
        await one.recall(ones, ("s/",))
        await until(lambda: ones.get("s/") == whole)

        async def pay(store: state.Redis, sessions: Sessions) -> None:
            for _ in range(50):
                sessions.put("s/", sessions.get("s/").paid(1, 1))
                await store.keep(sessions)

        await asyncio.gather(pay(one, ones), pay(other, others))
        for store, sessions in ((one, ones), (other, others)):
            await store.keep(sessions)
        assert max(ones.get("s/").spent, others.get("s/").spent) == 102.5


async def test_a_session_that_was_forgotten_here_is_not_written_as_a_new_one(world: World) -> None:
    async with world.replica() as (store, _):
        few = Sessions(limit=2, shared=True)
        for number in range(4):
            few.put(f"s{number}/", SESSION)
        assert few.changed == {"s2/", "s3/"}
        await store.keep(few)
        assert sorted(await world.admin.keys()) == [b"archgw:session:s2/", b"archgw:session:s3/"]
        few.put("s4/", SESSION)
        assert set(few.known) == {"s3/"}


async def test_a_redis_that_is_full_is_still_read_and_said_to_be_full_until_it_is_not(world: World) -> None:
    async with world.replica() as (store, sessions), world.replica() as (other, others):
        sessions.put("s/", SESSION)
        await store.keep(sessions)
        await world.admin.config_set("maxmemory", 1)
        try:
            others.put("t/", SESSION)
            for _ in range(2):
                await other.keep(others)
                assert other.trouble.startswith("Redis takes no sessions (OutOfMemoryError)")
                await other.recall(others, ("s/",))
            await until(lambda: others.get("s/") == SESSION)
            assert "Redis takes no sessions" in other.trouble and others.changed == {"t/"}
        finally:
            await world.admin.config_set("maxmemory", 0)
        await other.keep(others)
        assert (other.trouble, others.changed) == ("", set())


async def test_who_has_become_a_replica_is_left_for_who_took_its_place(world: World) -> None:
    async with world.replica() as (store, sessions):
        sessions.put("s/", SESSION)
        await store.keep(sessions)
        spending, spent = Spending("a"), purse.Redis(f"redis://127.0.0.1:{world.way.port}/0")
        spending.add("day", 1.0, LATER)
        await spent.keep(spending)
        await world.admin.replicaof("127.0.0.1", 1)
        try:
            there = world.way.accepted
            sessions.put("s/", SESSION.paid(1, 1))
            spending.add("day", 1.0, LATER)
            await store.keep(sessions)
            await spent.keep(spending)
            assert "ReadOnlyError" in store.trouble and "ReadOnlyError" in spent.trouble
        finally:
            await world.admin.replicaof("NO", "ONE")
        await store.keep(sessions)
        await spent.keep(spending)
        assert (store.trouble, spent.trouble) == ("", "")
        assert world.way.accepted >= there + 2, "over connections of their own, which are looked up anew"
        await spent.close()


async def test_a_password_is_asked_for_and_never_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.admin.config_set("requirepass", "hunter2")
    try:
        async with world.replica() as (store, sessions):
            sessions.put("s/", SESSION)
            await store.keep(sessions)
            assert "AuthenticationError" in store.trouble
        store = state.Redis(f"redis://:hunter2@127.0.0.1:{world.way.port}/0")
        await store.keep(sessions)
        assert (store.trouble, sessions.changed) == ("", set()) and "hunter2" not in caplog.text
        await store.close()
    finally:
        await world.admin.config_set("requirepass", "")


async def test_who_reads_a_budget_reads_as_much_however_many_have_written_it(world: World) -> None:
    store = purse.Redis(f"redis://127.0.0.1:{world.way.port}/0")
    asked = []
    for services in (1, 200):
        for number in range(services):
            row = {"key": "day", "writer": f"{number}.0", "spent": 100.0, "until": LATER}
            await store._tell([row], (), f"{number}.0")
        before = world.way.replied
        assert await store._ask(("day",), "0.0") == {"day": (services - 1) * 100.0}
        asked.append(world.way.replied - before)
    assert asked[1] <= asked[0] + 6, "the same two numbers, with more digits"
    await store.close()


async def test_what_was_spent_and_given_up_as_late_is_counted_once(world: World) -> None:
    """Redis stood still; when it goes on, it finds the write that was given up, and the next one."""
    store, spending = purse.Redis(f"redis://127.0.0.1:{world.way.port}/0"), Spending("a")
    spending.add("day", 1.0, LATER)
    await store.keep(spending)
    world.way.mute = True
    for _ in range(3):
        spending.add("day", 1.0, LATER)
        await store.keep(spending)
        assert "does not answer in time" in store.trouble or "TimeoutError" in store.trouble
    world.way.mute = False
    await store.keep(spending)
    other = Spending("b")
    await store.keep(other, ("day",))
    assert (store.trouble, other.spent("day")) == ("", 4.0)
    await store.close()
