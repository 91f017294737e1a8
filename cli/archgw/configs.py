"""Finds and loads the config that a command is about."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from archgw import report
from router_service.config import Config, ConfigErrors, LocalModel, settled, usable, with_workers
from router_service.plan import Plan, plan
from router_service.providers import PROVIDERS
from router_service.shell.files import Source, source, variables

HELP = "The config to use. Without it: ./config.yaml, else ~/.archgw/config.yaml."
Argument = Annotated[Path | None, typer.Argument(help=HELP, show_default=False)]


def find(given: Path | None) -> Path:
    """The config file, absolute. Without any, says how to get one."""
    if given is not None:
        if given.is_dir():
            report.fail(f"{given} is a folder", mend=f"name the file in it: {given / 'config.yaml'}")
        if not given.is_file():
            report.fail(
                f"there is no file {given}",
                mend="name a config, or start from the example: archgw example > config.yaml",
            )
        return given.resolve()
    found = kept()
    if found is None:
        report.fail("no config.yaml here or in ~/.archgw", mend=_proposal())
    return found


def kept() -> Path | None:
    """The config that is here, else the one at home, absolute."""
    at_home = Path(os.environ.get("ARCHGW_HOME") or Path.home() / ".archgw") / "config.yaml"
    found = next((path for path in (Path("config.yaml"), at_home) if path.is_file()), None)
    return found.resolve() if found else None


def _proposal() -> str:
    """How to come to a config, given the keys that are there."""
    keys = [p.key_variable for p in PROVIDERS.values() if p.key_variable and os.environ.get(p.key_variable)]
    start = "archgw example > config.yaml && archgw up"
    if keys:
        return f"you have {', '.join(keys)}; start with the models they open: {start}"
    return f"set a key, such as ANTHROPIC_API_KEY, then: {start}\n  or try it without any: archgw demo, archgw simulate"


def read(path: Path, *, need_keys: bool = True, environment: Mapping[str, str] | None = None) -> Config:
    """Exits with every mistake of the file, and with every variable that is not set and cannot be done without."""
    return _read(path, environment, usable if need_keys else settled)


def _read(path: Path, environment: Mapping[str, str] | None, checked: Callable[[Config], Config]) -> Config:
    return _sourced(path, environment, checked)[1]


def _sourced(
    path: Path, environment: Mapping[str, str] | None, checked: Callable[[Config], Config]
) -> tuple[Source, Config]:
    try:
        given = source(path, environment)
        return given, checked(given.config())
    except ConfigErrors as error:
        report.errors.print(str(error), markup=False, soft_wrap=True)
        raise SystemExit(report.NO) from error
    except OSError as error:
        report.fail(f"cannot read {path}: {error.strerror}")


def resolve(path: Path, *, workers: int | None = None) -> tuple[Config, Plan]:
    """`workers`: so many, whatever the file says. Exits with every mistake of the file."""
    config = read(path)
    try:
        config = with_workers(config, workers) if workers else config
    except ConfigErrors as error:
        report.errors.print(str(error), markup=False, soft_wrap=True)
        raise SystemExit(report.NO) from error
    return config, plan(config)


def database_variables(path: Path) -> dict[str, str]:
    """What PostgreSQL's clients look for in the environment, and is in a .env or in a container's secrets."""
    return {name: text for name, text in variables(path).items() if name.startswith("PG")}


def at_once(path: Path, *, all_models: bool) -> tuple[Source, Plan]:
    """What was read, and the plan of it: the same keys in both, whatever becomes of the files."""
    given, config = _sourced(path, None, (lambda config: config) if all_models else usable)
    return given, of(config, {entry.known_as for entry in config.providers}) if all_models else plan(config)


def check_model(config: Config) -> None:
    """Exits where a router model of the user's own cannot be used.

    A gateway that is started again by itself, with nobody there to mend it, goes on without; see `router_model.ready`.
    """
    wanted = config.routing.model
    if not isinstance(wanted, LocalModel):
        return
    from router_service.shell.onnx_model import BadModel  # loads the tokenizer library: a second
    from router_service.shell.router_model import onnx_model

    try:
        onnx_model(wanted)
    except BadModel as error:
        report.fail(f"routing.model: {error}", mend="without routing.model the model that ships is used")


def complete(path: Path) -> Plan:
    """The plan as if every key were set: for what is rendered once and runs elsewhere."""
    config = unsettled(path)
    return of(config, {entry.known_as for entry in config.providers})


def unsettled(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """What the file says, whatever variables are set. Exits with every mistake of the file."""
    return _read(path, environment, lambda config: config)


def of(config: Config, models: Collection[str]) -> Plan:
    """The plan with these models, one at least, whatever keys are here."""
    entries = (
        replace(entry, missing_key="" if entry.known_as in models else entry.missing_key or "A_KEY")
        for entry in config.providers
    )
    return plan(replace(config, providers=tuple(entries)))


def rewritten(path: Path, text: str, environment: Mapping[str, str] | None = None) -> Plan:
    """The plan as if every key were set, of the file at `path` if it said `text`. Raises ConfigErrors, OSError."""
    config = replace(source(path, environment), text=text).config()
    return of(config, {entry.known_as for entry in config.providers})
