"""A real PostgreSQL for tests: a cluster in a folder of its own, on a unix socket alone, ended with the test."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """Where Debian and others put them; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if Path("/usr/lib/postgresql").is_dir() else []
    return Path(found).parent if found else (debian[-1].parent if debian else None)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database. PostgreSQL does not run as root: then as the user `postgres`."""
    folder = Path(tempfile.mkdtemp(prefix="archgw-postgres-"))
    user = None
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres").pw_name
        shutil.chown(folder, user)
    at = binaries()
    assert at is not None
    data = folder / "data"
    options = {"check": True, "capture_output": True, "user": user, "cwd": folder}
    subprocess.run([at / "initdb", "-D", data, "-U", "archgw", "-A", "trust", "--no-sync"], **options)
    start = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    subprocess.run([at / "pg_ctl", "-D", data, "-o", start, "-l", folder / "log", "-w", "start"], **options)
    try:
        yield f"postgresql://archgw@/postgres?host={folder}"
    finally:
        subprocess.run([at / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], **options)
        shutil.rmtree(folder, ignore_errors=True)
