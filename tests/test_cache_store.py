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
from types import SimpleNamespace
from typing import Any

import pytest
from dialogue import plan_of
from redises import fake_redis, installed, real_redis
from stack import free_port, until

from router_service.caching import Entry, Keeping, Terms
from router_service.config import MIB
from router_service.conversation import Usage
from router_service.effects import Look
from router_service.outcome import Outcome
from router_service.shell import cache, cache_file, cache_redis, cache_stores
from router_service.shell.cache import Cache
from router_service.shell.cache_file import Database
from router_service.shell.cache_redis import Redis
from router_service.shell.cache_stores import Nowhere, Store

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
    memory, shared = (
        plan_of(f"llm_providers: [{{model: openai/a}}]\nstate: {{url: '{u}'}}") for u in ("memory", redis)
    )
    for plan, path, kind in ((plan_of(), file, Database), (plan_of(), None, Nowhere), (memory, file, Nowhere)):
        assert isinstance(cache.of(plan, path).store, kind)
    assert isinstance(cache.of(shared, file).store, Redis)


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
    monkeypatch.setattr(cache_file, "_PATIENCE", 0.1)
    store, wake = Database(tmp_path / "cache.sqlite"), threading.Event()
    stuck = asyncio.create_task(store._do(wake.wait, False))
    await asyncio.sleep(0)
    front = Cache(store)
    assert await front.look(look()) is None and store.trouble
    monkeypatch.setattr(cache_file, "_PATIENCE", 3600.0)
    assert await front.look(look("other", "two")) is None, "and then it is not asked for a while"
    wake.set()
    await stuck
    await front.close()


async def test_what_memory_answers_is_asked_for_on_the_disk_too(tmp_path: Path) -> None:
    store = Database(tmp_path / "cache.sqlite")
    front = Cache(store, MIB)
    for number in range(60):
        front.keep(str(number), entry("x" * 50_000))
        assert await front.look(look("0", f"{number}")) is not None
        await until(lambda: not front._tasks)
    assert await store.get("0") is not None and await store.get("1") is None
    await front.close()


def words_in(folder: Path) -> bool:
    return b"hunter2" in b"".join(path.read_bytes() for path in files(folder))


async def test_what_has_had_its_time_is_overwritten(tmp_path: Path) -> None:
    front = Cache(store := Database(tmp_path / "cache.sqlite"))
    for number in range(70):
        front.keep(str(number), entry("hunter2", until=time.time() - 1))
        await until(lambda: not front._tasks)
    await store.put("good", entry(), MIB)
    assert words_in(tmp_path) and front._memory
    await front.sweep()
    assert not words_in(tmp_path) and not front._memory and front._bytes == 0
    assert await store.get("good") is not None and store.trouble == ""
    await front.close()


async def test_the_file_of_another_store_is_swept_and_cleared_too(tmp_path: Path, redis: str) -> None:
    """So it is when answers go to Redis by now."""
    before = Database(tmp_path / "cache.sqlite")
    await before.put("old", entry("hunter2 old", until=time.time() - 1), MIB)
    await before.put("good", entry("hunter2 good"), MIB)
    await before.close()
    shared = plan_of(f"llm_providers: [{{model: openai/a}}]\nstate: {{url: '{redis}'}}")
    front = cache.of(shared, tmp_path / "cache.sqlite")
    await front.store.clear()
    tending = asyncio.create_task(front.tend())
    await until(lambda: b"hunter2 old" not in b"".join(path.read_bytes() for path in files(tmp_path)))
    assert words_in(tmp_path)
    tending.cancel()
    assert (await front.clear()).entries == 1 and not words_in(tmp_path) and front.trouble == ""
    await front.close()


async def test_redis_that_is_away_is_told_once_and_asked_no_more_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    front = Cache(Redis(f"redis://:hunter2@127.0.0.1:{free_port()}/0"))
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            assert await front.look(look(str(number), str(number))) is None
            front.ended(ended(str(number)))
    await front.close()
    assert len(caplog.records) == 1 and "hunter2" not in caplog.text + front.store.trouble


async def test_one_word_without_an_answer_is_the_fault_of_redis_only_where_no_other_has_one(redis: str) -> None:
    never = asyncio.Event()
    store = Redis(redis)
    slow = asyncio.create_task(store._do(never.wait, 0.5))
    await asyncio.sleep(0)
    await store.put("k", entry(), MIB)
    assert await slow is None and store.trouble == ""
    await store.close()


async def test_who_answers_again_is_asked_again_at_once(redis: str) -> None:
    """Else the next would wait for another service, of which nobody has said that it asks."""
    never, soon = asyncio.Event(), asyncio.Event()
    front = Cache(store := Redis(redis))
    await front.clear()
    later = asyncio.create_task(store._do(soon.wait, 30))
    assert await store._do(never.wait, 0.05) is None and store.trouble
    assert await store.claim("k", "a"), "each for himself"
    soon.set()
    assert await later and store.trouble == ""
    assert await front.look(look(exchange="a")) is None and front._leads["a"].claimed
    await store.put("k", kept := entry(), MIB)
    assert await store.get("k") == kept
    front.ended(ended("a"))
    await front.close()


async def test_who_needs_one_connection_more_waits_for_it(redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_redis, "_CONNECTIONS", 2)
    store = Redis(redis)
    await store.put("k", kept := entry(), MIB)
    assert await asyncio.gather(*(store.get("k") for _ in range(40))) == [kept] * 40 and store.trouble == ""
    await store.close()


