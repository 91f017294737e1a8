"""archgw good, bad and unrate: what they keep, with which request, and what they say where they cannot."""

import time
from pathlib import Path

import pytest
from sqlalchemy import select
from terminal import Shell, told
from test_ledger import kept, opened, outcome

from router_service.config import Ledger as Settings
from router_service.shell.ledger_schema import signals


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """The gateway is down; its ledger has three requests, the newest a title."""
    shell, now = Shell(tmp_path), time.time()
    shell.home.create()
    several = (
        outcome("aa11", at=now - 30, session="one/", route="jokes"),
        outcome("aa22", at=now - 20, session="two/"),
        outcome("bb33", at=now - 10, session="two/", kind="title"),
    )
    with kept(Settings(), shell.home.folder, *several):
        return shell


def shared(tmp_path: Path, *several: tuple[str, str]) -> Shell:
    """A ledger with these requests, the newest last, each with whose it is."""
    shell, now = Shell(tmp_path), time.time()
    shell.home.create()
    rows = (outcome(id, at=now - 60 + at, session=f"{id}/", caller=caller) for at, (id, caller) in enumerate(several))
    with kept(Settings(), shell.home.folder, *rows):
        return shell


@pytest.mark.parametrize("command", ["good", "bad", "unrate"])
def test_where_several_have_keys_it_has_to_be_said_whose_last_turn_is_meant(tmp_path: Path, command: str) -> None:
    shell = shared(tmp_path, ("aa", "alice"), ("bb", "bob"))
    result = shell.run(command)
    assert (result.exit_code, there(shell)) == (1, set())
    assert "several have asked: alice, bob say whose last turn it is: --client NAME" in told(result)
    result = shell.run(command, "--client", "alice")
    assert result.exit_code == 0 and "aa: coding -> anthropic/claude-sonnet-4-5 (client alice)" in told(result)
    assert {request for request, _, _ in there(shell)} == ({"aa"} if command != "unrate" else set())
    assert shell.run(command, "bb").exit_code == shell.run(command, "--session", "bb").exit_code == 0


def test_of_somebody_elses_request_a_client_says_nothing(tmp_path: Path) -> None:
    shell = shared(tmp_path, ("aa", "alice"), ("bb", "bob"))
    for arguments, words in (
        (["bb", "--client", "alice"], "the ledger has no request bb of client alice"),
        (["--client", "eve"], "no turn has been answered of client eve yet"),
    ):
        result = shell.run("bad", *arguments)
        assert (result.exit_code, there(shell)) == (1, set()) and words in told(result)


@pytest.mark.parametrize(
    "several", [[("aa", ""), ("bb", "bob")], [("aa", "alice"), ("bb", "bob"), ("cc", "")]], ids=str
)
def test_where_one_has_a_key_or_none_is_wanted_the_last_is_the_last(
    tmp_path: Path, several: list[tuple[str, str]]
) -> None:
    shell = shared(tmp_path, *several)
    assert shell.run("good").exit_code == 0
    assert there(shell) == {(several[-1][0], "good", None)}


def there(shell: Shell) -> set[tuple[str, str, str | None]]:
    with opened(Settings(), shell.home.folder) as connection:
        rows = connection.execute(select(signals.c.request, signals.c.signal, signals.c.told))
        return {(row.request, row.signal, row.told) for row in rows}


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ([], "aa22"),
        (["last"], "aa22"),
        (["aa1"], "aa11"),
        (["bb"], "bb33"),
        (["--session", "on"], "aa11"),
        (["aa11", "--session", "one/"], "aa11"),
    ],
    ids=str,
)
def test_the_request_that_is_meant(shell: Shell, arguments: list[str], request_: str) -> None:
    result = shell.run("good", *arguments)
    assert result.exit_code == 0, result.output
    assert there(shell) == {(request_, "good", None)}
    assert f"Kept: good. {request_}: " in told(result) and f"archgw unrate {request_}" in told(result)


def test_the_other_word_takes_its_place_and_all_of_it_can_be_taken_back(shell: Shell) -> None:
    config = shell.config()
    shell.run("good")
    result = shell.run("bad", "--should-be", "jokes", "--config", config)
    assert "Kept: bad, should be the preference jokes. aa22: coding -> anthropic/claude-sonnet-4-5" in told(result)
    assert there(shell) == {("aa22", "bad", None), ("aa22", "should be", "preference:jokes")}
    assert shell.run("bad", "--should-be", "grok-2", "--config", config).exit_code == 0, "a model without its key, too"
    assert there(shell) == {("aa22", "bad", None), ("aa22", "should be", "model:xai/grok-2")}
    assert "Taken back: aa22" in told(shell.run("unrate"))
    assert there(shell) == set()
    assert shell.run("unrate").exit_code == 0, "there is nothing to be taken back"


@pytest.mark.parametrize(
    ("preferences", "words"),
    [
        ("[]", "no preference has chosen the model"),
        ("[{name: coding, description: x, models: [claude-sonnet-4-5]}]", "deepseek-chat is not among the models of"),
        ("[{name: coding, description: x, models: [gpt-4o, deepseek-chat]}]", "asks its models in your order"),
        ("[{name: coding, description: x, models: [gpt-4o, deepseek-chat], selection_policy: best}]", ""),
    ],
)
def test_a_model_that_is_named_in_vain_is_told_of(shell: Shell, preferences: str, words: str) -> None:
    models = ", ".join(
        f"{{model: {one}}}" for one in ("anthropic/claude-sonnet-4-5", "openai/gpt-4o", "deepseek/deepseek-chat")
    )
    config = shell.config(f"llm_providers: [{models}]\nrouting_preferences: {preferences}\n")
    said = told(shell.run("bad", "--should-be", "deepseek-chat", "--config", config))
    assert "Kept: bad, should be the model deepseek/deepseek-chat" in said
    assert words in said if words else " models " not in said and "no preference" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["good", "aa"], 1, "several requests begin with aa: aa11, aa22"),
        (["bad", "cc"], 1, "the ledger has no request cc see which there are: archgw top"),
        (["bad", "aa11", "--session", "two"], 1, "the ledger has no request aa11 in session two"),
        (["unrate", "--session", "three"], 1, "no turn has been answered in session three yet"),
        (["bad", "--should-be", "joks"], 2, "--should-be: no preference or model 'joks'; did you mean 'jokes'?"),
        (["bad", "--should-be", ""], 2, "--should-be: no preference or model ''"),
        (["bad", "%"], 1, "the ledger has no request %"),
        (["bad", ""], 1, "the ledger has no request"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, arguments: list[str], code: int, words: str) -> None:
    more = [] if arguments[0] == "unrate" else ["--config", shell.config()]
    result = shell.run(*arguments, *more)
    assert (result.exit_code, there(shell)) == (code, set())
    assert words in told(result)


def test_before_anything_was_asked_there_is_nothing_to_rate(tmp_path: Path) -> None:
    result = Shell(tmp_path).run("good")
    assert result.exit_code == 1 and "nothing has been recorded yet" in told(result)
