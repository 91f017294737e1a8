"""What was spent outlives the service, and is the same for all who share it: SQLite, a real PostgreSQL, and Redis."""

import asyncio
import gc
import itertools
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dialogue import plan_of
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from postgres import binaries, postgres
from redises import fake_redis, installed, real_redis
from stack import free_port

from router_service.budgets import Asker, Spending, account, applying, standings, unread
from router_service.config import Budget
from router_service.conversation import Usage
from router_service.shell import purse
from router_service.shell.purse import Database, Nowhere, Purse, Redis, Shared

DAY = "dollars 2023-11-14"
LATER = time.time() + 86_400
STORES = ["sqlite", "postgresql", "fake redis", "redis"]

Open = Callable[[], Purse]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    with fake_redis() as fake:
        yield {"fake redis": fake}


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres() as url:
        yield url


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    if not installed():
        pytest.skip("Redis is not installed")
    with real_redis(free_port()) as url:
        yield url


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, servers: dict[str, str], tmp_path: Path) -> Open:
    """One more service's purse."""
    match request.param:
        case "sqlite":
            return lambda: Database("sqlite", tmp_path / "ledger.sqlite")
        case "postgresql":
            url = request.getfixturevalue("database")
            return lambda: Database(url, None)
        case "redis":
            url = request.getfixturevalue("redis")
            return lambda: Redis(url)
    return lambda: Redis(servers["fake redis"])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits a twentieth of a second; what is tested here is not how busy this machine is."""
    monkeypatch.setattr(purse, "_PATIENCE", 10.0)
    monkeypatch.setattr(purse, "_WITHIN", 30.0)


class Service:
    """One that spends, and its purse."""

    def __init__(self, store: Purse, name: str) -> None:
        self.store, self.spending = store, Spending(name)

    def spend(self, amount: float, key: str) -> None:
        self.spending.add(key, amount, LATER)

    async def keep(self, *keys: str) -> None:
        await self.store.keep(self.spending, keys)
        assert self.store.trouble == ""

    async def close(self) -> None:
        await self.store.close()


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """Of this test alone, for the servers are shared."""
    return f"dollars 2023-11-14 {request.node.name}"


@pytest.mark.parametrize(
    ("config", "file", "kind"),
    [
        ("", "x", Database),
        ("", None, Nowhere),
        ("ledger: {url: none}", "x", Nowhere),
        ("ledger: {url: 'postgresql://h/d'}", None, Database),
        ("state: {url: 'redis://h'}", "x", Redis),
        ("state: {url: 'redis://h'}\nledger: {url: none}", None, Redis),
    ],
)
def test_the_config_says_where(config: str, file: str | None, kind: type) -> None:
    plan = plan_of(f"llm_providers: [{{model: openai/gpt-4o}}]\n{config}")
    assert type(purse.of(plan, Path(file) if file else None)) is kind


async def test_a_restart_forgets_nothing(opened: Open, key: str) -> None:
    before = Service(opened(), "a")
    before.spend(1.5, key)
    await before.keep(key)
    before.spend(0.25, key)
    await before.keep(key)
    assert before.spending.spent(key) == 1.75 and not before.spending.changed
    await before.close()
    after = Service(opened(), "b")
    await after.keep(key)
    assert after.spending.spent(key) == 1.75
    after.spend(1.0, key)
    await after.keep(key)
    assert after.spending.spent(key) == 2.75
    await after.close()


async def test_two_who_spend_at_once_lose_nothing_and_see_the_same(opened: Open, key: str) -> None:
    services = [Service(opened(), name) for name in ("a", "b")]

    async def work(service: Service) -> None:
        for _ in range(40):
            service.spend(1.0, key)
            await service.keep(key)

    await asyncio.gather(*map(work, services))
    for service in services:
        await service.keep(key)
        assert service.spending.spent(key) == 80.0
    await asyncio.gather(*(service.close() for service in services))


async def test_who_tells_what_a_session_has_spent_learns_what_others_have(opened: Open, key: str) -> None:
    services = [Service(opened(), name) for name in ("a", "b")]
    for service in services:
        service.spend(1.0, key)
        await service.keep()
    assert [service.spending.spent(key) for service in services] == [1.0, 2.0]
    await asyncio.gather(*(service.close() for service in services))


async def test_what_is_spent_while_it_is_written_is_not_lost(opened: Open, key: str) -> None:
    service = Service(opened(), "a")
    service.spend(1.0, key)
    writing = asyncio.create_task(service.keep(key))
    await asyncio.sleep(0)
    service.spend(2.0, key)
    await writing
    await service.keep(key)
    other = Service(opened(), "b")
    await other.keep(key)
    assert other.spending.spent(key) == 3.0
    await asyncio.gather(service.close(), other.close())


async def test_a_service_that_ends_while_it_tells_tells_it_once_more(opened: Open, key: str) -> None:
    service = Service(opened(), "a")
    service.spend(1.0, key)
    telling = asyncio.create_task(service.keep(key))
    await asyncio.sleep(0)
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    await service.keep(key)
    other = Service(opened(), "b")
    await other.keep(key)
    assert other.spending.spent(key) == 1.0
    await asyncio.gather(service.close(), other.close())


async def test_who_closes_it_leaves_no_connection_in_the_midst_of_its_work(opened: Open, key: str) -> None:
    service = Service(opened(), "a")
    service.spend(1.0, key)
    telling = asyncio.create_task(service.keep(key))
    await asyncio.sleep(0.001)
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    await service.close()
    await asyncio.sleep(0.1)
    gc.collect()  # which says so of one that is still open; warnings are errors


async def test_who_is_in_a_hurry_does_not_wait_for_another(opened: Open, key: str) -> None:
    service = Service(opened(), "a")
    service.spend(1.0, key)
    await service.store.hurry(service.spending)
    assert not service.spending.changed
    telling = asyncio.create_task(service.keep(key))
    await asyncio.sleep(0)
    service.spend(1.0, key)
    await service.store.hurry(service.spending)
    assert service.spending.changed == {key}, "the next second tells it"
    await telling
    await service.close()


async def test_a_request_may_ask_for_what_others_have_just_spent(opened: Open, key: str) -> None:
    one, other = Service(opened(), "a"), Service(opened(), "b")
    await other.keep(key)
    one.spend(4.0, key)
    await one.keep()
    await other.store.recall(other.spending, (key, "nobody's"))
    assert other.spending.spent(key) == 4.0 and other.spending.others["nobody's"] == 0.0
    await asyncio.gather(one.close(), other.close())


@pytest.mark.parametrize("opened", ["postgresql", "fake redis", "redis"], indirect=True)
async def test_a_session_that_two_serve_by_turns_is_spent_once(opened: Open, key: str) -> None:
    """They read before it is decided at their first turns, and near the end."""
    budgets = (Budget("s", 10, "tokens", "session", "block"),)
    one, other = Service(opened(), "a"), Service(opened(), "b")
    now, asked = time.time(), []
    for turn, service in zip(range(30), itertools.cycle((one, other)), strict=False):
        await service.keep()
        asker = Asker("", key)
        if keys := unread(budgets, service.spending, asker, (), now):
            asked.append(turn)
            await service.store.recall(service.spending, keys)
        if applying(standings(budgets, service.spending, asker, now), "block"):
            break
        account(service.spending, budgets, asker, cost=None, usage=Usage(output=1), at=now)
        await service.keep()
    assert (turn, asked) == (10, [0, 1, 9, 10])
    await asyncio.gather(one.close(), other.close())


@pytest.mark.parametrize("opened", ["sqlite", "fake redis"], indirect=True)
@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["spend", "spend", "keep", "again", "restart"])), max_size=25
    )
)
def test_however_it_happens_it_adds_up(opened: Open, key: str, steps: list[tuple[str, str]]) -> None:
    """Three who spend, are written, are written a second time as if nobody knew, and are started anew."""
    example = f"{key} {time.monotonic_ns()}"

    async def story() -> None:
        names = iter(range(1000))
        services = {name: Service(opened(), f"{name}{next(names)}") for name in "abc"}
        total = 0
        for name, step in steps:
            service = services[name]
            if step == "spend":
                service.spend(1, example)
                total += 1
            elif step == "again":
                await service.keep(example)
                service.spending.changed |= set(service.spending.own)
                await service.keep(example)
            elif step == "restart":
                await service.keep(example)
                await service.close()
                services[name] = Service(opened(), f"{name}{next(names)}")
            else:
                await service.keep(example)
        for service in services.values():
            await service.keep(example)
        for service in services.values():
            await service.keep(example)
            assert service.spending.spent(example) == total
            await service.close()

    asyncio.run(story())


async def test_a_turned_page_takes_nothing_away(opened: Open, key: str) -> None:
    """What is counted is bounded in memory; what is let go of comes back from the store."""
    service = Service(opened(), "a")
    service.spending = Spending("a", limit=4)
    keys = [f"{key} {number}" for number in range(8)]
    for number, one in enumerate(keys):
        service.spending.add(one, 1.0, LATER + number)
    await service.keep(*keys)
    assert len({*service.spending.own, *service.spending.others}) == 2
    for one in keys:
        service.spend(1.0, one)
    await service.keep(*keys)
    other = Service(opened(), "b")
    await other.keep(*keys)
    assert [other.spending.spent(one) for one in keys] == [2.0] * 8
    await asyncio.gather(service.close(), other.close())


# -- trouble -------------------------------------------------------------------------------------------------------


async def test_a_database_that_is_locked_is_told_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purse, "_WITHIN", 2.0)
    file = tmp_path / "ledger.sqlite"
    service = Service(Database("sqlite", file), "a")
    service.spend(1.0, key)
    await service.keep(key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(file)) as other:
        other.execute("begin exclusive")
        for _ in range(2):
            service.spend(1.0, key)
            await service.store.keep(service.spending, (key,))
            assert "each service counts its own meanwhile" in service.store.trouble
        await service.store.recall(service.spending, (key,))
        assert service.spending.spent(key) == 3.0 and service.spending.changed == {key}
    await service.keep(key)
    assert len(caplog.messages) == 2 and "is told what was spent again" in caplog.messages[-1]
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("select sum(spent) from budgets").fetchall() == [(3.0,)]
    await service.close()


async def test_who_reads_does_not_wait_for_who_writes(tmp_path: Path, key: str) -> None:
    """A session's first request after a restart, while the ledger is written."""
    file = tmp_path / "ledger.sqlite"
    before, after = Service(Database("sqlite", file), "a"), Service(Database("sqlite", file), "b")
    before.spend(4.0, key)
    await before.keep()
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("begin immediate")
        await after.store.recall(after.spending, (key,))
        assert after.spending.spent(key) == 4.0
        await after.keep(key, "another")
    await asyncio.gather(before.close(), after.close())


