"""archgw stats as a user types it, on a ledger of a few requests."""

import csv
import io
import json
import time
from dataclasses import replace

import pytest
from sqlalchemy import insert
from terminal import CONFIG, Shell, told
from test_ledger import CLAUDE, GPT, kept, opened, outcome

from router_service.config import Ledger as Settings
from router_service.conversation import Usage
from router_service.shell.ledger_schema import budget_sums, budgets


@pytest.fixture
def recorded(shell: Shell) -> Shell:
    """Five requests of an hour ago, and one of last month."""
    shell.home.create()
    ago = time.time() - 3600
    requests = [
        replace(outcome(f"a{n}", at=ago + n), model_served=GPT, cost=0.01, baseline=0.03, duration=3.4)
        for n in range(3)
    ]
    requests += [replace(outcome(f"b{n}", at=ago + n), cost=0.05, baseline=0.04, duration=1.4) for n in range(2)]
    requests.append(replace(outcome("old", at=time.time() - 30 * 86_400), usage=Usage()))
    with kept(Settings(), shell.home.folder, *requests):
        pass
    return shell


def test_a_line_for_each_model_and_what_was_saved(recorded: Shell) -> None:
    shown = recorded.run("stats").output
    assert "5 requests in the last 7 days, $0.13 spent, $0.0400 saved against the baseline model" in " ".join(
        shown.split()
    )
    lines = {line.split()[0]: line for line in shown.splitlines() if "/" in line}
    assert "$0.0300" in lines[GPT] and "$0.0600" in lines[GPT]
    assert " $0.10 " in lines[CLAUDE] and "-$0.0200" in lines[CLAUDE]


@pytest.mark.parametrize("width", [70, 80, 110, 140, 200])
def test_a_line_stays_a_line_however_narrow_the_terminal(recorded: Shell, width: int) -> None:
    shown = recorded.run("stats", COLUMNS=str(width)).output.splitlines()
    heading = next(line for line in shown if line.startswith("model "))
    assert {"requests", "cost", "saved"} <= set(heading.split())
    assert ("stepped in" in heading) == (width == 200)
    assert sum(line.startswith((GPT, CLAUDE)) for line in shown) == 2 and max(map(len, shown[2:])) <= width


@pytest.mark.parametrize("by", ["provider", "preference", "day", "session", "client"])
def test_lines_of_other_kinds(recorded: Shell, by: str) -> None:
    found = json.loads(told(recorded.run("stats", "--by", by, "--json")))
    assert found["by"] == by and sum(line["requests"] for line in found["lines"]) == found["total"]["requests"] == 5


def test_how_much_came_out_of_caches(recorded: Shell) -> None:
    found = json.loads(told(recorded.run("stats", "--json")))
    line = next(one for one in found["lines"] if one["name"] == GPT)
    read = line["input"] + line["cached"] + line["cache_write"]
    assert line["hit_rate"] == pytest.approx(line["cached"] / read) and line["hit_rate"] > 0
    shown = recorded.run("stats", COLUMNS="110").output
    assert "cached" in shown and f"{100 * line['hit_rate']:.0f}%" in next(
        one for one in shown.splitlines() if GPT in one
    )
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(recorded.run("stats", "--csv").output))}
    assert float(rows[GPT]["hit_rate"]) == pytest.approx(line["hit_rate"])


def test_how_far_back(recorded: Shell) -> None:
    assert json.loads(told(recorded.run("stats", "--since", "8w", "--json")))["total"]["requests"] == 6
    assert "No requests in the last 10 hours." not in told(recorded.run("stats", "--since", "10h"))
    assert "No requests in the last 5 minutes." in told(recorded.run("stats", "--since", "5m"))
    assert json.loads(told(recorded.run("stats", "--since", "99999999w", "--json")))["since"] == 0


def test_csv(recorded: Shell) -> None:
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(recorded.run("stats", "--csv").output))}
    assert rows[GPT]["requests"] == "3" and float(rows[GPT]["cost"]) == pytest.approx(0.03)
    assert rows[CLAUDE]["first_content_p50"] == "0.4"


def test_two_side_by_side(recorded: Shell) -> None:
    shown = told(recorded.run("stats", "--compare", "gpt-4o-mini", CLAUDE))
    assert "cost of a request" in shown and "$0.0100" in shown and "$0.0500" in shown
    nobody = recorded.run("stats", "--compare", "gpt-9", CLAUDE)
    assert nobody.exit_code == 2 and f"there are: {GPT}, {CLAUDE}" in told(nobody)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--by", "colour"], "there is no 'colour' to sum up by"),
        (["--since", "yesterday"], "'yesterday' is no time gone by"),
        (["--json", "--csv"], "JSON or CSV, one of them"),
        (["--since", "2100-01-01"], "'2100-01-01' is no time gone by"),
    ],
)
def test_what_cannot_be_asked(recorded: Shell, arguments: list[str], words: str) -> None:
    result = recorded.run("stats", *arguments)
    assert result.exit_code == 2 and words in told(result)


BUDGETS = """
budgets:
  - {name: all of it, at_most: $5, per: day, then: block}
  - {at_most: 2M tokens, per: month, then: warn}
  - {at_most: $1, per: session, then: block}
"""


def test_how_the_budgets_stand_without_a_gateway(recorded: Shell) -> None:
    config = recorded.config(CONFIG + BUDGETS)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    with opened(Settings(), recorded.home.folder) as connection:
        for writer, spent in (("a", 5.0), ("b", 0.25)):
            row = {"key": f"dollars {today}", "writer": writer, "spent": spent, "until": time.time() + 60}
            connection.execute(insert(budgets).values(row))
        whole = {"key": f"dollars {today}", "spent": 5.25, "until": time.time() + 60}
        connection.execute(insert(budget_sums).values(whole))
    shown = told(recorded.run("stats", "--config", config))
    assert "budget spent then anew all of it $5.25 of $5 105 % block" in shown
    assert "2M tokens a month 0 tokens of 2M tokens 0 % warn" in shown
    found = json.loads(recorded.run("stats", "--config", config, "--json").stdout)["budgets"]
    assert [(one["name"], one["spent"], one["limit"], one["unit"]) for one in found] == [
        ("all of it", 5.25, 5.0, "dollars"),
        ("2M tokens a month", 0.0, 2e6, "tokens"),
    ]
    assert found[0]["until"] % 86_400 == 0 and found[0]["until"] > time.time()


def test_before_anything_was_asked(shell: Shell) -> None:
    result = shell.run("stats")
    assert result.exit_code == 1 and "nothing has been recorded yet" in told(result)


def test_a_config_that_keeps_none(shell: Shell) -> None:
    config = shell.config("llm_providers: [{model: ollama/llama3.1}]\nledger: {url: none}\n")
    result = shell.run("stats", "--config", config)
    assert result.exit_code == 1 and "keeps no ledger" in told(result)


def test_a_file_that_is_none(shell: Shell) -> None:
    shell.home.create()
    shell.home.ledger.write_bytes(b"no database" * 100)
    result = shell.run("stats")
    assert result.exit_code == 1 and "the ledger cannot be read (DatabaseError" in told(result)
