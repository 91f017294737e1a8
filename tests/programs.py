"""Programs that tests run as they are: found where they were named, on the PATH, or installed for the tests to keep."""

import asyncio
import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

KEPT = Path.home() / ".cache" / "archgw-tests"
INSTALLING = 600.0  # seconds for a download of a hundred megabytes


def program(name: str, package: str, version: str) -> Path:
    """$ARCHGW_TEST_<NAME>, the one on the PATH, or one from npm at this version. Skips the test where there is none."""
    variable = f"ARCHGW_TEST_{name.upper()}"
    named = os.environ.get(variable) or shutil.which(name)
    return Path(named) if named else installed(name, package, version, variable)


def installed(name: str, package: str, version: str, variable: str = "") -> Path:
    """That very version, whatever else there is."""
    return from_npm(f".bin/{name}", package, version, variable)


def from_npm(path: str, package: str, version: str, variable: str = "") -> Path:
    """A file among those that npm installs for this version of a package."""
    name = Path(path).name
    folder = KEPT / f"{package.rpartition('/')[2]}-{version}"
    found = folder / "node_modules" / path
    if not found.exists():
        _install(folder, [f"{package}@{version}"], name, f"; set {variable}" * bool(variable))
        assert found.exists(), f"{package} {version} has no {path}"
    return found


def folder_from_npm(name: str, *packages: str) -> Path:
    """The node_modules of packages, each with its version (`uplot@1.6.32`), that are installed by one command.

    Two workers may ask at once: one installs, the other waits.
    """
    folder = KEPT / f"{name}-{sha256(' '.join(packages).encode()).hexdigest()[:12]}"
    complete = folder / "node_modules" / ".package-lock.json"  # npm writes it last
    if not complete.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        with (KEPT / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete.exists():
                _install(folder, ["--ignore-scripts", *packages], name)
    return complete.parent


def _install(folder: Path, what: Sequence[str], name: str, hint: str = "") -> None:
    """Skips the test where it cannot be done, but in CI: a stranger may be offline; CI may not."""
    npm = shutil.which("npm")
    if npm is None and "CI" not in os.environ:
        pytest.skip(f"{name} is not here, and there is no npm to install it{hint}")
    assert npm is not None, f"no npm to install {name}"
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLING, check=False)
    trouble = f"npm could not install {name}: {done.stderr[-2000:]}"
    if done.returncode and "CI" not in os.environ:
        pytest.skip(trouble)
    assert done.returncode == 0, trouble


def node() -> str:
    """The folder of what starts programs from npm."""
    return str(Path(shutil.which("node") or "/usr/bin/node").parent)


async def finished(
    command: Sequence[str], work: Path, environment: Mapping[str, str], *, patience: float, said: str = ""
) -> tuple[int, str, str]:
    """(exit code, what it printed, what it complained of), with this environment alone; `said` is typed in.

    Raises TimeoutError after so many seconds, and ends it.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=work,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(said.encode()), patience)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode(), err.decode()
