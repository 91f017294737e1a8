"""What the dashboard answers over HTTP: to whom, with which headers, and what it says of a ledger it cannot read."""

import asyncio
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from archgw.books import Books, Unreadable
from archgw.dashboard import app, gateway, keys
from archgw.dashboard.app import PANELS
from archgw.dashboard.asked import Asked, Wanted, newest
from archgw.dashboard.door import Door
from archgw.dashboard.gateway import Gateway
from archgw.dashboard.live import Follower, Live
from archgw.home import Home
from dashboards import KEY, Served, of_a_gateway, served
from sqlalchemy import select, text
from starlette.types import Message, Send
from test_ledger import CLAUDE, kept, opened, outcome, server

from router_service.config import Ledger as Settings
from router_service.shell.ledger import sign
from router_service.shell.ledger_schema import migrate, signals, version

__all__ = ["server"]  # a fixture
PATHS = [*(f"/api/panels/{name}" for name in PANELS), "/api/requests", "/api/gateway"]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ledger")
    with kept(Settings(), folder, *(outcome(f"r{n}", at=time.time() - 60 * n) for n in range(9))):
        pass
    return folder / "ledger.sqlite"


@pytest.fixture(scope="module")
def page(ledger: Path) -> Iterator[Served]:
    with served(ledger) as known:
        yield known


# -- who is let in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_with_the_key_everything_is_told(page: Served, path: str) -> None:
    status, headers, told = page.ask(path)
    assert status == 200 and told
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [*PATHS, "/api/requests/r1", "/api/events", "/api/nothing"])
@pytest.mark.parametrize("key", ["", "Bearer", "Bearer wrong", f"Basic {KEY}"])
def test_without_the_key_nothing_is_told(page: Served, path: str, key: str) -> None:
    status, _, told = page.ask(path, authorization=key)
    assert (status, list(told)) == (401, ["error", "mend"])


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_it_is_known_by_the_names_of_this_machine(page: Served, name: str) -> None:
    assert page.ask("/", host=f"{name}:{page.port}")[0] == 200
    assert page.ask("/", host=f"{name}:1")[0] == page.ask("/", host=name)[0] == 421


@pytest.mark.parametrize("path", ["/", "/assets/main.js", "/api/requests"])
def test_no_name_of_a_strangers_leads_here(page: Served, path: str) -> None:
    assert page.ask(path, host=f"rebound.example.com:{page.port}")[0] == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example.com", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}"]
)
def test_no_other_page_may_ask_or_tell(page: Served, origin: str) -> None:
    other = origin.replace("{port}", str(page.port))
    assert page.ask("/api/requests", origin=other)[0] == page.thumb("r1", "good", origin=other) == 403


def test_what_is_no_little_json_is_refused_unread(page: Served) -> None:
    assert page.thumb("r1", "good", content_type="text/plain") == 415
    assert page.thumb("r1", "good" * 400) == 415


@pytest.mark.parametrize("path", ["/", "/assets/main.js", "/assets/vendor/uPlot.min.css", "/api/requests", "/nothing"])
def test_every_answer_says_what_a_browser_may_do_with_it(page: Served, path: str) -> None:
    _, headers, _ = page.ask(path)
    policy = dict(one.strip().split(" ", 1) for one in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert "server" not in headers


def test_the_page_needs_nothing_from_elsewhere(page: Served) -> None:
    assets = Path(str(gateway.__file__)).parent / "assets"
    for file in [*assets.glob("*.js"), *assets.glob("*.html"), *assets.glob("*.css")]:
        told = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in told.replace("// ", "") or "https:" not in told, file
        assert "innerHTML" not in told and "style=" not in told and "onclick=" not in told, file


@pytest.mark.parametrize("path", ["/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/vendor/../../../app.py"])
def test_nothing_but_the_assets_is_given(page: Served, path: str) -> None:
    assert page.ask(path)[0] == 404


# -- what is told --------------------------------------------------------------------------------------------------


def test_requests_come_by_pages_and_one_by_one(page: Served) -> None:
    _, _, told = page.ask("/api/requests?preference=coding")
    assert [one["id"] for one in told] == [f"r{n}" for n in range(9)]
    before = f"{told[3]['at']!r},{told[3]['id']}"
    assert [one["id"] for one in page.ask(f"/api/requests?before={before}")[2]] == [f"r{n}" for n in range(4, 9)]
    _, _, one = page.ask("/api/requests/r3")
    assert one["request"]["reason"].startswith("coding (0.70)") and one["fits"][0] == ["coding", 0.7]


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/api/panels/nothing", 404, "there is no such panel"),
        ("/api/panels/flow?range=2y", 400, "range is one of 1h, 24h, 7d, 30d"),
        ("/api/requests?before=soon,x", 400, "before is a time and an id"),
        ("/api/requests/nobodys", 404, "the ledger does not have it any more"),
        ("/api/nothing", 404, "Not Found"),
    ],
)
def test_what_there_is_not(page: Served, path: str, status: int, told: str) -> None:
    answered, _, body = page.ask(path)
    assert (answered, body["error"]) == (status, told)


