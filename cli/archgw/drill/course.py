"""A drill from end to end: what was asked for, the grounds that it takes, and what was found on them."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import version

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from archgw import report
from archgw.drill.findings import Chain, Findings, Row
from archgw.drill.ground import Ground, prepared
from archgw.drill.leads import Lead
from archgw.drill.reading import Client
from archgw.drill.rewiring import changes
from archgw.drill.running import drilled
from archgw.drill.scenarios import Scenario
from router_service.config import Config, ProviderEntry

_SIMULATED = "Every model is played by a simulated provider of its vendor, on this machine."
_REAL = "The broken model is simulated, all others are the real vendors."
_CHANGES = (
    "which preference is asked for, the drill says instead of the router model, but for the rows of the gateway itself",
    "the listed order of a preference's models holds, and sessions are kept in memory alone",
)


@dataclass(frozen=True, slots=True)
class Course:
    """All that was asked for. `text` is the config's; `leads` are the models to break, of all `entries`."""

    title: str
    config: Config
    environment: dict[str, str]
    entries: tuple[ProviderEntry, ...]
    leads: tuple[Lead, ...]
    scenarios: tuple[Scenario, ...]
    clients: tuple[Client, ...]
    patience: float
    real: bool
    text: str

    @property
    def of_models(self) -> list[Scenario]:
        return [one for one in self.scenarios if not one.of_gateway and not (self.real and one.how == "everyone")]

    @property
    def of_gateway(self) -> list[Scenario]:
        return [one for one in self.scenarios if one.of_gateway]

    @property
    def steps(self) -> int:
        return len(self.leads) * len(self.of_models) + len(self.of_gateway)


class _Found:
    """What has been found up to now."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.leaks: list[str] = []
        self.requests = 0

    def keep(self, ground: Ground) -> None:
        self.leaks += ground.leaks()
        self.requests += ground.requests


async def gone_through(course: Course, *, port: Callable[[], int]) -> Findings:
    """Break all that was asked for; `port` finds a free one. Raises CannotStart."""
    began, started, found = time.strftime("%Y-%m-%d %H:%M"), time.monotonic(), _Found()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=report.errors, transient=True) as progress:
        task = progress.add_task("starting the gateway", total=course.steps)
        for played, broken in _grounds(course):
            await _on_one_ground(course, port(), played, broken, found, progress)
        if course.of_gateway:
            progress.update(task, description="starting the gateway with its router model")
            await _the_gateway_itself(course, port(), found, progress)
    return Findings(
        config=course.title,
        version=version("archgw"),
        kind=_REAL if course.real else _SIMULATED,
        began=began,
        seconds=time.monotonic() - started,
        clients=tuple(client.name for client in course.clients),
        chains=tuple(Chain(lead.label, lead.then, lead.because) for lead in course.leads),
        changes=(*changes(course.config.failover, course.patience), *_CHANGES),
        rows=tuple(found.rows),
        leaks=tuple(found.leaks),
        requests=found.requests,
    )


def _grounds(course: Course) -> list[tuple[tuple[ProviderEntry, ...], tuple[Lead, ...]]]:
    """Which entries are played, and which models are broken meanwhile: all at once, or, among real ones, one by one."""
    if not course.of_models:
        return []
    if not course.real:
        return [(course.entries, course.leads)]
    return [(_entry_of(course, lead), (lead,)) for lead in course.leads]


def _entry_of(course: Course, lead: Lead) -> tuple[ProviderEntry, ...]:
    return tuple(entry for entry in course.entries if entry.known_as == lead.label)


async def _on_one_ground(
    course: Course,
    port: int,
    played: tuple[ProviderEntry, ...],
    broken: tuple[Lead, ...],
    found: _Found,
    progress: Progress,
) -> None:
    async with _prepared(course, port, played) as ground:
        for lead in broken:
            progress.update(progress.task_ids[0], description=escape(lead.label))
            async for rows in drilled(ground, ground.leads[lead.label], course.of_models, course.clients):
                found.rows += rows
                progress.advance(progress.task_ids[0])
        found.keep(ground)


async def _the_gateway_itself(course: Course, port: int, found: _Found, progress: Progress) -> None:
    """With the config's own router model, which a router service that is started again has to load."""
    lead = course.leads[0]
    played = _entry_of(course, lead) if course.real else course.entries
    async with _prepared(course, port, played, routed=False) as ground:
        async for rows in drilled(ground, ground.leads[lead.label], course.of_gateway, course.clients):
            found.rows += rows
            progress.update(progress.task_ids[0], description=rows[0].broke.words, advance=1)
        found.keep(ground)


def _prepared(
    course: Course, port: int, played: tuple[ProviderEntry, ...], *, routed: bool = True
) -> AbstractAsyncContextManager[Ground]:
    return prepared(
        course.text,
        course.config,
        played,
        environment=course.environment,
        patience=course.patience,
        port=port,
        routed=routed,
    )
