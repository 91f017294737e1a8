"""`archgw check` on preferences: what it finds odd, and that it finds nothing odd in good ones."""

from collections.abc import Mapping

import pytest
from archgw.lint import findings
from terminal import CONFIG, Shell, told

CODE = ("code", "writing new functions and programs")
TESTS = ("tests", "unit tests and flaky suites")
PROBES = [f"write {i}" for i in range(6)] + [f"test {i}" for i in range(6)]


def clear(ask: str) -> Mapping[str, float]:
    return {"code": 0.9, "tests": 0.05} if ask.startswith("write") else {"code": 0.05, "tests": 0.9}


def torn(ask: str) -> Mapping[str, float]:
    return {"code": 0.5, "tests": 0.4}


def test_clear_preferences_have_no_findings() -> None:
    assert findings([CODE, TESTS], PROBES, clear) == []


@pytest.mark.parametrize("description", ["code", "general questions", "any other task", "help with stuff"])
def test_a_description_that_says_little(description: str) -> None:
    (found,) = findings([("code", description), TESTS], PROBES, clear)
    assert found.names == ("code",) and "says little" in found.message


@pytest.mark.parametrize("description", ["debugging C++ crashes", "SQL queries", "コードを書く", "legal contracts"])
def test_a_short_description_may_say_enough(description: str) -> None:
    assert findings([("code", description), TESTS], PROBES, clear) == []


def test_two_that_claim_the_same_asks() -> None:
    found = findings([CODE, TESTS], PROBES, torn)[0]
    assert found.names == ("code", "tests")
    assert found.message == "both claim asks such as 'test 0' (12 of 12 probes)"
    assert "not for" in found.suggestion


def test_one_that_nobody_reaches_and_who_takes_its_asks() -> None:
    (found,) = findings([CODE, TESTS], PROBES, lambda _: {"code": 0.9, "tests": 0.05})
    assert found.names == ("tests",)
    assert found.message == "none of 12 everyday asks reaches it; its likeliest go to 'code'"


def test_check_tells_findings_as_notes(shell: Shell) -> None:
    vague = CONFIG.replace("telling jokes", "other stuff")
    result = shell.run("check", shell.config(vague))
    said = told(result)
    assert result.exit_code == 0, said
    assert "note: jokes: 'other stuff' says little about what belongs here" in said
    assert "Everything is in order." in said
