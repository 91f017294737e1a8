"""Evidence in the ledger's database, SQLite's and a real PostgreSQL's, and what service and command make of it."""

import base64
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from archgw import configs
from dialogue import gateway_of, plan_of
from lessons_made import CLAUDE, CONFIG, fits, scores, vector
from sqlalchemy import delete, func, insert, select, update
from terminal import Shell, told
from test_ledger import kept, opened, server, settings

from router_service.config import Ledger as Settings
from router_service.learning import adjusted, learn
from router_service.outcome import Outcome, Seen, Trace
from router_service.pb import router_pb2 as pb
from router_service.plan import Plan
from router_service.shell import carried, fingerprint, lessons
from router_service.shell.identities import Identities
from router_service.shell.journal import Journal
from router_service.shell.learner import Learner
from router_service.shell.ledger import sign, unsign
from router_service.shell.ledger_schema import left_out, signals, vectors
from router_service.shell.router_api import RouterApi
from router_service.shell.router_model import Nobody
from router_service.shell.serving import Serving
from router_service.shell.state import Nowhere

__all__ = ["server", "settings"]  # fixtures

ASK = vector((0, 1.0))
PLAN = plan_of(CONFIG)
MODEL = fingerprint.of(PLAN.routing)


def outcome(id: str, *, caller: str = "", at: float | None = None, model: str = MODEL, **more: object) -> Outcome:
    begun = Outcome(
        id=id,
        started=time.time() if at is None else at,
        kind="user turn",
        client="a client",
        session="s/",
        route="coding",
        reason="",
        model_asked="",
        model_served=CLAUDE,
        status=200,
        caller=caller,
        trace=Trace(
            ask="tell me what is wrong with this",
            difficulty=(("quick", 0.2), ("deep", 0.8)),
            seen=Seen(model, ASK, fits("coding")),
        ),
    )
    return replace(begun, **more)  # type: ignore[arg-type]


def keep(settings: Settings, folder: Path, *outcomes: Outcome) -> None:
    with kept(settings, folder, *outcomes):
        pass


@contextmanager
def learner(settings: Settings, folder: Path, clock: Callable[[], float] | None = None) -> Iterator[Learner]:
    """By default one for whom learning takes no time."""
    made = Learner(settings, folder / "ledger.sqlite", clock=clock or (lambda: 0.0))
    yield made
    made.close()


def goes(made: Learner, plan: Plan = PLAN, caller: str = "") -> str | None:
    """Where the ask goes by what was learned anew; None where nothing was."""
    found = made.look(plan, MODEL, time.time())
    if found is None:
        return None
    before = scores(ASK, model=MODEL)
    after = adjusted(before, found[caller]) if caller in found else before
    return max(after.routes, key=lambda id: after.routes[id])


# -- the database --------------------------------------------------------------------------------------------------


def test_an_ask_is_kept_as_the_model_saw_it_and_without_a_word(settings: Settings, tmp_path: Path) -> None:
    keep(settings, tmp_path, outcome("a", caller="alice"), outcome("b", kind="tool continuation"))
    with opened(settings, tmp_path) as connection:
        (row,) = connection.execute(select(vectors)).mappings()
        (asked,) = lessons.read(connection).asked
    assert (row["request"], row["caller"], row["session"], row["route"]) == ("a", "alice", "s/", "coding")
    assert (asked.difficulty, asked.model, asked.served, len(asked.vector)) == ("deep", MODEL, CLAUDE, 64)
    assert dict(asked.fits) == pytest.approx(dict(fits("coding")))
    assert "wrong" not in repr(dict(row))


def test_asks_leave_with_the_requests_that_they_were(settings: Settings, tmp_path: Path) -> None:
    month = replace(settings, keep=30 * 86_400.0)
    keep(month, tmp_path, outcome("old", at=time.time() - 31 * 86_400), outcome("new"))
    keep(month, tmp_path)
    with opened(settings, tmp_path) as connection:
        assert connection.scalars(select(vectors.c.request)).all() == ["new"]