async def test_a_file_of_its_own_is_made_as_the_ledger_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    service = Service(Database("sqlite", file), "a")
    await service.store.recall(service.spending, (DAY,))
    assert service.store.trouble == "" and stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("pragma auto_vacuum").fetchone() == (2,)
    await service.close()


async def test_a_database_that_is_well_again_is_found_so_with_nothing_to_tell(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where budgets are of sessions alone, nothing is asked for each second."""
    monkeypatch.setattr(purse, "_WITHIN", 1.0)
    file = tmp_path / "ledger.sqlite"
    service = Service(Database("sqlite", file), "a")
    with closing(sqlite3.connect(file)) as other:
        other.execute("begin exclusive")
        await service.store.recall(service.spending, (key,))
        await service.store.keep(service.spending)
        assert service.store.trouble
    await service.keep()
    await service.close()


async def test_a_redis_that_is_back_is_found_so_with_nothing_to_tell(key: str) -> None:
    if not installed():
        pytest.skip("Redis is not installed")
    port = free_port()
    service = Service(Redis(f"redis://127.0.0.1:{port}/0"), "a")
    await service.store.recall(service.spending, (key,))
    await service.store.keep(service.spending)
    assert service.store.trouble
    with real_redis(port):
        await service.keep()
        await service.store.recall(service.spending, (key,))
        assert service.spending.others == {key: 0.0}
        await service.close()


@pytest.mark.parametrize(
    "away",
    [
        lambda: Redis("redis://:hunter2@127.0.0.1:1/0"),
        lambda: Database("postgresql://archgw:hunter2@127.0.0.1:1/d", None),
        lambda: Database("sqlite", Path("/dev/null/ledger.sqlite")),
    ],
    ids=["redis", "postgresql", "sqlite"],
)
async def test_a_store_that_is_away_costs_nobody_an_answer(away: Open, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(away(), "a")
    service.spend(1.0, DAY)
    await service.store.keep(service.spending, (DAY,))
    await service.store.keep(service.spending, (DAY,))
    await service.store.recall(service.spending, (DAY,))
    assert service.spending.spent(DAY) == 1.0 and service.spending.changed == {DAY}
    assert service.store.trouble and "hunter2" not in service.store.trouble + caplog.text
    assert len(caplog.messages) == 1
    await service.close()


async def test_a_store_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purse, "_PATIENCE", 0.01)
    monkeypatch.setattr(purse, "_WITHIN", 0.01)

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    ended = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    service = Service(Redis(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"), "a")
    service.spend(1.0, DAY)
    await service.store.recall(service.spending, (DAY,))
    assert service.store.trouble == "", "once is no trouble"
    await service.store.keep(service.spending, (DAY,))
    assert "it does not answer in time" in service.store.trouble and service.spending.changed == {DAY}
    ended.set()
    await service.close()
    server.close()
    await server.wait_closed()


async def test_a_write_that_comes_too_late_takes_nothing_back(opened: Open, key: str) -> None:
    """It was given up, and then came through after the next one."""
    store = opened()
    assert isinstance(store, Shared)
    for spent in (0.1 + 0.2, 0.1):
        await store._tell([{"key": key, "writer": "a.0", "spent": spent, "until": LATER}], (), "a.0")
    assert await store._ask((key,), "b.0") == {key: 0.1 + 0.2}
    await store.close()


async def test_what_nobody_asks_for_any_more_is_let_go(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    service = Service(Database("sqlite", file), "a")
    service.spending.add("old", 1.0, time.time() - 1)
    service.spend(1.0, DAY)
    await service.keep()
    again = Service(Database("sqlite", file), "b")
    again.spend(1.0, DAY)
    await again.keep()
    with closing(sqlite3.connect(file)) as other:
        assert set(other.execute("select key, writer from budgets")) == {(DAY, "a.0"), (DAY, "b.0")}
    await asyncio.gather(service.close(), again.close())


async def test_without_a_store_it_is_kept_in_memory() -> None:
    service = Service(Nowhere(), "a")
    service.spend(1.0, DAY)
    await service.keep(DAY)
    assert service.spending.spent(DAY) == 1.0 and not service.spending.changed and not service.spending.stored
