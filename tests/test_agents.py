"""Launching Claude Code: whatever the user's settings say, every request goes through the gateway."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from archgw.agents import AGENTS
from archgw.agents.agent import Launch

URL = "http://127.0.0.1:12000"
USERS = {"PATH": "/bin", "HOME": "/home/u", "ANTHROPIC_API_KEY": "sk-users", "ANTHROPIC_BASE_URL": "https://elsewhere"}


def launch(
    settings: dict[str, Any] | None = None,
    *arguments: str,
    environment: Mapping[str, str] = USERS,
    own_login: bool = False,
) -> Launch:
    return AGENTS["claude"].prepare(URL, settings or {}, arguments, environment, own_login)


def settings_of(launch: Launch) -> dict[str, Any]:
    arguments: Sequence[str] = launch.arguments
    parsed: dict[str, Any] = json.loads(arguments[arguments.index("--settings") + 1])
    return parsed


OURS = {
    "ANTHROPIC_BASE_URL": URL,
    "ANTHROPIC_AUTH_TOKEN": "archgw",
    "ANTHROPIC_SMALL_FAST_MODEL": "arch.fast.v1",
    "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
}


def test_our_variables_go_both_ways() -> None:
    """The user's settings file beats the environment; --settings beats both."""
    made = launch()
    assert settings_of(made)["env"] == OURS
    assert made.environment == {"PATH": "/bin", "HOME": "/home/u", **OURS}
    assert made.notes == ()


def test_the_users_key_stays_behind() -> None:
    made = launch()
    assert "ANTHROPIC_API_KEY" not in made.environment
    assert "sk-users" not in str(made)


def test_with_the_clients_own_login_no_token_hides_it() -> None:
    made = launch(own_login=True)
    assert "ANTHROPIC_AUTH_TOKEN" not in settings_of(made)["env"]
    assert "ANTHROPIC_AUTH_TOKEN" not in made.environment


@pytest.mark.parametrize(
    "settings",
    [
        {"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"},
        {"env": {"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}},
        {"ANTHROPIC_SMALL_FAST_MODEL": "other", "env": {"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}},
    ],
    ids=["at the top level", "in env", "env before the top level"],
)
def test_a_variable_of_the_users_replaces_ours(settings: dict[str, Any]) -> None:
    made = launch(settings)
    assert settings_of(made) == {"env": OURS | {"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}}
    assert made.environment["ANTHROPIC_SMALL_FAST_MODEL"] == "gpt-4o-mini"


def test_a_lifted_variable_is_told() -> None:
    (note,) = launch({"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}).notes
    assert note.startswith("ANTHROPIC_SMALL_FAST_MODEL: passed on as environment")


@pytest.mark.parametrize(("value", "text"), [("x", "x"), (True, "true"), (32000, "32000")])
def test_a_variable_is_text(value: object, text: str) -> None:
    made = launch({"env": {"MAX_THINKING_TOKENS": value}})
    assert settings_of(made)["env"]["MAX_THINKING_TOKENS"] == made.environment["MAX_THINKING_TOKENS"] == text


@pytest.mark.parametrize("where", ["env", "top"])
def test_no_base_url_leads_around_the_gateway(where: str) -> None:
    other = {"ANTHROPIC_BASE_URL": "https://elsewhere"}
    made = launch({"env": other} if where == "env" else other)
    assert settings_of(made)["env"]["ANTHROPIC_BASE_URL"] == made.environment["ANTHROPIC_BASE_URL"] == URL
    assert "ANTHROPIC_BASE_URL=https://elsewhere is not used" in made.notes[-1]


def test_other_settings_pass() -> None:
    given = {"model": "opus", "statusLine": {"type": "command", "command": "x"}, "permissions": {"allow": ["Bash"]}}
    assert settings_of(launch(given)) == {**given, "env": OURS}


@pytest.mark.parametrize(
    ("settings", "arguments", "added"),
    [
        ({}, (), True),
        ({}, ("-p", "hi"), True),
        ({}, ("--permission-mode", "plan"), False),
        ({}, ("--permission-mode=plan",), False),
        ({}, ("--dangerously-skip-permissions",), False),
        ({"permissions": {"defaultMode": "plan"}}, (), False),
    ],
    ids=["unsaid", "unsaid, with a prompt", "said", "said with =", "skipped", "in the settings"],
)
def test_auto_mode_is_off_unless_the_user_chose(
    settings: dict[str, Any], arguments: tuple[str, ...], added: bool
) -> None:
    made = launch(settings, *arguments)
    assert (made.arguments[3:5] == ("--permission-mode", "default")) is added


def test_the_users_arguments_come_last_and_as_they_are() -> None:
    made = launch(None, "-p", "say 'hi'", "--verbose")
    assert made.arguments[0] == "claude"
    assert made.arguments[-3:] == ("-p", "say 'hi'", "--verbose")


def test_the_table_says_how_to_install() -> None:
    assert [(agent.program, agent.install) for agent in AGENTS.values()] == [
        ("claude", "npm install -g @anthropic-ai/claude-code")
    ]
