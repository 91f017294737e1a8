"""archgw export: what the ledger keeps comes out of it whole, in each format."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from archgw.export import FORMATS, columns, rows
from pyarrow import parquet
from sqlalchemy import text
from terminal import Shell, told
from test_ledger import CLAUDE, GPT, kept, opened, outcome

from router_service.config import Ledger as Settings
from router_service.shell import ledger_schema
from router_service.shell.ledger import sign

AGO = time.time() - 3600


@pytest.fixture
def recorded(shell: Shell) -> Shell:
    """Two requests of an hour ago, the second of which nobody priced."""
    shell.home.create()
    second = replace(outcome("r2", at=AGO + 1), cost=None, route="naïve, “quoted”\nand broken")
    with kept(Settings(), shell.home.folder, outcome("r1", at=AGO), second) as connection:
        sign(connection, "r1", "bad")
        sign(connection, "r1", "re-ask")
    return shell


def read_csv(data: bytes) -> list[dict[str, Any]]:
    return [{key: value or None for key, value in row.items()} for row in csv.DictReader(io.StringIO(data.decode()))]


def read_lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.decode().splitlines()]


def read_parquet(data: bytes) -> list[dict[str, Any]]:
    return parquet.read_table(io.BytesIO(data)).to_pylist()


READERS: dict[str, Callable[[bytes], list[dict[str, Any]]]] = {
    "csv": read_csv,
    "jsonl": read_lines,
    "parquet": read_parquet,
}


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_holds_every_column_of_every_request(recorded: Shell, format: str) -> None:
    file = recorded.home.folder / f"requests.{format}"
    assert "2 requests in " in recorded.run("export", str(file)).output
    first, second = READERS[format](file.read_bytes())
    assert list(first) == list(columns("requests"))
    assert first["id"] == "r1" and first["served"] == CLAUDE and first["reason"].startswith("coding (0.70)")
    assert float(first["cost"]) == 0.25 and second["cost"] is None, "not known is not zero"
    assert first["signals"] == "bad, re-ask" and second["route"] == "naïve, “quoted”\nand broken"
    assert float(first["tokens_per_second"]) == pytest.approx(7 / 1.6) and int(first["output"]) == 7
    at = first["time"] if format == "parquet" else datetime.fromisoformat(first["time"])
    assert at == datetime.fromtimestamp(AGO, UTC).replace(microsecond=at.microsecond)
    assert file.stat().st_mode & 0o777 == 0o600


def test_scores_are_a_list_in_json_lines(recorded: Shell) -> None:
    shown = recorded.run("export", "--format", "jsonl").output
    assert json.loads(shown.splitlines()[0])["scores"] == [["coding", 0.7], ["none of them", 0.3]]


def test_a_spreadsheet_reckons_nothing_that_a_client_calls_itself(recorded: Shell) -> None:
    with kept(Settings(), recorded.home.folder, outcome("r3", at=AGO + 2, client="=1+1", session="-s/")):
        pass
    found = read_csv(recorded.run("export").output.encode())[-1]
    assert (found["client"], found["session"]) == ("'=1+1", "'-s/")
    assert read_lines(recorded.run("export", "--format", "jsonl").output.encode())[-1]["client"] == "=1+1"


def test_a_row_for_each_try(recorded: Shell) -> None:
    found = read_csv(recorded.run("export", "--tries").output.encode())
    assert [(row["request"], row["number"], row["candidate"], row["status"]) for row in found] == [
        (request, number, model, status)
        for request in ("r1", "r2")
        for number, model, status in (("1", GPT, "429"), ("2", CLAUDE, "200"))
    ]


def test_how_far_back(recorded: Shell) -> None:
    with kept(Settings(), recorded.home.folder, outcome("old", at=AGO - 5e6)):
        pass
    assert len(read_csv(recorded.run("export").output.encode())) == 3
    assert len(read_csv(recorded.run("export", "--since", "4w").output.encode())) == 2
    assert recorded.run("export", "--since", "5m").output.count("\n") == 1, "the names of the columns"


def test_more_rows_than_are_read_at_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archgw.export._AT_ONCE", 3)
    shell.home.create()
    with kept(Settings(), shell.home.folder, *(outcome(str(n), at=AGO + n) for n in range(10))):
        pass
    for format, read in READERS.items():
        file = shell.home.folder / f"all.{format}"
        shell.run("export", str(file))
        assert [row["id"] for row in read(file.read_bytes())] == [str(n) for n in range(10)]


def test_a_file_that_is_there_is_written_over_only_if_one_wants_it(recorded: Shell) -> None:
    file = recorded.home.folder / "mine.csv"
    file.write_text("mine")
    shown = recorded.run("export", str(file))
    assert shown.exit_code == 1 and "is there already" in told(shown) and file.read_text() == "mine"
    assert recorded.run("export", str(file), "--force").exit_code == 0 and "r1" in file.read_text()


def test_what_fails_leaves_no_half_file(recorded: Shell) -> None:
    with opened(Settings(), recorded.home.folder) as connection:
        connection.execute(text("drop table attempts"))
    shown = recorded.run("export", str(recorded.home.folder / "x.csv"), "--tries")
    assert shown.exit_code == 1 and "the ledger cannot be read" in told(shown)
    assert not list(recorded.home.folder.glob("x.csv*"))


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_who_reads_and_has_enough_ends_it_quietly(recorded: Shell, format: str) -> None:
    with kept(Settings(), recorded.home.folder, *(outcome(f"many{n}") for n in range(3_000))):
        pass
    command = f"{sys.executable} -m archgw export --format {format} | head -n 1; echo ${{PIPESTATUS[0]}}"
    at = os.environ | {"ARCHGW_HOME": str(recorded.home.folder)}
    shown = subprocess.run(["bash", "-c", command], env=at, cwd=recorded.folder, capture_output=True, text=True)
    assert (shown.stdout.splitlines()[1:], shown.stderr) == (["0"], "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["requests.xlsx"], "there is no format 'xlsx'"),
        (["requests"], "what format is it to have?"),
        (["--format", "parquet"], "Parquet is no text"),
        (["--since", "yesterday"], "'yesterday' is no time gone by"),
        (["--since", "2100-01-01"], "'2100-01-01' is no time gone by"),
        (["/nowhere/requests.csv"], "cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_had(recorded: Shell, arguments: list[str], words: str) -> None:
    shown = recorded.run("export", *arguments)
    assert shown.exit_code in (1, 2) and words in told(shown)


def test_parquet_without_its_library_says_what_to_install(recorded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    shown = recorded.run("export", str(recorded.home.folder / "requests.parquet"))
    assert shown.exit_code == 1 and "pip install 'archgw[parquet]'" in told(shown)
    assert not list(recorded.home.folder.glob("requests.parquet*"))


def test_a_ledger_that_an_older_archgw_wrote(recorded: Shell) -> None:
    with opened(Settings(), recorded.home.folder) as connection:
        connection.execute(text("alter table requests drop column reason"))
        connection.execute(ledger_schema._version.delete().where(ledger_schema._version.c.number > 1))
    assert [row["reason"] for row in read_csv(recorded.run("export").output.encode())] == [None, None]


def test_both_tables_keep_their_order_and_kinds(recorded: Shell) -> None:
    with opened(Settings(), recorded.home.folder) as connection:
        for what in ("requests", "tries"):
            row = next(rows(connection, what, 0))
            assert list(row) == list(columns(what))
            assert all(value is None or isinstance(value, columns(what)[name]) for name, value in row.items())