def test_what_is_said_is_learned_and_what_is_undone_is_not(settings: Settings, tmp_path: Path) -> None:
    keep(settings, tmp_path, outcome("a"))
    with learner(settings, tmp_path) as made:
        assert goes(made) == "coding"
        assert goes(made) is None, "nothing new was said"
        with opened(settings, tmp_path) as connection:
            sign(connection, "a", "should be", "preference:code review")
        assert goes(made) == "code-review"
        with opened(settings, tmp_path) as connection:
            lessons.leave_out(connection, "", "a", time.time())
        assert goes(made) == "coding"
        with opened(settings, tmp_path) as connection:
            assert lessons.take_back(connection, "", "a") and not lessons.take_back(connection, "", "a")
        assert goes(made) == "code-review"
        assert goes(made, plan_of(CONFIG + "learning: {enabled: false}\n")) == "coding"
        assert goes(made) == "code-review", "and when it is turned on again"


def test_two_services_learn_from_one_ledger(settings: Settings, tmp_path: Path) -> None:
    keep(settings, tmp_path, outcome("a"))
    with learner(settings, tmp_path) as one, learner(settings, tmp_path) as other:
        with opened(settings, tmp_path) as connection:
            sign(connection, "a", "should be", "preference:code review")
        assert goes(one) == goes(other) == "code-review"


def test_before_anything_is_kept_nothing_is_learned_and_no_file_is_made(tmp_path: Path) -> None:
    with learner(Settings(), tmp_path) as made:
        assert made.look(PLAN, MODEL, time.time()) is None
    assert list(tmp_path.iterdir()) == []


def test_one_bad_row_is_left_out_and_stops_nobody(settings: Settings, tmp_path: Path) -> None:
    keep(settings, tmp_path, outcome("a"), outcome("b"), outcome("fits"), outcome("time"), outcome("length"))
    with opened(settings, tmp_path) as connection:
        for request in ("a", "fits", "time", "length"):
            sign(connection, request, "should be", "preference:code review")
        rows = vectors.c.request
        connection.execute(update(vectors).where(rows == "fits").values(fits="[1]"))
        connection.execute(update(vectors).where(rows == "time").values(at=math.inf))
        connection.execute(update(vectors).where(rows == "length").values(vector=b"\1\2\3"))
        connection.execute(insert(left_out).values(caller="", what="*", at=math.inf))
        assert {one.request for one in lessons.read(connection).asked} == {"a", "b", "length"}
    with learner(settings, tmp_path) as made:
        assert goes(made) == "code-review" and made.trouble == ""


async def test_whatever_goes_wrong_is_told_by_its_kind_and_requests_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep(Settings(), tmp_path, outcome("a"))

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("what somebody wrote")

    with learner(Settings(), tmp_path) as made:
        with monkeypatch.context() as patched:
            patched.setattr("router_service.shell.learner.learn", broken)
            assert made.look(PLAN, MODEL, time.time()) is None and made.look(PLAN, MODEL, time.time()) is None
        assert "nothing new is learned from feedback (ZeroDivisionError at test_lessons.py:" in made.trouble
        serving = Serving(gateway_of(CONFIG), Nobody(told="no model"), Journal(), Nowhere(), Identities(), learner=made)
        assert made.trouble in (await RouterApi(serving).Status(pb.StatusRequest(), None)).troubles
        assert len(caplog.records) == 1 and "somebody" not in caplog.text
        assert goes(made) == "coding" and made.trouble == ""


def test_what_took_long_is_not_learned_anew_at_once(tmp_path: Path) -> None:
    keep(Settings(), tmp_path, outcome("a"))
    now = iter([0.0, *([3.0] * 3), 62.9, 63.1, *([63.2] * 9)])  # it takes three seconds, and sixty more follow
    with learner(Settings(), tmp_path, lambda: next(now)) as made:
        assert goes(made) == "coding"
        with opened(Settings(), tmp_path) as connection:
            sign(connection, "a", "should be", "preference:code review")
        assert [goes(made), goes(made)] == [None, "code-review"]


def test_that_something_was_taken_back_is_seen_at_once_or_in_what_many_share_within_a_minute(
    settings: Settings, tmp_path: Path
) -> None:
    shared, now = settings.url != "sqlite", 0.0
    keep(settings, tmp_path, outcome("a"), outcome("b"))
    with opened(settings, tmp_path) as connection:
        sign(connection, "a", "should be", "preference:code review")
        sign(connection, "b", "unfinished")  # of what was said last it is seen at once
    with learner(settings, tmp_path, lambda: now) as made:
        assert [goes(made), goes(made)] == ["code-review", None]
        with opened(settings, tmp_path) as connection:
            unsign(connection, "a", "should be")
        assert goes(made) == (None if shared else "coding")
        now = 61.0
        assert goes(made) == ("coding" if shared else None)


