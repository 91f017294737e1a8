"""The ledger: what it keeps, in SQLite and in a real PostgreSQL, and that it never costs a request anything."""

import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from postgres import binaries, postgres
from sqlalchemy import Connection, delete, insert, inspect, select, text

from router_service.bookkeeping import attempt_rows, request_row, without_words
from router_service.config import Ledger as Settings
from router_service.conversation import Usage
from router_service.outcome import AttemptOutcome, Outcome, Trace
from router_service.shell import ledger_schema
from router_service.shell.ledger import BadLedger, Ledger, engine, sign, unsign
from router_service.shell.ledger_schema import MIGRATIONS, NewerLedger, attempts, migrate, requests, signals
from router_service.shell.private import make_private

GPT, CLAUDE = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"
DAY = 86_400.0


def outcome(id: str = "r1", *, at: float | None = None, **more: object) -> Outcome:
    begun = Outcome(
        id=id,
        started=time.time() if at is None else at,
        kind="user turn",
        client="claude-cli/2",
        session="s/",
        route="coding",
        reason="coding (0.70) -> anthropic/claude-sonnet-4-5",
        model_asked="arch.main.v1",
        model_served=CLAUDE,
        status=200,
        attempts=(
            AttemptOutcome(GPT, 429, "answered 429 (too fast, said the vendor)", 0.1),
            AttemptOutcome(CLAUDE, 200, "", 1.5),
        ),
        usage=Usage(input=10, cached=5, cache_write=None, output=7, reasoning=2),
        score=0.7,
        first_content=0.4,
        duration=2.0,
        cost=0.25,
        baseline=0.5,
        trace=Trace(
            ask="the user's words",
            fits=(("coding", 0.7), ("none of them", 0.3)),
            difficulty=(("deep", 0.6),),
            seconds=0.01,
        ),
    )
    return replace(begun, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A database in which nothing is yet."""
    if request.param == "sqlite":
        yield Settings()
        return
    url = request.getfixturevalue("server")
    with opened(Settings(url), Path()) as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    yield Settings(url)


@contextmanager
def kept(settings: Settings, folder: Path, *outcomes: Outcome) -> Iterator[Connection]:
    """The database after a service has written these and ended."""
    ledger = Ledger(settings, folder / "ledger.sqlite")
    ledger.start()
    for one in outcomes:
        ledger.record(one)
    ledger.close(within=60)
    assert (ledger.tally.written, ledger.tally.lost, ledger.tally.trouble) == (len(outcomes), 0, "")
    with opened(settings, folder) as connection:
        yield connection


@contextmanager
def opened(settings: Settings, folder: Path) -> Iterator[Connection]:
    database = engine(settings.url, folder / "ledger.sqlite")
    with database.begin() as connection:
        yield connection
    database.dispose()


def test_a_request_is_a_row_and_so_is_each_try(settings: Settings, tmp_path: Path) -> None:
    with kept(settings, tmp_path, outcome()) as connection:
        (row,) = connection.execute(select(requests)).mappings()
        tries = connection.execute(select(attempts).order_by(attempts.c.number)).mappings().all()
    assert (row["id"], row["served"], row["tries"], row["failed"], row["cost"], row["baseline"]) == (
        "r1",
        CLAUDE,
        2,
        1,
        0.25,
        0.5,
    )
    assert (row["input"], row["cached"], row["cache_write"], row["output"]) == (10, 5, None, 7), "not known is not zero"
    assert (row["scores"], row["difficulty"], row["ask"]) == ('[["coding", 0.7], ["none of them", 0.3]]', "deep", None)
    assert [(one["candidate"], one["status"], one["trouble"]) for one in tries] == [
        (GPT, 429, "answered 429"),
        (CLAUDE, 200, ""),
    ]


def test_signals_are_kept_with_the_answers_that_they_are_about(settings: Settings, tmp_path: Path) -> None:
    first, second = outcome("r1"), outcome("r2", signals=(("r1", "re-ask"), ("r2", "truncation")))
    with kept(settings, tmp_path, first, second, outcome("r3", signals=(("r1", "re-ask"),))) as connection:
        found = connection.execute(select(signals.c.request, signals.c.signal).order_by(signals.c.request)).all()
    assert found == [("r1", "re-ask"), ("r2", "truncation")]


def test_what_was_asked_is_kept_only_where_the_user_wants_it(settings: Settings, tmp_path: Path) -> None:
    with kept(replace(settings, capture="asks"), tmp_path, outcome()) as connection:
        assert connection.scalar(select(requests.c.ask)) == "the user's words"


def test_no_word_of_a_request_or_of_a_vendor_is_kept() -> None:
    told = outcome(error="answered 400 (Invalid value: 'the user's words')", model_asked="m" * 999)
    rows = [request_row(told), *attempt_rows(told)]
    assert "words" not in repr(rows) and "vendor" not in repr(rows)
    assert max(len(value) for row in rows for value in row.values() if isinstance(value, str)) <= 300
    refused = outcome(kind="refused", error="messages[0].role: no role 'the user's words'")
    assert request_row(refused)["trouble"] == "refused by archgw"
    assert without_words("failed before its first content: the user's words") == "failed before its first content"
    assert without_words("reset the connection before it answered") == "reset the connection before it answered"


def test_what_no_database_would_take_is_made_to_fit(settings: Settings, tmp_path: Path) -> None:
    odd = outcome(
        "odd",
        client="c" * 2000,
        model_asked="half \ud83d, nul \0",
        session="s" * 999,
        usage=Usage(input=2**70, output=-1),
    )
    with kept(settings, tmp_path, odd) as connection:
        (row,) = connection.execute(select(requests)).mappings()
    assert (len(row["client"]), len(row["session"]), row["asked"]) == (200, 200, "half ?, nul ")
    assert (row["input"], row["output"]) == (None, None)


def test_a_row_that_can_never_be_written_costs_itself_alone(settings: Settings, tmp_path: Path) -> None:
    ledger = Ledger(settings, tmp_path / "ledger.sqlite")
    for one in (outcome("a"), outcome("b", score=object()), outcome("c")):
        ledger.record(one)
    ledger.start()
    ledger.close(30)
    assert (ledger.tally.written, ledger.tally.lost, ledger.tally.trouble) == (2, 1, "")
    with opened(settings, tmp_path) as connection:
        assert set(connection.scalars(select(requests.c.id))) == {"a", "c"}


def test_a_request_that_is_recorded_twice_is_one_row(settings: Settings, tmp_path: Path) -> None:
    with kept(settings, tmp_path, outcome(), outcome()) as connection:
        assert len(connection.execute(select(requests)).all()) == 1


def test_what_is_older_than_wanted_is_let_go(settings: Settings, tmp_path: Path) -> None:
    old, new = outcome("old", at=time.time() - 40 * DAY), outcome("new")
    with kept(settings, tmp_path, old, new):
        pass
    with kept(replace(settings, keep=30 * DAY), tmp_path, outcome("newer")) as connection:
        assert set(connection.scalars(select(requests.c.id))) == {"new", "newer"}
        assert set(connection.scalars(select(attempts.c.request))) == {"new", "newer"}


def test_what_is_more_than_wanted_is_let_go_the_oldest_first(tmp_path: Path) -> None:
    many = [outcome(f"r{number:05}", at=1e9 + number) for number in range(3000)]
    settings = Settings(at_most=400_000, keep=1e9)
    with kept(settings, tmp_path, *many):
        pass
    with kept(settings, tmp_path, outcome("last")) as connection:
        left = sorted(connection.scalars(select(requests.c.id)))
    assert 0 < len(left) < 3000 and left[-1] == "r02999", "the newest stay"


def test_two_services_write_at_once(settings: Settings, tmp_path: Path) -> None:
    both = [Ledger(settings, tmp_path / "ledger.sqlite") for _ in range(2)]

    def work(number: int) -> None:
        both[number].start()
        for one in range(300):
            both[number].record(outcome(f"{number}-{one}"))
        both[number].close(30)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened(settings, tmp_path) as connection:
        assert len(connection.execute(select(requests.c.id)).all()) == 600


def test_an_older_ledger_keeps_what_it_has_and_takes_what_is_new(settings: Settings, tmp_path: Path) -> None:
    with kept(settings, tmp_path, outcome("old")) as connection:
        connection.execute(text("drop index requests_sums"))
        connection.execute(text("drop index requests_hits"))
        connection.execute(text("alter table requests drop column reason"))
        connection.execute(text("alter table requests drop column cache"))
        for name in ("budgets", "vectors", "left_out"):
            connection.execute(text(f"drop table {name}"))
        connection.execute(delete(ledger_schema._version).where(ledger_schema._version.c.number > 1))
    with kept(settings, tmp_path, outcome("new")) as connection:
        rows = connection.execute(select(requests.c.id, requests.c.reason).order_by(requests.c.id)).all()
        assert rows == [("new", "coding (0.70) -> anthropic/claude-sonnet-4-5"), ("old", "")]
        done = set(connection.scalars(select(ledger_schema._version.c.number)))
        assert done == set(range(1, len(MIGRATIONS) + 1))
        assert {"budgets", "vectors", "left_out"} <= set(inspect(connection).get_table_names())
        indexes = {one["name"] for one in inspect(connection).get_indexes("requests")}
        assert {"requests_sums", "requests_hits"} <= indexes
        assert connection.execute(select(requests.c.cache)).scalars().all() == ["", ""]


def test_a_ledger_whose_third_step_was_another_takes_the_one_it_has_not(settings: Settings, tmp_path: Path) -> None:
    """For a few days two lines of work each had a third step of its own."""
    with kept(settings, tmp_path, outcome("old")) as connection:
        connection.execute(text("drop table budgets"))
        connection.execute(delete(ledger_schema._version).where(ledger_schema._version.c.number > 3))
    with kept(settings, tmp_path, outcome("new")) as connection:
        assert inspect(connection).has_table("budgets")


def test_what_was_spent_before_there_were_sums_is_summed_up(settings: Settings, tmp_path: Path) -> None:
    with kept(settings, tmp_path, outcome("old")) as connection:
        rows = [("day", "a", 1.5, 10.0), ("day", "b", 2.0, 20.0), ("month", "a", 4.0, 30.0)]
        told = [dict(zip(("key", "writer", "spent", "until"), row, strict=True)) for row in rows]
        connection.execute(ledger_schema.budgets.insert(), told)
        connection.execute(text("drop table budget_sums"))
        connection.execute(delete(ledger_schema._version).where(ledger_schema._version.c.number > 7))
    with kept(settings, tmp_path, outcome("new")) as connection:
        found = connection.execute(select(ledger_schema.budget_sums).order_by("key")).all()
        assert [tuple(row) for row in found] == [("day", 3.5, 20.0), ("month", 4.0, 30.0)]


def test_who_cannot_take_a_request_has_not_failed(settings: Settings, tmp_path: Path) -> None:
    tries = (AttemptOutcome(GPT, 400, "answered 400 (too long)", 0.1), AttemptOutcome(CLAUDE, 200, "", 1.5))
    with kept(settings, tmp_path, outcome(attempts=tries)) as connection:
        assert connection.execute(select(requests.c.tries, requests.c.failed)).all() == [(2, 0)]


def test_thumbs_replace_each_other(settings: Settings, tmp_path: Path) -> None:
    with kept(settings, tmp_path, outcome("r1")) as connection:
        assert not sign(connection, "nobody's", "good")
        for thumb in ("good", "bad", "bad"):
            assert sign(connection, "r1", thumb)
        assert sign(connection, "r1", "re-ask", told="within a minute")
        found = connection.execute(select(signals.c.signal, signals.c.told).order_by(signals.c.signal)).all()
        assert found == [("bad", None), ("re-ask", "within a minute")]


def test_a_thumb_can_be_taken_back(settings: Settings, tmp_path: Path) -> None:
    with kept(settings, tmp_path, outcome("r1"), outcome("r2")) as connection:
        assert not unsign(connection, "nobody's", "good")
        assert unsign(connection, "r1", "good"), "nothing is there to be taken back"
        for request in ("r1", "r2"):
            sign(connection, request, "bad")
            sign(connection, request, "re-ask")
        assert unsign(connection, "r1", "good"), "another thumb stays"
        assert len(connection.execute(select(signals)).all()) == 4
        assert unsign(connection, "r1", "bad")
        found = connection.execute(select(signals.c.request, signals.c.signal).order_by(signals.c.request)).all()
        assert sorted(map(tuple, found)) == [("r1", "re-ask"), ("r2", "bad"), ("r2", "re-ask")]


def test_a_ledger_of_a_newer_archgw_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    with kept(settings, tmp_path, outcome()) as connection:
        connection.execute(insert(ledger_schema._version).values(number=99))
    with opened(settings, tmp_path) as connection, pytest.raises(NewerLedger, match="upgrade archgw"):
        migrate(connection)


def test_a_locked_database_costs_nothing_and_is_written_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with kept(Settings(), tmp_path, outcome()):
        pass
    holder = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    holder.execute("begin exclusive")
    ledger = Ledger(Settings(), tmp_path / "ledger.sqlite")
    ledger.start()
    with caplog.at_level(logging.WARNING, "archgw.ledger"):
        ledger.record(outcome("while it was locked"))
        until(lambda: "locked" in ledger.tally.trouble)
        holder.execute("rollback")
        holder.close()
        until(lambda: ledger.tally.written == 1)
    ledger.close()
    assert ledger.tally.trouble == "" and ledger.tally.lost == 0
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "the ledger cannot be written (OperationalError: database is locked)",
        "the ledger is written again",
    ]


def test_a_folder_that_cannot_be_written_loses_rows_counts_them_and_delays_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ledger = Ledger(Settings(), tmp_path / "file" / "ledger.sqlite")
    ledger.start()
    for number in range(12_000):
        ledger.record(outcome(str(number)))
    until(lambda: ledger.tally.trouble != "")
    assert ledger.tally.lost > 0
    ledger.close(1)
    assert ledger.tally.written == 0 and "Error" in ledger.tally.trouble


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    with kept(Settings(), tmp_path, outcome()):
        pass
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("ledger.sqlite*")} == {0o600}


def test_whoever_reads_meanwhile_throws_nothing_away(tmp_path: Path) -> None:
    """Two parts of the service write into one file; a command reads it, and closes it, in a process of its own."""
    file = tmp_path / "ledger.sqlite"
    ledger = Ledger(Settings(), file)
    ledger.start()
    ledger.record(outcome("r1"))
    until(lambda: ledger.tally.written == 1)
    make_private(file)  # as the other part does before it writes
    log = file.with_name("ledger.sqlite-wal")
    before = log.stat().st_ino
    count = (
        "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('select count(*) from requests').fetchone())"
    )
    counted = [sys.executable, "-c", count, str(file)]
    assert subprocess.run(counted, capture_output=True, text=True, check=True).stdout == "1\n"
    assert log.exists() and log.stat().st_ino == before
    ledger.record(outcome("r2"))
    until(lambda: ledger.tally.written == 2)
    assert subprocess.run(counted, capture_output=True, text=True, check=True).stdout == "2\n"
    ledger.close()


def test_a_ledger_that_is_a_link_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "ledger.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="is a link"):
        make_private(tmp_path / "ledger.sqlite")


def test_postgresql_without_its_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(BadLedger, match=r"pip install 'archgw\[postgresql\]'"):
        engine("postgresql://h/db", None)


def until(true: object) -> None:
    assert callable(true)
    for _ in range(1000):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about")
