"""Where answers are kept, and who asks for whom: a file, a Redis that is played and a real one, and neither."""

import asyncio
import logging
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dialogue import plan_of
from redises import fake_redis, installed, real_redis
from stack import free_port, until

from router_service.caching import Entry, Keeping, Terms
from router_service.config import MIB
from router_service.conversation import Usage
from router_service.exchange import Look
from router_service.outcome import Outcome
from router_service.shell import cache
from router_service.shell.cache import Cache, Database, Nowhere, Redis, Store

TTL = 60.0


def entry(text: str = "hi", **more: Any) -> Entry:
    now = time.time()
    made = Entry(now, now + TTL, "openai/gpt", "openai/gpt", "", "application/json", text.encode(), Usage(input=1))
    return replace(made, **more)


def look(
    key: str = "k", exchange: str = "one", *, patience: float = 30.0, ttl: float = TTL, fresh: bool = False
) -> Look:
    return Look(Keeping(key, Terms(ttl, tools=False, fresh=fresh), "first", ""), exchange, patience)


def ended(exchange: str, status: int = 200) -> Outcome:
    return Outcome(exchange, time.time(), "user turn", "", "", "", "", "", "", status)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with fake_redis() as url:
        yield url


@pytest.fixture(scope="module")
def true_redis() -> Iterator[str]:
    if not installed():
        pytest.skip("Redis is not installed")
    with real_redis(free_port()) as url:
        yield url


@pytest.fixture(params=["file", "redis", "true redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "file":
        made: Store = Database(tmp_path / "cache.sqlite")
    else:
        made = Redis(request.getfixturevalue("redis" if request.param == "redis" else "true_redis"))
        await made.clear()
    yield made
    await made.close()


# -- stores --------------------------------------------------------------------------------------------------------


async def test_what_was_put_is_got_and_cleared(store: Store) -> None:
    one, other = entry("one", warnings=("w",), model_told="m"), entry("\0\n ü")
    await store.put("1", one, MIB)
    await store.put("2", other, MIB)
    assert (await store.get("1"), await store.get("2"), await store.get("3")) == (one, other, None)
    held = await store.held()
    assert held.entries == 2 and held.bytes > len(one.body) + len(other.body)
    await store.clear()
    assert await store.get("1") is None and (await store.held()).entries == 0 and store.trouble == ""


async def test_what_has_had_its_time_is_gone(store: Store) -> None:
    await store.put("old", entry(until=time.time() - 1), MIB)
    await store.put("new", entry(), MIB)
    assert (await store.held()).entries == 1


async def test_one_service_asks_for_all(true_redis: str) -> None:
    one, other = Redis(true_redis), Redis(true_redis)
    assert [await one.claim("c", "a"), await other.claim("c", "b")] == [True, False]
    await other.release("c", "b")
    assert not await other.claim("c", "b"), "what is another's is left alone"
    await one.release("c", "a")
    assert await other.claim("c", "b")
    await one.close()
    await other.close()


def test_the_config_says_where(tmp_path: Path, redis: str) -> None:
    file = tmp_path / "cache.sqlite"
    assert isinstance(cache.of(plan_of(), file), Database)
    assert isinstance(cache.of(plan_of(), None), Nowhere)
    assert isinstance(cache.of(plan_of("llm_providers: [{model: openai/a}]\nstate: {url: memory}"), file), Nowhere)
    assert isinstance(
        cache.of(plan_of(f"llm_providers: [{{model: openai/a}}]\nstate: {{url: '{redis}'}}"), file), Redis
    )


# -- the file ------------------------------------------------------------------------------------------------------


async def test_there_is_no_file_before_there_is_an_answer_and_it_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "cache.sqlite"
    store = Database(file)
    assert await store.get("k") is None and (await store.held()).entries == 0
    await store.clear()
    assert not file.exists()
    await store.put("k", entry(), MIB)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)} == {0o600}
    await store.close()


async def test_it_is_bounded_and_what_was_not_asked_for_goes_first(tmp_path: Path) -> None:
    file = tmp_path / "cache.sqlite"
    store = Database(file)
    for number in range(60):
        await store.put(str(number), entry("x" * 50_000), MIB)
        assert await store.get("0") is not None, number
    held = await store.held()
    assert held.bytes <= MIB and 10 <= held.entries <= 20
    assert await store.get("1") is None and await store.get("59") is not None
    await store.close()
    assert file.stat().st_size <= 1.2 * MIB


