"""Programs that tests run as they are: found where they were named, on the PATH, or installed for the tests to keep."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

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
    folder = Path.home() / ".cache" / "archgw-tests" / f"{package.rpartition('/')[2]}-{version}"
    found = folder / "node_modules" / path
    if found.exists():
        return found
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"{name} is not here, and there is no npm to install it" + f"; set {variable}" * bool(variable))
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"{package}@{version}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLING, check=False)
    trouble = f"npm could not install {package}: {done.stderr[-2000:]}"
    if done.returncode and "CI" not in os.environ:
        pytest.skip(trouble)  # a stranger may be offline; CI may not
    assert done.returncode == 0 and found.exists(), trouble
    return found


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
