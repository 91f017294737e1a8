"""The rules of the house: nothing is missing from its table, nothing generated is stale, every module says its rule."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from archgw.agents import AGENTS
from archgw.app import COMMANDS, loaded
from archgw.render.mesh import TARGETS
from typer.core import TyperGroup

from router_service.detectors import DETECTORS
from router_service.dialects import DIALECTS
from router_service.policies import POLICIES
from router_service.providers import PROVIDERS

ROOT = Path(__file__).parent.parent
PB = "router_service/pb"


def files(folder: str, *others: str) -> list[str]:
    """The modules of a folder, but for those that are no entry of its table."""
    return sorted(path.stem for path in (ROOT / folder).glob("*.py") if path.stem not in ("__init__", *others))


@pytest.mark.parametrize(
    ("folder", "others", "table"),
    [
        ("router_service/providers", ["provider"], PROVIDERS),
        ("router_service/dialects", ["dialect"], DIALECTS),
        # Who answers first within a route is a policy by name; the others decide on the route itself.
        (
            "router_service/policies",
            ["policy", "blend", "cooled", "difficulty", "explicit", "pinned", "preference", "thrift", "whole"],
            POLICIES,
        ),
        ("router_service/detectors", ["detector", "complaints", "edits", "signs", "taking_back", "weights"], DETECTORS),
        ("cli/archgw/agents", ["agent", "shown", "texts"], AGENTS),
        (
            "cli/archgw/render/mesh",
            ["foreign", "fragments", "manifests", "merge", "shapes"],
            {target.replace("-", "_"): files for target, files in TARGETS.items()},
        ),
    ],
    ids=["providers", "dialects", "policies", "detectors", "agents", "meshes"],
)
def test_every_file_is_in_its_table(folder: str, others: list[str], table: dict[str, object]) -> None:
    assert sorted(table) == files(folder, *others)


def test_every_file_of_a_command_is_in_the_command_line() -> None:
    groups = [command for command in map(loaded, COMMANDS) if isinstance(command, TyperGroup)]
    callbacks = [command.callback for group in groups for command in group.commands.values()]
    used = {entry.place.partition(":")[0] for entry in COMMANDS.values()}
    used |= {callback.__module__.rpartition(".")[2] for callback in callbacks if callback}
    assert sorted(used) == files("cli/archgw/commands")


def test_what_protoc_makes_is_what_is_checked_in(tmp_path: Path) -> None:
    """After a change of proto/: make proto."""
    protos = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "proto" / PB).glob("*.proto"))
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", *outputs, *protos]
    subprocess.run(command, cwd=ROOT, check=True)
    made = {path.name: path.read_text() for path in (tmp_path / PB).iterdir()}
    kept = {path.name: path.read_text() for path in (ROOT / PB).glob("*_pb2*")}
    assert made == kept


MODULES = sorted(path for folder in ("router_service", "cli/archgw") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize(
    "module",
    [module for module in MODULES if module.parent != ROOT / PB],
    ids=lambda module: str(module.relative_to(ROOT)),
)
def test_a_module_opens_with_its_rule(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))
