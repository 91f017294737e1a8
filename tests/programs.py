"""Programs that tests run as they are: found where they were named, on the PATH, or installed for the tests to keep."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

INSTALLING = 600.0  # seconds for a download of a hundred megabytes


def program(name: str, package: str, version: str) -> Path:
    """$ARCHGW_TEST_<NAME>, the one on the PATH, or one from npm at this version. Skips the test where there is none."""
    variable = f"ARCHGW_TEST_{name.upper()}"
    named = os.environ.get(variable) or shutil.which(name)
    return Path(named) if named else installed(name, package, version, variable)


def installed(name: str, package: str, version: str, variable: str) -> Path:
    folder = Path.home() / ".cache" / "archgw-tests" / f"{package.rpartition('/')[2]}-{version}"
    found = folder / "node_modules" / ".bin" / name
    if found.exists():
        return found
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"{name} is not here, and there is no npm to install it; set {variable}")
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
