"""Where a stack keeps its files: one stack a home, and no stale file ever means that one runs."""

import fcntl
import json
import stat
import threading
import time
from pathlib import Path

import pytest
from archgw.home import AlreadyRunning, Home, Stack, home, write_private

STACK = Stack(17, "/c.yaml", "http://127.0.0.1:1", 3.0)


@pytest.fixture
def at(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_runs_in_a_home_that_is_not_there(at: Home) -> None:
    assert not at.is_held() and at.stack() is None
    assert not at.folder.exists(), "looking creates nothing"


def test_what_runs_is_what_was_announced(at: Home) -> None:
    with at.hold():
        assert at.is_held() and at.stack() is None
        at.announce(STACK)
        assert at.stack() == STACK
    assert not at.is_held() and at.stack() is None


def test_a_home_is_held_once(at: Home) -> None:
    with at.hold(), pytest.raises(AlreadyRunning), at.hold():
        pass


def test_a_home_can_be_held_again(at: Home) -> None:
    with at.hold():
        pass
    with at.hold():
        assert at.is_held()


def test_a_stack_that_was_killed_leaves_nothing_that_runs(at: Home) -> None:
    at.create()
    (at.run / "lock").touch()
    at.announce(STACK)
    assert at.stack() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', json.dumps({"unknown": 1})])
def test_a_file_that_cannot_be_read_is_no_stack(at: Home, text: str) -> None:
    with at.hold():
        (at.run / "stack.json").write_text(text)
        assert at.stack() is None


def test_who_only_looks_does_not_keep_a_supervisor_from_starting(at: Home) -> None:
    """`up` looks for its supervisor again and again, and to look takes the lock for a moment."""
    at.create()
    with (at.run / "lock").open("w") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        threading.Timer(0.05, fcntl.flock, (look, fcntl.LOCK_UN)).start()
        with at.hold():
            assert at.is_held()


def test_only_the_owner_may_look(at: Home) -> None:
    with at.hold():
        at.announce(STACK)
        assert (mode(at.folder), mode(at.run), mode(at.run / "stack.json")) == (0o700, 0o700, 0o600)


def test_a_private_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("old and open to all")
    (tmp_path / "keys.json.part").write_text("left behind")
    write_private(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize(
    ("variables", "folder"),
    [({"ARCHGW_HOME": "/a/b", "HOME": "/h"}, "/a/b"), ({"ARCHGW_HOME": "", "HOME": "/h"}, "/h/.archgw")],
    ids=["as told", "in the user's own"],
)
def test_where_home_is(variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert home() == Home(Path(folder))


def test_a_home_that_is_held_for_good_is_told_at_once(at: Home) -> None:
    with at.hold():
        started = time.monotonic()
        with pytest.raises(AlreadyRunning), at.hold():
            pass
        assert time.monotonic() - started < 2