def test_a_busy_caller_takes_nothing_from_another(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "MOST", 3)
    now = time.time()
    alices = [outcome(f"a{at}", caller="alice", at=now - 900 + at) for at in range(8)]
    keep(settings, tmp_path, *alices, *(outcome(f"b{at}", caller="bob", at=now - 9 + at) for at in range(8)))
    with opened(settings, tmp_path) as connection:
        connection.execute(insert(signals).values(request="a0", signal="correction", at=now))
        found = lessons.read(connection)
        assert {one.request for one in found.asked} == {"a0", "a5", "a6", "a7", "b5", "b6", "b7"}
        assert [one.request for one in found.said] == ["a0"]
        monkeypatch.setattr(lessons, "ALL", 4)
        assert {one.request for one in lessons.read(connection).asked} == {"a0", "a6", "a7", "b6", "b7"}, "even shares"


def test_what_is_said_of_a_turns_later_requests_is_of_its_ask_and_of_no_other(
    settings: Settings, tmp_path: Path
) -> None:
    """Of a turn that was not routed (the user named the model, or the router model was late) nothing is learned."""
    now, unrouted = time.time(), Trace()
    keep(
        settings,
        tmp_path,
        outcome("routed", at=now - 90),
        outcome("its tools", at=now - 80, kind="tool continuation"),
        outcome("its title", at=now - 79, kind="title"),
        outcome("another's", at=now - 75, kind="tool continuation", caller="bob"),
        outcome("named", at=now - 70, trace=unrouted, route="explicit"),
        outcome("named's tools", at=now - 60, kind="tool continuation"),
    )
    with opened(settings, tmp_path) as connection:
        for request in ("routed", "its tools", "its title", "another's", "named", "named's tools"):
            sign(connection, request, "bad")
        found = lessons.read(connection)
        assert {(one.request, one.about) for one in found.said} == {("routed", "routed"), ("its tools", "routed")}


def test_what_is_exported_is_learned_elsewhere_the_same_and_twice_is_once(settings: Settings, tmp_path: Path) -> None:
    keep(settings, tmp_path, outcome("a"), outcome("unspoken", at=time.time() - 9))
    with opened(settings, tmp_path) as connection:
        sign(connection, "a", "should be", "preference:code review")
        told = json.loads(json.dumps(carried.exported(connection, lambda _: True)))
        for table in reversed(vectors.metadata.sorted_tables):
            if table.name in ("vectors", "signals", "requests"):
                connection.execute(delete(table))
        assert carried.imported(connection, told) == (1, 1)
        assert carried.imported(connection, told) == (0, 0)
        assert carried.imported(connection, told, caller="alice") == (0, 0), "an ask is one caller's"
        assert connection.scalar(select(func.count()).select_from(vectors)) == 1
    assert "wrong" not in json.dumps(told)
    with learner(settings, tmp_path) as made:
        assert goes(made) == "code-review"


def export(
    asked: dict[str, object] | None = None, said: dict[str, object] | None = None, width: int = 64
) -> dict[str, object]:
    """As one is written, but for these fields of its second ask, or of what was said of that."""
    one = {
        "request": "x", "at": 1e9, "caller": "", "route": "coding", "served": CLAUDE, "difficulty": "", "model": "m",
        "vector": base64.b64encode(bytes(width)).decode(), "fits": [["coding", 0.7]],
    }  # fmt: skip
    words = [{"request": id, "signal": "good", "at": 1e9, "told": None} for id in "xy"]
    return {
        "archgw": "learned",
        "version": 1,
        "asked": [one, one | {"request": "y"} | (asked or {})],
        "said": [words[0], words[1] | (said or {})],
    }


ODD_WORDS: list[dict[str, object]] = [{"at": at} for at in (math.inf, math.nan, -1.0, 1e12, "1", True, 10**400)]
ODD_ASKS: list[dict[str, object]] = [
    *ODD_WORDS,
    {"vector": base64.b64encode(b"\1\2\3").decode()},
    {"vector": base64.b64encode(bytes(99_999)).decode()},
    {"vector": base64.b64encode(b"\1\2\3").decode(), "model": MODEL},
    *({"fits": [["coding", fit]]} for fit in (math.nan, math.inf, 2.0, "1")),
    {"fits": [1]},
]