async def test_a_redis_that_is_full_can_be_read(true_redis: str) -> None:
    store = Redis(true_redis)
    await store.put("k", kept := entry(), MIB)
    await store._client.config_set("maxmemory", 1)
    try:
        await store.put("more", entry(), MIB)
        assert await store.get("k") == kept and "takes no answers" in store.trouble
        assert await store.claim("c", "a"), "each for himself"
    finally:
        await store._client.config_set("maxmemory", 0)
    await store.put("more", entry(), MIB)
    assert await store.get("more") is not None and store.trouble == ""
    await store.close()


def test_after_a_rest_one_asks_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(cache_stores, "time", SimpleNamespace(monotonic=lambda: now))
    rest = cache_stores.Rest()
    assert rest.is_over() and rest.begin(now) and not rest.is_over()
    now += cache_stores._REST
    assert [rest.is_over(), rest.is_over()] == [True, False]
    rest.end()
    assert [rest.is_over(), rest.is_over()] == [True, True]
    assert not rest.begin(now - 1) and rest.is_over(), "it has answered since"


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


class Gated(Nowhere):
    """A disk that takes its time: what is read or cleared waits for its gate."""

    def __init__(self, kept: Entry) -> None:
        self.kept: Entry | None = kept
        self.gates = {word: asyncio.Event() for word in ("get", "put", "clear")}
        self.begun: list[str] = []
        self.done: list[str] = []

    async def pass_by(self, word: str) -> None:
        self.begun.append(word)
        await self.gates[word].wait()
        self.done.append(word)

    async def get(self, key: str) -> Entry | None:
        found = self.kept
        await self.pass_by("get")
        return found

    async def put(self, key: str, entry: Entry, at_most: int) -> None:
        await self.pass_by("put")

    async def clear(self) -> None:
        await self.pass_by("clear")
        self.kept = None


async def test_what_was_kept_while_another_was_read_stays() -> None:
    front = Cache(store := Gated(entry("old")))
    first = asyncio.create_task(front.look(look(exchange="a")))
    await until(lambda: store.begun)
    assert await front.look(look(exchange="b", fresh=True)) is None
    front.keep("k", new := entry("new"))
    store.gates["get"].set()
    assert await first == new and await front.look(look(exchange="c")) == new
    front.give_up("a")


async def test_what_is_cleared_while_it_is_read_is_gone() -> None:
    front = Cache(store := Gated(entry("old")))
    first = asyncio.create_task(front.look(look(exchange="a")))
    await until(lambda: store.begun)
    store.gates["clear"].set()
    await front.clear()
    store.gates["get"].set()
    assert await first is None, "it was asked before, and is answered anew"
    front.give_up("a")
    assert await front.look(look(exchange="b")) is None


async def test_what_is_read_while_all_is_cleared_is_gone() -> None:
    front = Cache(store := Gated(entry("old")))
    clearing = asyncio.create_task(front.clear())
    await until(lambda: store.begun)
    store.gates["get"].set()
    assert await front.look(look(exchange="a")) is not None
    store.gates["clear"].set()
    await clearing
    assert await front.look(look(exchange="b")) is None and (await front.held()).entries == 0


async def test_what_is_being_written_is_cleared_too() -> None:
    front = Cache(store := Gated(entry("old")))
    store.gates["clear"].set()
    front.keep("k", entry("new"))
    clearing = asyncio.create_task(front.clear())
    await until(lambda: store.begun)
    store.gates["put"].set()
    await clearing
    assert store.done == ["put", "clear"]


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
        reads = 0

        async def get(self, key: str) -> Entry | None:
            self.reads += 1
            await asyncio.sleep(0.05)
            return found

    found = entry()
    front = Cache(store := Counting())
    assert await asyncio.gather(*(front.look(look(exchange=str(n))) for n in range(100))) == [found] * 100
    assert store.reads == 1


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


async def test_only_what_was_claimed_is_released() -> None:
    class Shared(Nowhere):
        front = False
        kept: Entry | None = None
        released: tuple[str, ...] = ()

        async def get(self, key: str) -> Entry | None:
            return self.kept

        async def release(self, key: str, exchange: str) -> None:
            self.released += (exchange,)

    front = Cache(store := Shared())
    assert await front.look(look(exchange="miss")) is None
    front.ended(ended("miss", 503))
    store.kept = entry()
    assert await front.look(look(exchange="hit")) is not None
    await until(lambda: not front._tasks)
    assert store.released == ("miss",) and not front._leads


async def test_who_asks_for_all_services_goes_on_saying_so(true_redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CLAIMED_FOR", 0.1)
    front = Cache(store := Redis(true_redis))
    await front.clear()
    tending = asyncio.create_task(front.tend())
    assert await front.look(look("long", "a")) is None
    claim = f"{cache_redis._CLAIM}long"
    await store._client.pexpire(claim, 20_000)
    async with asyncio.timeout(30):
        while await store._client.pttl(claim) <= 20_000:  # noqa: ASYNC110  # Redis tells nobody
            await asyncio.sleep(0.01)
    front.ended(ended("a"))
    await until(lambda: not front._tasks)
    assert await store._client.exists(claim) == 0
    tending.cancel()
    await front.close()


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