def test_thumbs_are_written_and_replace_each_other(page: Served, ledger: Path) -> None:
    assert page.thumb("r2", "good") == page.thumb("r2", "bad") == 200
    with opened(Settings(), ledger.parent) as connection:
        found = connection.execute(select(signals.c.signal).where(signals.c.request == "r2")).all()
    assert found == [("bad",)]
    assert page.ask("/api/requests/r2")[2]["request"]["thumb"] == "bad"


def test_a_thumb_is_taken_back(page: Served, ledger: Path) -> None:
    assert page.thumb("r4", "good") == page.thumb("r4", None) == page.thumb("r4", None) == 200
    with opened(Settings(), ledger.parent) as connection:
        assert connection.execute(select(signals.c.signal).where(signals.c.request == "r4")).all() == []
    assert page.ask("/api/requests/r4")[2]["request"]["thumb"] is None
    assert page.thumb("nobodys", None) == 404


def test_who_should_have_answered_is_written_and_taken_back(page: Served, ledger: Path) -> None:
    told = page.ask("/api/requests/r5")[2]
    assert told["should_be"] is None
    assert "debugging" in told["known"]["preferences"] and "openai/gpt-4.1" in told["known"]["models"]
    for target, told_of_it in (
        ("preference:debugging", "preference:debugging"),
        ("preference:default", "preference:default"),
        ("model:openai/gpt-4.1", "model:openai/gpt-4.1"),
    ):
        assert page.should_be("r5", target) == (200, {"id": "r5", "should_be": told_of_it})
        assert page.ask("/api/requests/r5")[2]["should_be"] == told_of_it
    with opened(Settings(), ledger.parent) as connection:
        rows = connection.execute(select(signals.c.signal, signals.c.told).where(signals.c.request == "r5")).all()
    assert rows == [("should be", "model:openai/gpt-4.1")]
    assert page.should_be("r5", None)[0] == page.should_be("r5", None)[0] == 200
    assert page.ask("/api/requests/r5")[2]["should_be"] is None


@pytest.mark.parametrize(
    ("id", "target", "status", "words"),
    [
        ("nobodys", "preference:debugging", 404, "the ledger does not have it any more"),
        ("nobodys", None, 404, "the ledger does not have it any more"),
        ("r1", "preference:debuging", 400, "did you mean 'debugging'?"),
        ("r1", "", 400, "preference:NAME"),
        ("r1", 7, 400, "preference:NAME"),
    ],
)
def test_nobody_else_can_be_said_to_be_the_one(page: Served, id: str, target: object, status: int, words: str) -> None:
    answered, told = page.should_be(id, target)
    assert answered == status and words in told["error"]


def test_what_is_nested_without_end_is_no_thumb(page: Served) -> None:
    deep, sent = b"[" * 990, {"content_type": "application/json"}
    assert page.ask("/api/requests/r1/thumb", method="POST", body=deep, **sent)[0] == 400


@pytest.mark.parametrize(
    ("id", "thumb", "status"), [("nobodys", "good", 404), ("r1", "tool error", 400), ("r1", "", 400)]
)
def test_nothing_else_can_be_written(page: Served, id: str, thumb: str, status: int) -> None:
    assert page.thumb(id, thumb) == status


