"""Where a stack keeps its files: one stack a home, and no stale file ever means that one runs."""

import errno
import fcntl
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from archgw.home import AlreadyRunning, Home, NotPrivate, NotWritable, Stack, home, write_private, written_to

from router_service.shell.private import open_private

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


@pytest.fixture
def anything_goes() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def test_what_was_open_to_others_is_closed(at: Home, anything_goes: None) -> None:
    """Whatever the umask, and whatever the modes of what is there already."""
    at.run.mkdir(parents=True)
    files = [at.run / "lock", at.run / "router.log", at.folder / "state.sqlite", at.folder / ".env"]
    for file in (*files, at.folder / "config.yaml"):
        file.touch(0o666)
    with at.hold():
        at.announce(STACK)
        assert {mode(at.folder), mode(at.run)} == {0o700}
        assert {path.name: mode(path) for path in (*files, at.run / "stack.json")} == {
            path.name: 0o600 for path in (*files, at.run / "stack.json")
        }


def test_a_log_is_private_from_its_first_moment(tmp_path: Path, anything_goes: None) -> None:
    os.close(open_private(tmp_path / "a.log", os.O_WRONLY))
    assert mode(tmp_path / "a.log") == 0o600
    (tmp_path / "b.log").touch(0o666)
    os.close(open_private(tmp_path / "b.log", os.O_WRONLY))
    assert mode(tmp_path / "b.log") == 0o600


def test_no_link_is_followed(at: Home, tmp_path: Path) -> None:
    """A shared folder such as /tmp may hold one that somebody else has made, to a file of ours."""
    theirs = tmp_path / "precious"
    theirs.write_text("precious")
    theirs.chmod(0o644)
    at.create()
    (at.run / "router.log").symlink_to(theirs)
    (at.run / "stack.json.part").symlink_to(theirs)
    (at.run / "lock").symlink_to(theirs)
    with pytest.raises(OSError, match="symbolic links"):
        open_private(at.run / "router.log", os.O_WRONLY | os.O_TRUNC)
    with pytest.raises(NotWritable, match="symbolic links"), at.hold():
        pass
    at.announce(STACK)
    at.create()
    assert (theirs.read_text(), mode(theirs)) == ("precious", 0o644)


def test_a_folder_of_somebody_elses_is_not_used(at: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    at.folder.mkdir(parents=True)
    somebody_else = os.geteuid() + 1
    monkeypatch.setattr("archgw.home.os.geteuid", lambda: somebody_else)
    with pytest.raises(NotPrivate, match="belongs to somebody else"), at.hold():
        pass


def test_a_link_of_ones_own_may_lead_home(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    Home(tmp_path / "link").create()
    assert mode(tmp_path / "real") == 0o700


def test_what_is_no_folder_is_told(at: Home) -> None:
    at.folder.write_text("")
    with pytest.raises(NotPrivate, match="is no folder"):
        at.create()


def test_a_home_that_cannot_be_made_is_told_with_its_folder_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    at = Home(tmp_path / "file" / "home")
    assert not at.is_held() and at.stack() is None
    with pytest.raises(NotWritable) as caught:
        at.create()
    assert str(caught.value) == (
        f"{at.folder} cannot be used: Not a directory; mend that, or set ARCHGW_HOME to a folder that can be written to"
    )


def test_what_a_disk_refuses_is_told_with_the_file() -> None:
    told = r"^/h cannot be used: No space left on device \(/h/run/x\); .*ARCHGW_HOME"
    with pytest.raises(NotWritable, match=told), written_to(Path("/h")):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/h/run/x")


def test_a_home_that_is_a_file_runs_nothing(at: Home) -> None:
    at.folder.write_text("")
    assert not at.is_held() and at.stack() is None


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
