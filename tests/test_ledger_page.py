"""docs/ledger.md tells every column and every signal, and nothing that is none."""

import re
from pathlib import Path
from typing import get_args

from router_service.shell.ledger_schema import attempts, left_out, requests, signals, vectors
from router_service.signals import Signal

PAGE = (Path(__file__).parent.parent / "docs/ledger.md").read_text()


def told(heading: str) -> list[list[str]]:
    """What stands in the first cells of each table of a section."""
    section = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    tables = re.split(r"\n\|---\|---\|\n", section)[1:]
    rows = [re.findall(r"^\| ([^|]+) \|", table, re.M) for table in tables]
    return [[name for cell in table for name in re.findall(r"`([^`]+)`", cell)] for table in rows]


def test_every_column_is_told() -> None:
    assert told("A row for each request") == [[column.name for column in requests.columns]]
    assert told("A row for each try") == [[column.name for column in attempts.columns]]
    assert told("Asks") == [[column.name for column in vectors.columns]]
    assert told("Left out") == [[column.name for column in left_out.columns]]
    assert told("Signals")[0] == [column.name for column in signals.columns]


def test_every_signal_is_told() -> None:
    assert told("Signals")[1] == list(get_args(Signal))