@pytest.mark.parametrize("body", [b"", b"{}", b'{"thumb": []}', b"[]", b'"good"', b"{", b"\xff"])
def test_nonsense_is_refused_in_words(page: Served, body: bytes) -> None:
    status, _, told = page.ask("/api/requests/r1/thumb", method="POST", body=body, content_type="application/json")
    assert status == 400 and "thumb" in told["error"]


def test_an_error_of_its_own_is_told_by_its_kind_and_logged_by_its_place(
    page: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setitem(app.PANELS, "flow", broken)  # type: ignore[arg-type]  # a dict, though nobody is to change it
    status, headers, told = page.ask("/api/panels/flow")
    assert (status, told) == (500, {"error": "an error in archgw itself (ZeroDivisionError)", "mend": "archgw logs"})
    assert "content-security-policy" in headers and headers["cache-control"] == "no-store"
    assert "ZeroDivisionError at test_dashboard_app.py:" in caplog.text
    logged, printed = caplog.text, "".join(capfd.readouterr())
    assert "secret" not in logged + printed and "Traceback" not in logged + printed


def test_its_process_logs_as_the_service_does(tmp_path: Path) -> None:
    Home(tmp_path / "home").create()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "archgw.dashboard", "--home", str(tmp_path / "home"), "--port", port]
        told = subprocess.run(command, input="", capture_output=True, text=True)
    assert " uvicorn.error " in told.stdout and "address already in use" in told.stdout and told.stderr == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_at_port_80_browsers_name_no_port(host: str) -> None:
    async def called(host: str, origin: str, port: int) -> int:
        sent: list[Message] = []

        async def answer(scope: object, receive: object, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", host.encode()), (b"origin", origin.encode())]
        await Door(answer, port=port, key=KEY)(
            {"type": "http", "method": "GET", "path": "/", "headers": headers},
            None,
            send,  # type: ignore[arg-type]
        )
        return int(sent[0]["status"])

    assert (
        asyncio.run(called(host, f"http://{host}", 80))
        == asyncio.run(called(f"{host}:80", f"http://{host}", 80))
        == 200
    )
    assert asyncio.run(called(host, f"http://{host}", 81)) == 421
    assert asyncio.run(called(f"{host}:81", f"http://{host}", 81)) == 403


# -- live ----------------------------------------------------------------------------------------------------------


def events(page: Served) -> Iterator[tuple[str, object]]:
    with closing(http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)) as connection:
        connection.request("GET", "/api/events", headers={"authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        while line := answer.readline().decode():
            if line.startswith("event: "):
                name = line.removeprefix("event: ").rstrip()
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_new_requests_are_told_as_they_end_whenever_they_began(tmp_path: Path) -> None:
    with kept(Settings(), tmp_path, outcome("old")):
        pass
    with served(tmp_path / "ledger.sqlite") as page:
        heard = events(page)
        first = dict([next(heard), next(heard)])
        assert first["ledger"] == {"trouble": "", "mend": ""} and first["gateway"]["state"] == "running"
        for id, began in (("quick", time.time()), ("slow", time.time() - 500)):
            with kept(Settings(), tmp_path, outcome(id, at=began)):
                pass
            name, rows = next(heard)
            assert (name, [row["id"] for row in rows]) == ("requests", [id])
            assert rows[0]["reason"].startswith("coding")


def test_what_the_gateway_says_of_itself_is_told_when_it_changes(page: Served) -> None:
    heard = events(page)
    assert {next(heard)[0], next(heard)[0]} == {"ledger", "gateway"}
    before, page.gateway = page.gateway, replace(page.gateway, under_way=77)
    assert next(heard)[1]["under_way"] == 77
    page.gateway = before


# -- a ledger that is not to be read -------------------------------------------------------------------------------


def test_without_a_ledger_there_is_nothing_and_none_is_made(tmp_path: Path) -> None:
    with served(tmp_path / "ledger.sqlite") as page:
        for path in PATHS:
            assert page.ask(path)[0] == 200
        assert page.ask("/api/panels/headline")[2]["is"]["ever"] is False
        assert page.thumb("r1", "good") == 503
        assert list(tmp_path.iterdir()) == []
        with kept(Settings(), tmp_path, outcome("first")):
            pass
        assert [one["id"] for one in page.ask("/api/requests")[2]] == ["first"]


def test_a_locked_ledger_is_told_and_read_again_later(tmp_path: Path) -> None:
    with kept(Settings(), tmp_path, outcome("r1")):
        pass
    with served(tmp_path / "ledger.sqlite") as page:
        page.ask("/api/requests")
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as holder:
            holder.execute("begin immediate")
            status, _, told = page.ask("/api/panels/flow")
            assert status == 200, "who only reads is not held up by who writes"
            body, kind = b'{"thumb": "good"}', "application/json"
            status, _, told = page.ask("/api/requests/r1/thumb", method="POST", body=body, content_type=kind)
            assert (status, told["error"]) == (503, "the ledger is locked by somebody else")
            holder.execute("rollback")
        assert page.thumb("r1", "good") == 200


def test_who_writes_holds_up_nobody_who_opens_it_to_read(tmp_path: Path) -> None:
    with kept(Settings(), tmp_path, outcome("r1")):
        pass
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as holder:
        holder.execute("begin immediate")
        with Books(Settings(), tmp_path / "ledger.sqlite").reading() as connection:
            assert connection.scalar(text("select id from requests")) == "r1"


async def test_who_does_not_keep_up_is_told_to_load_anew(tmp_path: Path) -> None:
    live = Live(Books(Settings(), tmp_path / "none"), of_a_gateway, every=1, ending=lambda: False)
    heard = live.events()
    assert (await anext(heard)).startswith(":")
    for number in range(600):
        live._tell(f"event: {number}")
    assert (await anext(heard)).startswith("event: anew") and await anext(heard) == "event: 500"
    await heard.aclose()  # type: ignore[attr-defined]


async def test_an_error_of_its_own_ends_no_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asks, looks = iter([ZeroDivisionError("a secret")]), iter([KeyError("a secret")])

    def ask() -> Gateway:
        for error in asks:
            raise error
        return of_a_gateway()

    def look(*_: object) -> list[Asked]:
        for error in looks:
            raise error
        return []

    monkeypatch.setattr(Follower, "look", look)
    live = Live(Books(Settings(), tmp_path / "none"), ask, every=0.01, ending=lambda: False)
    running, heard = asyncio.create_task(live.run()), live.events()
    told = [await asyncio.wait_for(anext(heard), 5) for _ in range(5)]
    running.cancel()
    await heard.aclose()  # type: ignore[attr-defined]
    assert "error in archgw itself (KeyError)" in told[1]
    assert "error in archgw itself (ZeroDivisionError)" in told[2]
    assert '"trouble": ""' in told[3] and '"running"' in told[4]
    assert "KeyError at test_dashboard_app.py:" in caplog.text and "secret" not in caplog.text + "".join(told)


@pytest.mark.parametrize(
    ("settings", "spoil", "told"),
    [
        (Settings("none"), "", "the config keeps no ledger"),
        (Settings(), "insert into ledger_version values (99)", "the ledger is of version 99"),
        (Settings(), "drop table attempts", "the ledger cannot be read (OperationalError: no such table: attempts)"),
        (Settings("postgresql://me:hunter2@127.0.0.1:1/none"), "", "the ledger cannot be read (OperationalError)"),
    ],
    ids=["none", "newer", "broken", "away"],
)
def test_a_panel_says_why_it_has_nothing(tmp_path: Path, settings: Settings, spoil: str, told: str) -> None:
    with kept(Settings(), tmp_path, outcome("r1")) as connection:
        if spoil:
            connection.execute(text(spoil))
    with served(tmp_path / "ledger.sqlite", settings=settings) as page:
        status, _, answer = page.ask("/api/panels/health")
        assert status == 503 and answer["error"].startswith(told) and answer["mend"]
        assert "hunter2" not in repr(answer)
        assert page.ask("/")[0] == page.ask("/api/gateway")[0] == 200


def test_an_older_ledger_is_brought_up_to_date(tmp_path: Path) -> None:
    with kept(Settings(), tmp_path, outcome("r1")) as connection:
        connection.execute(text("alter table requests drop column reason"))
        connection.execute(text("delete from ledger_version where number > 1"))
    with Books(Settings(), tmp_path / "ledger.sqlite").reading() as connection:
        assert connection.scalar(text("select reason from requests")) == ""


def test_an_older_ledger_that_others_may_share_is_left_as_it_is(server: str, tmp_path: Path) -> None:
    """Its older gateways would refuse a newer one."""
    settings, other = Settings(server), tmp_path / "none"
    with opened(settings, tmp_path) as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    with closing(Books(settings, other)) as books:
        with books.reading() as connection:
            assert newest(connection, Wanted(), 5) == (), "where nothing was recorded, there is nothing to be read"
        with pytest.raises(Unreadable, match="nothing has been recorded"), books.writing():
            pass
    with kept(settings, tmp_path, outcome("r1")) as connection:
        connection.execute(text("delete from ledger_version where number > 3"))
    with closing(Books(settings, other)) as books:
        for way in (books.reading, books.writing):
            with pytest.raises(Unreadable, match="the ledger is of version 3") as refused, way():
                pass
            assert "archgw up" in refused.value.mend
        with opened(settings, tmp_path) as connection:
            assert version(connection) == 3
            migrate(connection)
        with books.reading() as connection:
            assert [one.id for one in newest(connection, Wanted(), 5)] == ["r1"]


def test_a_ledger_that_was_made_anew_is_read_and_not_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"

    def told() -> list[str]:
        with books.reading() as connection:
            return [one.id for one in newest(connection, Wanted(), 5)]

    with closing(Books(Settings(), file)) as books:
        for id in ("first", "second"):
            with kept(Settings(), tmp_path, outcome(id)):
                pass
            assert told() == [id]
            for one in tmp_path.iterdir():
                one.unlink()
            assert told() == []
        with kept(Settings(), tmp_path / "elsewhere", outcome("third")):
            pass
        (tmp_path / "elsewhere" / "ledger.sqlite").replace(file)
        assert told() == ["third"]
        with books.writing() as connection:
            assert sign(connection, "third", "good")


def test_what_goes_wrong_in_a_block_is_the_ledgers_only_if_it_says_so(tmp_path: Path) -> None:
    with kept(Settings(), tmp_path, outcome("r1")):
        pass
    with closing(Books(Settings(), tmp_path / "ledger.sqlite")) as books:
        with pytest.raises(BrokenPipeError), books.reading():
            raise BrokenPipeError
        with pytest.raises(Unreadable, match="no such table"), books.reading() as connection:
            connection.execute(text("select * from nowhere"))


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("no database, but long enough to look at" * 99)
    books = Books(Settings(), tmp_path / "ledger.sqlite")
    with pytest.raises(Unreadable, match="file is not a database"), books.reading():
        pass


# -- the key, and the gateway --------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    at = Home(tmp_path / "home")
    at.create()
    assert keys.key(at) == keys.key(at) and len(keys.key(at)) >= 32
    assert keys.address(at, "http://127.0.0.1:1").endswith(f"#key={keys.key(at)}")
    led = Path(keys.way_in(at, "http://127.0.0.1:1").removeprefix("file://"))
    assert keys.key(at) in led.read_text()
    assert {path.stat().st_mode & 0o777 for path in (at.dashboard_key, led)} == {0o600}


def test_a_gateway_that_is_stopped_or_silent_is_told_so(tmp_path: Path) -> None:
    from archgw.home import Stack

    at = Home(tmp_path / "home")
    assert gateway.ask(at).state == "stopped"
    with at.hold():
        at.announce(Stack(os.getpid(), "config.yaml", "http://127.0.0.1:12000", 0.0))
        assert (gateway.ask(at).state, gateway.ask(at).url) == ("silent", "http://127.0.0.1:12000")


def test_models_are_known_by_their_names(page: Served) -> None:
    assert page.ask("/api/panels/health")[2]["is"][0]["model"] == CLAUDE
