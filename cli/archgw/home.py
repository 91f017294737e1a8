"""Where a running stack keeps its files: ~/.archgw/run, or $ARCHGW_HOME/run; $ARCHGW_RUN for sockets in a container.

Everything there is its owner's alone, whatever the umask and whatever it was before: folders 0700, files 0600. A folder
or link that somebody else has put there is not used.
"""

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from router_service.shell.private import open_private
from router_service.workers import socket

_TRIES = 25
_KEPT = ("config.yaml", ".env", "state.*", "cache.*", "dashboard.*")  # in the folder itself, and ours to close


@dataclass(frozen=True, slots=True)
class Stack:
    """What a running stack says about itself. `url` is where clients ask, `dashboard` where people look, empty where
    nobody can; `without` says why, unless that is meant. `workers`: how many router services."""

    pid: int
    config: str
    url: str
    started: float
    dashboard: str = ""
    without: str = ""
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Health:
    """How a process of the stack does. `starts` is when it is started again, None where it runs; both are seconds since
    the epoch. `restarts` counts since the stack came up, `ended` is when the last time was."""

    restarts: int = 0
    ended: float | None = None
    starts: float | None = None


class AlreadyRunning(Exception):
    """Another supervisor holds this home."""


class NotPrivate(Exception):
    """The folder is somebody else's; the text says what to do."""


class NotWritable(NotPrivate):
    """Nothing can be kept there: the disk is read-only, or full; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Home:
    """One home, one stack. Liveness is a lock held by the supervisor: a stale file means nothing.

    `sockets` is where they are in a container, which knows no supervisor: what answers there runs.
    """

    folder: Path
    sockets: Path | None = None

    @property
    def run(self) -> Path:
        return self.sockets or self.folder / "run"

    @property
    def router_socket(self) -> Path:
        return self.run / "router.sock"

    def router_sockets(self, workers: int) -> list[Path]:
        """Where so many of them listen."""
        return [socket(self.router_socket, number) for number in range(workers)]

    @property
    def state(self) -> Path:
        """Which session is served by whom: what outlives the router service."""
        return self.folder / "state.sqlite"

    @property
    def ledger(self) -> Path:
        """What came of every request."""
        return self.folder / "ledger.sqlite"

    @property
    def cache(self) -> Path:
        """Answers, where the config wants them kept."""
        return self.folder / "cache.sqlite"

    @property
    def dashboard_key(self) -> Path:
        """What opens the dashboard."""
        return self.folder / "dashboard.key"

    @property
    def envoy_config(self) -> Path:
        return self.run / "envoy.json"

    @property
    def admin_socket(self) -> Path:
        """Envoy's own page."""
        return self.run / "admin.sock"

    @property
    def control_socket(self) -> Path:
        """The supervisor's."""
        return self.run / "stack.sock"

    @property
    def discovery(self) -> Path:
        """What Envoy reads anew whenever it is replaced: in a folder of its own, for it watches all of it."""
        return self.run / "xds"

    @property
    def accepted(self) -> Path:
        """The config in use, whatever has become of the user's file: what a restarted router service reads."""
        return self.run / "accepted.json"

    def log(self, name: str) -> Path:
        return self.run / f"{name}.log"

    def create(self) -> None:
        """Raises NotPrivate."""
        with written_to(self.folder):
            for folder, files in ((self.folder, _KEPT), (self.run, ("*",)), (self.discovery, ("*",))):
                own(folder)
                for path in (path for pattern in files for path in folder.glob(pattern)):
                    _close(path)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the one supervisor of this home. Raises AlreadyRunning, NotPrivate."""
        self.create()
        with written_to(self.folder):
            opened = open_private(self.run / "lock", os.O_WRONLY)
        with os.fdopen(opened, "w") as lock:
            _lock(lock)
            try:
                yield
            finally:
                self._stack_file.unlink(missing_ok=True)
                self._health_file.unlink(missing_ok=True)

    def is_held(self) -> bool:
        try:
            with (self.run / "lock").open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # it is not there, its folder is none, or not ours to look into
            return False
        return False

    def stack(self) -> Stack | None:
        """The running stack; None when nothing runs, whatever files were left behind."""
        if self.sockets:
            return _contained(self.router_socket)
        if not self.is_held():
            return None
        try:
            return Stack(**json.loads(self._stack_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def health(self) -> dict[str, Health]:
        """By name; empty where nothing was told yet."""
        try:
            told = json.loads(self._health_file.read_text())
            return {name: Health(**health) for name, health in told.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def tell(self, health: dict[str, Health]) -> None:
        """For `archgw status`; a full disk keeps nobody from starting anything."""
        with suppress(OSError):
            write_private(self._health_file, json.dumps({name: asdict(one) for name, one in health.items()}))

    def announce(self, stack: Stack) -> None:
        write_private(self._stack_file, json.dumps(asdict(stack)))

    @property
    def _stack_file(self) -> Path:
        return self.run / "stack.json"

    @property
    def _health_file(self) -> Path:
        return self.run / "health.json"


def _lock(file: IO[str]) -> None:
    """Take the lock. Who only looks whether it is held has it for a moment, so try for half a second."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.5 / _TRIES)
    raise AlreadyRunning


def home() -> Home:
    sockets = os.environ.get("ARCHGW_RUN")
    return Home(Path(os.environ.get("ARCHGW_HOME") or Path.home() / ".archgw"), Path(sockets) if sockets else None)


def _contained(socket: Path) -> Stack | None:
    """The stack of which this container is a part, at the addresses that whoever started it has told."""
    try:
        started = socket.stat().st_mtime
    except OSError:
        return None
    told = os.environ
    return Stack(
        pid=1,
        config=told.get("ARCHGW_CONFIG") or "/etc/archgw/config.yaml",
        url=told.get("ARCHGW_URL") or "http://127.0.0.1:12000",
        started=started,
        dashboard=told.get("ARCHGW_DASHBOARD_URL", ""),
    )


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Raises NotWritable for what the system refuses meanwhile; `folder` is the home."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename and str(error.filename) != str(folder) else ""
        told = f"{folder} cannot be used: {error.strerror or error}{where}"
        raise NotWritable(f"{told}; mend that, or set ARCHGW_HOME to a folder that can be written to") from error


def own(folder: Path) -> None:
    """Make it ours alone. A link may lead to it, if we have put it there. Raises NotPrivate."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:  # a file, or a link that leads nowhere
        raise NotPrivate(f"{folder} is no folder; move it away, or set ARCHGW_HOME to another") from error
    if {folder.lstat().st_uid, folder.stat().st_uid} != {os.geteuid()}:
        raise NotPrivate(f"{folder} belongs to somebody else; set ARCHGW_HOME to a folder of your own")
    folder.chmod(0o700)


def _close(path: Path) -> None:
    """To others. What a link leads to is not ours to change."""
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode) and mode & 0o077:
        path.chmod(stat.S_IMODE(mode) & 0o700)


def write_private(path: Path, text: str) -> None:
    """Write a whole file that only its owner may read; readers see the old one or the new one."""
    part = path.with_suffix(f"{path.suffix}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)
