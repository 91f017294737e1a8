"""archgw cache: what the cache of answers holds, and how it is emptied."""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import grpc
import typer

from archgw import client, configs, report
from archgw.home import Home, home
from router_service.plan import plan
from router_service.shell import cache
from router_service.shell.cache_file import Database
from router_service.switching import dollars

cache_app = typer.Typer(no_args_is_help=True, help="The cache of answers: look at it, or empty it.")
_CONFIG = Annotated[Path | None, typer.Option("--config", "-c", help=configs.HELP, show_default=False)]


@dataclass(frozen=True, slots=True)
class Told:
    """`hits`, `misses` and `saved` (dollars, against the baseline model) are since the gateway started; None where none
    runs."""

    entries: int
    bytes: int
    hits: int | None = None
    misses: int | None = None
    saved: float | None = None
    trouble: str = ""


@cache_app.command("status")
def status(
    config: _CONFIG = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show how many answers are kept, how large they are, how often they were used, and what that saved.

    The answers themselves are never shown. What was saved over weeks stands in archgw stats.
    """
    found = _told(config, clear=False)
    if as_json:
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
        return
    out = report.console
    out.print(f"{found.entries:,} answers, {_size(found.bytes)}")
    if found.hits is not None:
        asked = found.hits + (found.misses or 0)
        share = f" ({100 * found.hits / asked:.0f} %)" if asked else ""
        out.print(f"since the gateway started: {found.hits:,} of {asked:,} answered from it{share}, {_saved(found)}")
    if found.trouble:
        report.warn([found.trouble])
    if found.entries:
        out.print("[dim]forget them: archgw cache clear[/dim]")


@cache_app.command("clear")
def clear(config: _CONFIG = None) -> None:
    """Forget every answer that is kept, in memory, in the file or in Redis, while the gateway runs or not."""
    found = _told(config, clear=True)
    report.console.print(f"{found.entries:,} answers forgotten, {_size(found.bytes)}")
    if found.trouble:
        report.fail(found.trouble, mend="see that it can be reached, then say it again")


def _told(given: Path | None, *, clear: bool) -> Told:
    """By the gateway that runs; else by where its config keeps them."""
    at = home()
    if at.stack():
        try:
            told = client.cache(at, clear=clear)
        except grpc.RpcError:
            report.fail("the gateway does not answer", mend="see what it is doing: archgw status")
        return Told(told.entries, told.bytes, told.hits, told.misses, told.saved, told.trouble)
    return asyncio.run(_kept(at, given, clear=clear))


async def _kept(at: Home, given: Path | None, *, clear: bool) -> Told:
    path = given or configs.kept()
    config = configs.read(path, need_keys=False) if path else None
    planned = plan(config) if config and not all(entry.missing_key for entry in config.providers) else None
    kept = cache.of(planned, at.cache) if planned else cache.Cache(Database(at.cache))
    held = await (kept.clear() if clear else kept.held())
    trouble = kept.trouble
    await kept.close()
    return Told(held.entries, held.bytes, trouble=trouble)


def _saved(found: Told) -> str:
    return f"{dollars(found.saved or 0.0)} saved"


def _size(bytes: int) -> str:
    return f"{bytes / 2**20:.1f} MiB" if bytes >= 2**20 else f"{bytes / 1024:.1f} KiB"
