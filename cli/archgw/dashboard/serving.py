"""The dashboard as a server of its own, until it is told to stop."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from archgw import configs
from archgw.books import Books
from archgw.dashboard import gateway, keys
from archgw.dashboard.app import Sources, application
from archgw.home import Home
from archgw.machine import DASHBOARD_HOST
from router_service.config import Config, Ledger


def sources(at: Home, ledger: Ledger, config: Callable[[], Config | None]) -> Sources:
    return Sources(Books(ledger, at.ledger), config, lambda: gateway.ask(at))


def server(what: Sources, *, port: int, key: str, every: float = 1.0, host: str = DASHBOARD_HOST) -> uvicorn.Server:
    """`every`: how often it looks for what is new, in seconds."""
    app = application(what, port=port, key=key, every=every, ending=lambda: made.should_exit)
    made = uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,  # as the process has it: router_service.shell.logs
            log_level=logging.WARNING,
            access_log=False,  # what is asked is nobody's business
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=3,
        )
    )
    return made


def of_the_stack(at: Home, port: int) -> None:
    """What the supervisor starts: until it ends, or standard input does."""
    file = at.accepted
    known = gateway.accepted(file)
    what = sources(at, known.ledger if known else Ledger(), _Kept(file))
    asyncio.run(_until_stdin_ends(server(what, port=port, key=keys.key(at))))


def of_a_container(at: Home, config: Path, port: int) -> None:
    """Until it is told to stop. Whom its network lets in is said where the port is published, not here."""
    os.environ.update(configs.database_variables(config))
    known = configs.read(config, need_keys=False)
    what = sources(at, known.ledger, lambda: known)
    server(what, port=port, key=keys.key(at), host="0.0.0.0").run()


def here(at: Home, config: Config | None, port: int) -> None:
    """In this process, until Ctrl-C."""
    what = sources(at, config.ledger if config else Ledger(), lambda: config)
    with suppress(KeyboardInterrupt):
        server(what, port=port, key=keys.key(at)).run()


async def _until_stdin_ends(running: uvicorn.Server) -> None:
    def end() -> None:
        running.should_exit = True

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), end)
    await running.serve()


class _Kept:
    """The config in use, read anew when the gateway has taken another."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[float, Config | None] = (0.0, None)

    def __call__(self) -> Config | None:
        try:
            changed = self._file.stat().st_mtime
        except OSError:
            return self._read[1]
        if changed != self._read[0]:
            self._read = (changed, gateway.accepted(self._file))
        return self._read[1]
