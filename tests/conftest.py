"""Fixtures of the whole suite. Everything runs on loopback; every process started is ended."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.pop("COLUMNS", None)  # a worker is told the width of a terminal, which would hold for whatever is printed
sys.path.insert(0, str(Path(__file__).parent))  # tests share stack.py, terminal.py and others

from terminal import Shell

# The same inputs in every run.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who starts whole gateways begins: begun last, a file of them would keep one worker busy while the others rest."""
    items.sort(key=lambda item: not _starts_gateways(getattr(item, "module", None)))


def _starts_gateways(module: object) -> bool:
    return any(getattr(value, "__module__", "") == "stack" for value in vars(module or pytest).values())


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)
