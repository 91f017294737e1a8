"""How the command line is put together: what is listed is what there is, and no command brings what another needs."""

import os
import subprocess
import sys

import pytest
from archgw.app import COMMANDS, Listed, app, loaded
from stack import CODE
from typer.main import get_command

HEAVY = {
    "aiohttp", "archgw.simulate", "archgw.supervisor", "asyncio", "google.protobuf", "grpc", "numpy", "onnxruntime",
    "prometheus_client", "router_service.config", "router_service.detectors", "router_service.dialects", "sqlalchemy",
    "starlette", "tokenizers", "uvicorn", "watchfiles", "yaml",
}  # fmt: skip
TYPERS = {"pydantic", "rich.markdown", "rich.traceback", "typer"}
LOOK = {"aiohttp", "archgw.simulate", "archgw.supervisor", "numpy", "onnxruntime", "router_service.detectors",
        "sqlalchemy", "starlette", "tokenizers", "uvicorn", "watchfiles"}  # fmt: skip
TOLD = """
import sys
sys.argv[0] = "archgw"
from archgw.__main__ import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def imported(*arguments: str, program: str = TOLD) -> set[str]:
    """The modules that it takes."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env={**os.environ, **CODE}, capture_output=True, text=True, input="{}", check=False)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_listed_is_what_the_command_says_of_itself(name: str) -> None:
    listed, found = get_command(app).get_command(None, name), loaded(name)  # type: ignore[attr-defined]
    assert (found.name, found.hidden, found.rich_help_panel) == (name, listed.hidden, listed.rich_help_panel)
    assert found.help.partition("\n\n")[0] == listed.help
    assert found.get_short_help_str() == listed.get_short_help_str()


def test_the_table_is_the_command_line() -> None:
    group = get_command(app)
    assert isinstance(group, Listed)
    assert list(group.commands) == list(COMMANDS) == [command.name for command in group.commands.values()]


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (["--help"], HEAVY | {"pydantic", "rich.traceback", "markdown_it", "pygments"}),
        (["--version"], HEAVY | {"rich.console"}),
        (["statusline"], HEAVY | TYPERS),
        (["prompt-hook"], HEAVY | TYPERS),
        *(([name, "--help"], LOOK) for name in ("status", "why", "top")),
        *(([name, "--help"], LOOK | {"grpc"}) for name in ("cli-agent", "check")),
        *(([name, "--help"], LOOK - {"router_service.detectors"} | {"grpc"}) for name in ("render", "check-mesh")),
        (["up", "--help"], LOOK - {"archgw.supervisor"} | {"grpc"}),
        (["stats", "--help"], LOOK - {"sqlalchemy"} | {"grpc"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_command_brings_nothing_that_others_need(arguments: list[str], without: set[str]) -> None:
    assert imported(*arguments) & without == set()


def test_a_supervisor_brings_what_it_needs_to_keep_two_processes_running() -> None:
    program = "import sys, archgw.supervisor\nprint(*sorted(sys.modules), file=sys.stderr)"
    assert imported(program=program) & (LOOK | {"grpc", "typer", "router_service.dialects"}) == {"archgw.supervisor"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("archgw st", ["status", "stats", "statusline"]),
        ("archgw render me", ["mesh"]),
        ("archgw cache clear --c", ["--config"]),
    ],
)
def test_a_shell_can_complete(words: str, expected: list[str]) -> None:
    asked = {"_ARCHGW_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [sys.executable, "-c", TOLD]
    done = subprocess.run(command, env={**os.environ, **CODE, **asked}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == expected