def test_an_export_as_it_is_written_is_taken(tmp_path: Path) -> None:
    keep(Settings(), tmp_path, outcome("a"))
    with opened(Settings(), tmp_path) as connection:
        assert carried.imported(connection, export()) == (2, 2)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        *((export(asked=odd), "is damaged") for odd in ODD_ASKS),
        *((export(said=odd), "is damaged") for odd in ODD_WORDS),
        ([], "is no export"),
        ({"archgw": "learned", "version": 9}, "is of version 9"),
        ({"archgw": "learned", "version": 1, "asked": [{"request": 1}]}, "is damaged"),
    ],
)
def test_what_is_no_export_changes_nothing(found: object, why: str, tmp_path: Path) -> None:
    keep(Settings(), tmp_path, outcome("a"))
    with opened(Settings(), tmp_path) as connection:
        with pytest.raises(carried.BadExport, match=why):
            carried.imported(connection, found)
        assert connection.scalar(select(func.count()).select_from(vectors)) == 1


def test_what_was_said_of_a_turns_later_requests_is_exported_with_its_ask(settings: Settings, tmp_path: Path) -> None:
    keep(settings, tmp_path, outcome("a", at=time.time() - 9), outcome("a2", kind="tool continuation"))
    with opened(settings, tmp_path) as connection:
        sign(connection, "a2", "bad")
        told = json.loads(json.dumps(carried.exported(connection, lambda _: True)))
        assert [(one["request"], one["signal"]) for one in told["said"]] == [("a", "bad")]
        assert [one["request"] for one in told["asked"]] == ["a"]
        assert carried.imported(connection, told) == (0, 0), "it is here, by another name"


def test_what_is_undone_stays_so_for_whom_it_is_given_to_and_a_reset_stays_where_it_was(tmp_path: Path) -> None:
    keep(Settings(), tmp_path, outcome("a", caller="alice"))
    with opened(Settings(), tmp_path) as connection:
        sign(connection, "a", "should be", "preference:code review")
        (lesson,) = learn(lessons.read(connection), PLAN, MODEL, now=time.time())["alice"].lessons
        lessons.leave_out(connection, "alice", lesson.id, time.time())
        told = carried.exported(connection, lambda _: True)
        lessons.leave_out(connection, "alice", "*", time.time())
        reset = carried.exported(connection, lambda _: True)
        for table in (vectors, signals, left_out):
            connection.execute(delete(table))
        assert carried.imported(connection, reset, caller="bob") == (0, 0)
        assert connection.scalar(select(func.count()).select_from(left_out).where(left_out.c.what == "*")) == 0
        connection.execute(delete(left_out))
        assert carried.imported(connection, told, caller="bob") == (1, 1)
        (his,) = learn(lessons.read(connection), PLAN, MODEL, now=time.time())["bob"].lessons
    assert his.state == "undone" and his.id != lesson.id


# -- the command ---------------------------------------------------------------------------------------------------

TERMINAL = CONFIG + "listeners: {egress_traffic: {port: $PORT}}\n"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def taught(shell: Shell) -> str:
    """The config of a gateway whose user has corrected one answer."""
    shell.home.create()
    file = shell.config(TERMINAL)
    keep(Settings(capture="asks"), shell.home.folder, outcome("a1b2"), outcome("c3d4", at=time.time() - 60))
    with opened(Settings(), shell.home.folder) as connection:
        sign(connection, "a1b2", "should be", "preference:code review")
    return file


def run(shell: Shell, file: str, *arguments: str) -> str:
    result = shell.run("learned", *arguments, "--config", file)
    assert result.exit_code == 0, result.output
    return told(result)


def test_a_lesson_is_told_undone_and_taken_back(shell: Shell, taught: str) -> None:
    said = run(shell, taught)
    assert "asks like these -> code review, not coding from 1 correction: a1b2, " in said
    assert "should be: tell me what is wrong with this" in said
    assert "applied: of your last 2 asks, 2 would go elsewhere for it" in said
    lesson = said.split()[0]
    assert f"{lesson} is left out; a gateway that runs takes it up within seconds" in run(shell, taught, "undo", lesson)
    assert f"undone {lesson}" in run(shell, taught) and "applied: of" not in run(shell, taught)
    assert f"{lesson} counts again" in run(shell, taught, "redo", lesson[:4])
    assert "applied: of" in run(shell, taught)