async def test_what_is_cleared_is_nowhere_in_the_files(tmp_path: Path) -> None:
    store = Database(tmp_path / "cache.sqlite")
    for number in range(50):
        await store.put(str(number), entry("hunter2 " * 100), MIB)
    assert b"hunter2" in b"".join(path.read_bytes() for path in files(tmp_path))
    await store.clear()
    assert b"hunter2" not in b"".join(path.read_bytes() for path in files(tmp_path))
    await store.close()


async def test_a_file_that_is_none_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "cache.sqlite"
    file.write_bytes(b"no database at all" * 1000)
    store = Database(file)
    await store.put("k", entry(), MIB)
    assert await store.get("k") is not None and store.trouble == ""
    await store.close()


async def test_a_file_that_cannot_be_written_is_told_once_and_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "cache.sqlite"
    file.mkdir()
    front = Cache(Database(file))
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            assert await front.look(look(str(number), str(number))) is None
            front.keep(str(number), entry())
            assert await front.look(look(str(number), "again")) is not None, "memory has it"
        await until(lambda: front.store.trouble)
        file.rmdir()
        front.keep("after", entry())
        await until(lambda: not front.store.trouble)
    await front.close()
    assert [str(one.msg)[:20] for one in caplog.records] == ["answers are not kept", "answers are kept aga"]


async def test_a_file_that_somebody_took_away_is_begun_anew(tmp_path: Path) -> None:
    store = Database(tmp_path / "cache.sqlite")
    await store.put("k", entry(), MIB)
    for path in files(tmp_path):
        path.unlink()
    assert await store.get("k") is None
    await store.put("k", entry(), MIB)
    assert await store.get("k") is not None
    await store.close()


async def test_a_file_that_another_has_locked_is_waited_for_by_nobody_else(tmp_path: Path) -> None:
    store = Database(tmp_path / "cache.sqlite")
    await store.put("k", entry(), MIB)
    lock = sqlite3.connect(tmp_path / "cache.sqlite")
    lock.execute("begin exclusive")
    front = Cache(store)
    front.keep("m", entry())
    assert await front.look(look("m")) is not None, "what memory holds needs no file"
    lock.close()
    await front.close()


async def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_DISK_PATIENCE", 0.1)
    store, wake = Database(tmp_path / "cache.sqlite"), threading.Event()
    stuck = asyncio.create_task(store._do(wake.wait, False))
    await asyncio.sleep(0)
    front = Cache(store)
    assert await front.look(look()) is None and store.trouble
    wake.set()
    await stuck
    await front.close()


async def test_redis_that_is_away_is_told_once_and_asked_no_more_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    front = Cache(Redis(f"redis://:hunter2@127.0.0.1:{free_port()}/0"))
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            assert await front.look(look(str(number), str(number))) is None
            front.ended(ended(str(number)))
    await front.close()
    assert len(caplog.records) == 1 and "hunter2" not in caplog.text + front.store.trouble


# -- memory --------------------------------------------------------------------------------------------------------


async def test_memory_is_bounded_too() -> None:
    front = Cache(Nowhere(), MIB)
    for number in range(60):
        front.keep(str(number), entry("x" * 50_000))
    held = await front.held()
    assert held.bytes <= MIB and 15 <= held.entries <= 20
    assert await front.look(look("59")) is not None and await front.look(look("0", "two")) is None


async def test_how_long_it_holds_is_for_each_request_to_say() -> None:
    front = Cache(Nowhere())
    front.keep("k", entry(at=time.time() - 30))
    assert await front.look(look(ttl=60)) is not None
    assert await front.look(look(ttl=20)) is None


# -- one asks for all ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def crowd(front: Cache, size: int = 10) -> AsyncIterator[list["asyncio.Task[Entry | None]"]]:
    """One asks, and so many wait for him."""
    assert await front.look(look(exchange="leader")) is None
    tasks = [asyncio.create_task(front.look(look(exchange=f"w{number}"))) for number in range(size)]
    await until(lambda: front.waiting == size)
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await front.close()


async def test_all_get_what_the_first_gets() -> None:
    async with crowd(front := Cache(Nowhere())) as tasks:
        front.keep("k", kept := entry())
        front.ended(ended("leader"))
        assert await asyncio.gather(*tasks) == [kept] * 10
        assert front._flights == {} == front._leads


@pytest.mark.parametrize("status", [200, 503, 499])
async def test_when_there_is_nothing_for_them_they_are_told(status: int) -> None:
    """What was no good to be kept is asked for by each; after a failure, or where he left, one asks for all again."""
    async with crowd(front := Cache(Nowhere())) as tasks:
        front.ended(ended("leader", status))
        gone = 10 if status == 200 else 1
        await until(lambda: sum(task.done() for task in tasks) == gone and front.waiting == 10 - gone)
        assert [task.result() for task in tasks if task.done()] == [None] * gone


