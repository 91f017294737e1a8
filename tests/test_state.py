"""Sessions outlive the service: in a file, or in a Redis that replicas share. A store that fails costs no answer."""

import asyncio
import resource
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from archgw.simulate import Simulator
from dialogue import MESSAGES, ask, gateway_of, one, plan_of
from redis import asyncio as redis
from redises import fake_redis
from stack import gateway

from router_service.cooling import Cooling
from router_service.effects import Recall, Respond, Score
from router_service.events import Recalled, RequestHeaders
from router_service.selection import Selection
from router_service.session import NEW, Pin, Read, Served, Session, Sessions, read, written
from router_service.shell import state
from router_service.shell.state import File, Nowhere, Redis

SESSION = Session(
    pin=Pin("coding", "deepseek", 0.9),
    reads={"deepseek": Read(1000, 5.0)},
    served=Served("deepseek/deepseek-chat", "coding", "why", "user turn", "id", 1, 5.0, cached=0.5, prompt="p"),
    turns=2,
    requests=3,
    written=40,
    spent=0.1,
    baseline=0.2,
    switched=0.01,
    unpriced=1,
)


@pytest.mark.parametrize("session", [SESSION, NEW], ids=["all of it", "a new one"])
def test_what_is_written_is_read(session: Session) -> None:
    assert read(written(session)) == session


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"', "7", '{"pin": {"route": 1}, "reads": {}}'])
def test_what_another_wrote_is_no_session(text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


async def remembered(file: Path) -> Sessions:
    sessions = Sessions()
    await File(file).open(sessions)
    return sessions


async def kept(file: Path, **sessions: Session) -> Sessions:
    before = Sessions()
    store = File(file)
    await store.open(before)
    for key, session in sessions.items():
        before.put(key, session)
    await store.keep(before)
    return before


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    assert not (await kept(file, a=SESSION)).changed
    await kept(file, b=NEW.paid(1, 2))
    after = await remembered(file)
    assert (after.get("a"), after.get("b").spent, len(after)) == (SESSION, 1, 2)
    assert not after.changed


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    await kept(file, a=SESSION)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_file_that_is_none_is_put_aside(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    file.write_bytes(b"no database" * 1000)
    await kept(file, a=SESSION)
    assert (await remembered(file)).get("a") == SESSION
    assert (tmp_path / "state.broken").exists()


async def test_where_nothing_can_be_written_the_service_goes_on(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("")
    sessions = await kept(tmp_path / "in-the-way" / "state.sqlite", a=SESSION)
    assert sessions.get("a") == SESSION and sessions.changed == {"a"}
    assert len(await remembered(tmp_path / "in-the-way" / "state.sqlite")) == 0


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file)) as other:
        other.execute("begin exclusive")
        yield


@contextmanager
def in_the_way(file: Path) -> Iterator[None]:
    """A folder of the file's name: nothing can be read there, nor written."""
    aside = file.rename(file.with_suffix(".aside")) if file.exists() else None
    file.mkdir()
    yield
    file.rmdir()
    if aside:
        aside.rename(file)


@contextmanager
def full(file: Path) -> Iterator[None]:
    """The system lets no file grow beyond what this one has."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(1, file.stat().st_size if file.exists() else 1), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite waits five seconds for a lock."""
    monkeypatch.setattr(state, "_LOCK_PATIENCE", 0.05)


@pytest.mark.parametrize("trouble", [locked, in_the_way, full])
@pytest.mark.usefixtures("impatient")
async def test_a_file_that_fails_in_between_is_told_once_and_loses_nothing(
    tmp_path: Path, trouble: Callable[[Path], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture
) -> None:
    file, sessions = tmp_path / "state.sqlite", Sessions()
    cooling = Cooling()
    store = File(file, cooling)
    await store.open(sessions)
    sessions.put("before", SESSION)
    await store.keep(sessions)
    assert store.trouble == ""
    caplog.clear()
    with trouble(file):
        for number in range(3):
            sessions.put(f"s{number}", SESSION)
            cooling.cool("a", time.monotonic() + 60 + number, "answered 429")
            await store.keep(sessions)
            assert "not remembered" in store.trouble
    (line,) = caplog.messages
    assert line.startswith(f"sessions are not remembered for now: {file}: ")
    await store.keep(sessions)
    assert store.trouble == "" and "sessions are remembered again" in caplog.messages[-1]
    again = Cooling()
    after = Sessions()
    await File(file, again).open(after)
    assert {key for key in ("before", "s0", "s1", "s2") if key in after} == {"before", "s0", "s1", "s2"}
    assert again.why("a", time.monotonic()) == "answered 429"
    assert not (tmp_path / "state.broken").exists(), "a file that is good is not thrown away"


@pytest.mark.parametrize("trouble", [locked, in_the_way])
@pytest.mark.usefixtures("impatient")
async def test_a_file_that_fails_at_the_start_is_read_when_it_is_well(
    tmp_path: Path, trouble: Callable[[Path], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture
) -> None:
    file, sessions = tmp_path / "state.sqlite", Sessions()
    await kept(file, old=SESSION, both=SESSION)
    store = File(file)
    with trouble(file):
        await store.open(sessions)
        sessions.put("both", SESSION.paid(1, 1))
        await store.keep(sessions)
        assert "old" not in sessions and "not remembered" in store.trouble
    assert len(caplog.messages) == 1
    await store.keep(sessions)
    assert sessions.get("old") == SESSION and sessions.get("both") == SESSION.paid(1, 1)
    assert (await remembered(file)).get("both") == SESSION.paid(1, 1) and store.trouble == ""


async def test_who_cools_still_does_after_a_restart(tmp_path: Path) -> None:
    file, cooling, now = tmp_path / "state.sqlite", Cooling(), time.monotonic()
    cooling.cool("a", now + 60, "answered 429")
    cooling.cool("b", now - 1, "answered 529")
    store = File(file, cooling)
    await store.open(Sessions())
    await store.keep(Sessions())
    assert not cooling.changed
    again = Cooling()
    await File(file, again).open(Sessions())
    assert 50 < again.left("a", now) < 61 and again.why("a", now) == "answered 429"
    assert set(again.all(now)) == {"a"} and not again.changed


async def test_the_longest_untouched_is_forgotten_first(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    await kept(file, **{f"s{number}": SESSION for number in range(5)})
    few = Sessions(limit=2)
    await File(file).open(few)
    assert len(few) == 2


@pytest.mark.parametrize(
    ("url", "file", "kind"),
    [("sqlite", "x", File), ("sqlite", None, Nowhere), ("memory", "x", Nowhere), ("redis://h", None, Redis)],
)
def test_the_config_says_which(url: str, file: str | None, kind: type) -> None:
    plan = plan_of(f"llm_providers: [{{model: openai/gpt-4o}}]\nstate: {{url: '{url}'}}")
    assert type(state.of(plan, Path(file) if file else None)) is kind


def test_a_redis_without_its_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(state.BadStore, match=r"pip install 'archgw\[redis\]'"):
        Redis("redis://h")


CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI", default: true}
  - {model: deepseek/deepseek-chat, access_key: k, base_url: "$URL_DEEPSEEK"}
routing_preferences:
  - {name: jokes, description: telling jokes and funny stories, models: [deepseek-chat]}
"""
JOKE = {"role": "user", "content": "Tell me a joke about a parrot"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a parrot"}]}
TOOL = {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}


async def test_a_turn_goes_on_with_its_model_after_a_restart(tmp_path: Path) -> None:
    """In the midst of a tool loop the whole stack is started anew; nobody else takes over."""
    served = []
    async with Simulator("openai") as one, Simulator("deepseek") as two:
        for messages in ([JOKE], [JOKE, CALL, RESULT]):
            async with gateway(tmp_path, CONFIG, {"openai": one, "deepseek": two}) as running:
                body = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": messages, "tools": [TOOL]}
                answer = await running.ask(body, **{"x-claude-code-session-id": "s"})
                served.append((answer.headers["x-arch-model"], answer.headers["x-arch-reason"].partition(" ->")[0]))
    assert [model for model, _ in served] == ["deepseek/deepseek-chat"] * 2
    assert served[1][1] == "tool continuation"


# -- shared --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with fake_redis() as url:
        yield url


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits a twentieth of a second; what is tested here is not how busy this machine is."""
    monkeypatch.setattr(state, "_PATIENCE", 10.0)


async def replica(url: str) -> tuple[Redis, Sessions]:
    store, sessions = Redis(url), Sessions()
    await store.open(sessions)
    assert sessions.shared
    return store, sessions


async def test_one_replica_goes_on_where_another_was(url: str) -> None:
    (one_store, ones), (other_store, others) = await replica(url), await replica(url)
    ones.put("s/", SESSION)
    await one_store.keep(ones)
    await other_store.recall(others, ("s/", "unknown/"))
    assert (others.get("s/"), others.get("unknown/"), len(others)) == (SESSION, NEW, 1)
    others.put("s/", SESSION.paid(1, 1))
    await other_store.keep(others)
    await one_store.recall(ones, ("s/",))
    assert ones.get("s/") == SESSION.paid(1, 1) and not ones.changed
    await asyncio.gather(one_store.close(), other_store.close())


async def test_one_replica_leaves_alone_whom_another_was_told_to(url: str) -> None:
    cooling, others, now = Cooling(), Cooling(), time.monotonic()
    one_store, other_store = Redis(url, cooling, ["a", "b"]), Redis(url, others, ["a", "b"])
    cooling.cool("a", now + 60, "answered 429")
    await one_store.keep(Sessions())
    await other_store.recall(Sessions(), ("s/",))
    assert 50 < others.left("a", now) < 61 and others.why("a", now) == "answered 429"
    assert set(others.all(now)) == {"a"} and not others.changed
    await asyncio.gather(one_store.close(), other_store.close())


async def test_what_is_not_written_yet_is_not_lost_to_what_was(url: str) -> None:
    store, sessions = await replica(url)
    sessions.put("t/", SESSION)
    await store.keep(sessions)
    sessions.put("t/", SESSION.paid(5, 5))
    await store.recall(sessions, ("t/",))
    assert sessions.get("t/") == SESSION.paid(5, 5)
    await store.close()


@pytest.mark.parametrize(("among_workers", "known"), [(False, False), (True, True)])
async def test_a_worker_waits_longer_for_what_another_has_just_written_until_redis_is_away(
    monkeypatch: pytest.MonkeyPatch, among_workers: bool, known: bool
) -> None:
    class Slow:
        async def mget(self, names: list[str]) -> list[str | None]:
            await asyncio.sleep(0.2)
            return [f"mark\n{written(SESSION)}", *([None] * (len(names) - 1))]

    monkeypatch.setattr(state, "_PATIENCE", 0.01)
    monkeypatch.setattr(state, "_WORKERS_PATIENCE", 60.0)
    store, sessions = Redis("redis://127.0.0.1:1", among_workers=among_workers), Sessions()
    store._client = Slow()
    await store.recall(sessions, ["s/"])
    assert ("s/" in sessions, bool(store.trouble)) == (known, not known)
    store._fail(ConnectionError())
    await store.recall(sessions, ["t/"])
    assert "t/" not in sessions, "as long as it is, nobody waits for it"


async def test_a_redis_that_is_away_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    store, sessions = await replica("redis://:hunter2@127.0.0.1:1/0")
    sessions.put("s/", SESSION)
    await store.keep(sessions)
    await store.recall(sessions, ("s/",))
    assert sessions.get("s/") == SESSION
    assert "Redis is not to be had" in caplog.text and "hunter2" not in caplog.text
    await store.close()


async def test_what_happened_while_redis_was_away_is_told_when_it_is_back() -> None:
    """Not what it knew before."""
    with fake_redis() as url:
        store, sessions = await replica(url)
        sessions.put("s/", SESSION)
        await store.keep(sessions)
        there = store._client
        store._client = redis.Redis.from_url("redis://127.0.0.1:1/0")
        sessions.put("s/", SESSION.paid(5, 5))
        await store.keep(sessions)
        assert store.trouble
        await store._client.aclose()
        store._client = there
        await store.recall(sessions, ("s/",))
        assert sessions.get("s/") == SESSION.paid(5, 5)
        await store.keep(sessions)
        other_store, others = await replica(url)
        await other_store.recall(others, ("s/",))
        assert others.get("s/") == SESSION.paid(5, 5)
        await asyncio.gather(store.close(), other_store.close())


async def test_a_redis_that_is_back_is_found_so_with_nothing_to_tell(url: str) -> None:
    store, sessions = await replica(url)
    store._fail(ConnectionError())
    await store.keep(sessions)
    assert not store.trouble
    await store.close()


def test_a_shared_session_is_fetched_before_anybody_is_chosen() -> None:
    gateway = gateway_of(sessions=Sessions(shared=True))
    given = {"x-claude-code-session-id": "s", "x-claude-code-agent-id": "a"}
    selection, effects = ask(gateway, path=MESSAGES, given=given)
    recall = one(effects, Recall)
    assert recall and set(recall.keys) == {"s/", "s/a"}
    assert one(selection.feed(Recalled(), 0.0), Score)


def test_a_session_is_shown_from_wherever_it_is() -> None:
    gateway = gateway_of()
    gateway.sessions.put("s/", SESSION)
    asked = RequestHeaders({":method": "GET", ":authority": "localhost", ":path": "/archgw/sessions/s"}, True)
    (reply,) = Selection(gateway, wall=10.0).feed(asked, 0)
    assert isinstance(reply, Respond) and b'"age": 5.0' in reply.body