def test_one_request_can_be_left_out_of_the_evidence(shell: Shell, taught: str) -> None:
    run(shell, taught, "undo", "a1b2")
    said = run(shell, taught)
    assert "Nothing has been learned yet, from 2 asks." in said and "left out: request a1b2, since" in said
    run(shell, taught, "redo", "a1b2")
    assert "applied: of" in run(shell, taught)


def test_what_was_said_of_a_preference_that_has_gone_waits_and_is_told(shell: Shell, taught: str) -> None:
    renamed = shell.config(TERMINAL.replace("name: code review", "name: reviews"))
    said = run(shell, renamed)
    assert "what you said belongs to “code review” waits: the config has no preference of that name." in said


def test_all_of_it_can_be_reset_and_taken_back(shell: Shell, taught: str) -> None:
    assert shell.run("learned", "reset", "--config", taught).exit_code == 1, "it asks first"
    assert "nothing that was said until now counts any more" in run(shell, taught, "reset", "--yes")
    assert "left out: all that was said before, since" in run(shell, taught)
    assert "what was said before the reset counts again" in run(shell, taught, "redo", "all")
    assert "applied: of" in run(shell, taught)
    assert "there was no reset" in told(shell.run("learned", "redo", "all", "--config", taught))


def test_it_is_carried_to_another_machine(shell: Shell, taught: str, tmp_path: Path) -> None:
    file = tmp_path / "learned.json"
    assert "1 ask and what was said of them in" in run(shell, taught, "export", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert "is there already" in told(shell.run("learned", "export", str(file), "--config", taught))
    said = run(shell, taught, "import", str(file))
    assert "0 asks and 0 words about them are new here" in said and "another router model" not in said
    file.write_text("{")
    assert "is not JSON" in told(shell.run("learned", "import", str(file), "--config", taught))


def test_it_is_told_as_json_and_by_client(shell: Shell, taught: str) -> None:
    found = json.loads(shell.run("learned", "--json", "--config", taught).stdout)
    (lesson,) = found["lessons"]
    assert (lesson["kind"], lesson["target"], lesson["state"], lesson["moves"]) == (
        "preference",
        "code review",
        "applied",
        2,
    )
    assert "wrong" not in json.dumps(found), "words are for people"
    run(shell, taught, "undo", lesson["id"])
    keep(Settings(), shell.home.folder, outcome("e5f6", caller="bob"))
    bobs = run(shell, taught, "--client", "bob")
    assert "Nothing has been learned yet, from 1 ask." in bobs and "left out" not in bobs, (
        "what was undone is another's"
    )


def test_the_plan_of_a_gateway_that_runs_has_its_models_whatever_keys_are_here(shell: Shell, taught: str) -> None:
    config = configs.read(Path(taught), need_keys=False)
    assert [one.label for one in configs.of(config, {CLAUDE}).candidates] == [CLAUDE]


def test_what_is_not_there_is_said_to_be_not_there(shell: Shell, taught: str) -> None:
    result = shell.run("learned", "undo", "zz", "--config", taught)
    assert result.exit_code == 1 and "nothing that was learned is called 'zz' see what there is" in told(result)
    for arguments in ([], ["undo", "zz"]):
        result = shell.run("learned", *arguments, "--client", "eve", "--config", taught)
        assert result.exit_code == 1 and "no client key is called 'eve' there are none" in told(result)


def test_the_empty_ledger_says_how_to_teach(shell: Shell) -> None:
    shell.home.create()
    keep(Settings(), shell.home.folder, outcome("a"))
    said = run(shell, shell.config(TERMINAL))
    assert "Nothing has been learned yet, from 1 ask." in said
    assert 'archgw bad --should-be "coding"' in said


def test_without_a_ledger_check_says_that_nothing_is_learned(shell: Shell) -> None:
    file = shell.config(TERMINAL + "ledger: {url: none}\n")
    said = told(shell.run("check", file, ANTHROPIC_API_KEY="a", DEEPSEEK_API_KEY="b"))
    assert (
        "nothing is learned from feedback: that is kept in the ledger, and the config keeps none (ledger.url)" in said
    )
    assert "the config keeps no ledger" in told(shell.run("learned", "--config", file))
