"""A real PostgreSQL for tests: a cluster in a folder of its own, on a unix socket alone, ended with the test."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def binaries() -> Path | None:
    """Where Debian and others put them; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if Path("/usr/lib/postgresql").is_dir() else []
    return Path(found).parent if found else (debian[-1].parent if debian else None)


@dataclass
class Cluster:
    """One that can be stopped, and started again. PostgreSQL does not run as root: then as the user `postgres`."""

    folder: Path
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql://archgw@/postgres?host={self.folder}"

    def make(self) -> None:
        self._run("initdb", "-U", "archgw", "-A", "trust", "--no-sync")

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        """As a crash would."""
        self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *words: str) -> None:
        at = binaries()
        assert at is not None
        command = [at / program, "-D", self.folder / "data", *words]
        subprocess.run(command, check=True, capture_output=True, user=self.user, cwd=self.folder)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """An empty one, started."""
    folder = Path(tempfile.mkdtemp(prefix="archgw-postgres-"))
    user = None
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres").pw_name
        shutil.chown(folder, user)
    one = Cluster(folder, user)
    one.make()
    one.start()
    try:
        yield one
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database."""
    with cluster() as one:
        yield one.url