async def test_after_two_failures_each_asks_for_himself() -> None:
    async with crowd(front := Cache(Nowhere())) as tasks:
        front.ended(ended("leader", 503))
        await until(lambda: front._leads)
        front.ended(ended(next(iter(front._leads)), 503))
        assert await asyncio.gather(*tasks) == [None] * 10 and front._flights == {}


async def test_who_leaves_makes_room_again_and_again() -> None:
    """Each time one asks for all that are left."""
    async with crowd(front := Cache(Nowhere())) as tasks:
        for left in range(10, 0, -1):
            front.ended(ended(next(iter(front._leads)), 499))
            await until(lambda left=left: front.waiting == left - 1 and front._leads)
        assert await asyncio.gather(*tasks) == [None] * 10


async def test_patience_has_an_end() -> None:
    front = Cache(Nowhere())
    assert await front.look(look(exchange="leader")) is None
    told: list[float] = []

    async def on_wait(seconds: float) -> None:
        told.append(seconds)

    assert await front.look(look(exchange="w", patience=0.1), on_wait=on_wait) is None
    assert told == [0.1] and front.waiting == 0 and set(front._leads) == {"leader"}
    front.keep("k", entry())
    assert front._flights == {}, "and what he gets by himself is for all who wait"


async def test_who_is_cancelled_while_he_looks_leads_nobody() -> None:
    class Slow(Nowhere):
        async def get(self, key: str) -> Entry | None:
            await asyncio.sleep(3600)
            return None

    front = Cache(Slow())
    task = asyncio.create_task(front.look(look()))
    await until(lambda: front._leads)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert front._flights == {} == front._leads


async def test_one_look_into_the_store_is_enough_for_all(tmp_path: Path) -> None:
    class Counting(Nowhere):
        asked = 0

        async def get(self, key: str) -> Entry | None:
            self.asked += 1
            await asyncio.sleep(0.05)
            return found

    found = entry()
    front = Cache(store := Counting())
    assert await asyncio.gather(*(front.look(look(exchange=str(n))) for n in range(100))) == [found] * 100
    assert store.asked == 1


async def test_who_wants_it_anew_neither_looks_nor_waits() -> None:
    front = Cache(Nowhere())
    front.keep("k", entry())
    assert await front.look(look(exchange="a", fresh=True)) is None
    assert await front.look(look(exchange="b", fresh=True)) is None
    waiting = asyncio.create_task(front.look(look(exchange="c")))
    await until(lambda: front.waiting == 1)
    front.keep("k", new := entry("new"))
    assert await waiting == new


async def test_what_another_service_is_asking_is_waited_for(true_redis: str) -> None:
    one, other = Cache(Redis(true_redis)), Cache(Redis(true_redis))
    await one.clear()
    assert await one.look(look(exchange="a")) is None
    waiting = asyncio.create_task(other.look(look(exchange="b")))
    await until(lambda: other._leads)
    one.keep("k", kept := entry())
    one.ended(ended("a"))
    assert await waiting == kept
    assert await one.look(look(exchange="c")) == kept, "nothing stands before Redis"
    await asyncio.gather(one.close(), other.close())


@pytest.mark.parametrize(
    "end", [lambda one: one.ended(ended("a", 503)), lambda one: one.give_up("a")], ids=["failed", "left"]
)
async def test_when_the_other_service_got_nothing_this_one_asks(true_redis: str, end: Callable[[Cache], None]) -> None:
    one, other = Cache(Redis(true_redis)), Cache(Redis(true_redis))
    await one.clear()
    assert await one.look(look(exchange="a")) is None
    waiting = asyncio.create_task(other.look(look(exchange="b")))
    await until(lambda: other._leads)
    end(one)
    assert await waiting is None and set(other._leads) == {"b"}
    other.ended(ended("b"))
    await asyncio.gather(one.close(), other.close())


async def test_who_asks_alone_sees_what_there_is_and_neither_waits_nor_is_waited_for() -> None:
    answers = Cache(Nowhere())
    alone = [replace(look(exchange=name), alone=True) for name in ("one", "two")]
    assert [await answers.look(asked) for asked in alone] == [None, None]
    assert await answers.look(look(exchange="three")) is None, "who may be waited for leads"
    assert await answers.look(alone[0]) is None, "and is not waited for by who asks alone"
    answers.keep("k", entry("now"))
    found = await answers.look(alone[1])
    assert found is not None and found.body == b"now"
    assert await answers.look(replace(look(fresh=True), alone=True)) is None
