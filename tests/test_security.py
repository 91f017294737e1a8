"""SECURITY.md: each claim names the test that shows it, and the test is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
CLAIMS = re.findall(r"^\| (?!---)(.+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)  # the tables with three columns


@cache
def named_in(file: str) -> set[str]:
    found = ast.walk(ast.parse((ROOT / file).read_text("utf-8")))
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    assert name.startswith("test_") and name in named_in(file)


def test_each_claim_names_one() -> None:
    headings = [claim for claim in CLAIMS if claim[2] == "shown by"]
    claims = [claim for claim in CLAIMS if claim[2] != "shown by"]
    assert len(headings) == 7 and len(claims) > 15
    assert [claim[0] for claim in claims if "`tests/" not in claim[2]] == []


def test_nothing_that_is_named_is_misspelt() -> None:
    assert len(re.findall(r"tests/\S+::", PAGE)) == len(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE))
