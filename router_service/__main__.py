"""The router service as a process: `python -m router_service --config config.yaml --socket router.sock`."""

import argparse
import asyncio
import json
import logging
import os
import resource
import secrets
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path

from router_service.budgets import Spending
from router_service.config import Config, ConfigErrors, usable, with_workers
from router_service.exchange import Exchanges
from router_service.gateway import Gateway
from router_service.plan import plan
from router_service.shell import cache, drain, learner, ledger, logs, purse, rendered, state, telemetry
from router_service.shell.files import Source, source, variables
from router_service.shell.grpc_server import serve
from router_service.workers import Worker, share


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m router_service", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the config.yaml to serve")
    parser.add_argument("--accepted", type=Path, help="what the supervisor accepted of it; see _given")
    parser.add_argument("--rendered", type=Path, help="what Envoy was told, in a container: see shell/rendered.py")
    parser.add_argument("--socket", type=Path, required=True, help="the unix socket that Envoy calls; of worker 0")
    parser.add_argument("--state", type=Path, help="the file in which sessions outlive the service")
    parser.add_argument("--ledger", type=Path, help="the file in which a ledger of SQLite stands")
    parser.add_argument("--cache", type=Path, help="the file in which answers are kept, where the config wants it")
    parser.add_argument("--workers", type=int, help="how many of them stand behind Envoy; else as the config says")
    parser.add_argument("--worker", type=int, help="which of them this is, from 0")
    parser.add_argument("--envoy-admin", type=Path, help="the unix socket of Envoy's own page")
    parser.add_argument("--drain-time", type=float, help="Envoy's --drain-time-s, where a file asks for it: see drain")
    parser.add_argument("--all-keys", action="store_true", help="end where a model has no key: Envoy was told of all")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when standard input does: no orphan")
    arguments = parser.parse_args()
    os.umask(0o077)  # whatever this process makes, the socket above all, is its owner's alone
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # keys and prompts are in this memory
    logs.start()
    try:
        given, models = _given(arguments)
        config = given.config()
        config = usable(config if models is None else rendered.as_then(config, models))
        if arguments.all_keys:
            _has_all_keys(config)
        if arguments.workers:
            config = with_workers(config, arguments.workers)
        os.environ.update(given.variables)  # the clouds' libraries look there, and know of no .env
    except (OSError, ConfigErrors) as error:
        sys.exit(str(error))
    planned = plan(config)
    worker = _worker(arguments, planned.workers)
    most = share(planned.limits, planned.workers)
    gateway = Gateway(
        planned,
        new_id=worker.ids(lambda: secrets.token_hex(8)),
        exchanges=Exchanges(limit=most.requests, max_bytes=most.memory),
        spending=Spending(secrets.token_hex(8)),
        show_asks=os.environ.get("ARCHGW_SHOW_ASKS") == "1",
        random=secrets.SystemRandom().random,
    )
    try:
        store = state.of(gateway.plan, arguments.state, gateway.cooling)
        books = ledger.of(gateway.plan, arguments.ledger)
        spent = purse.of(gateway.plan, arguments.ledger)
        told = telemetry.of(gateway.plan, worker.name if worker.count > 1 else "")
        kept = cache.of(gateway.plan, arguments.cache)
        taught = learner.of(gateway.plan, arguments.ledger)
        work = serve(gateway, worker, store, books, arguments.envoy_admin, told, spent, kept, taught)
        if arguments.drain_time is not None:
            work = drain.beside(work, arguments.envoy_admin, arguments.drain_time)
        asyncio.run(_until_told_to_stop(work, until_stdin_ends=arguments.until_stdin_ends))
    except (state.BadStore, ledger.BadLedger) as error:
        sys.exit(str(error))


def _worker(arguments: argparse.Namespace, count: int) -> Worker:
    if count > 1 and arguments.worker is None:
        numbers = " ... ".join(f"--worker {one}" for one in (0, count - 1))
        sys.exit(f"workers: {count}: each is a process of its own; say which this is: {numbers}")
    if not 0 <= (arguments.worker or 0) < count:
        sys.exit(f"--worker {arguments.worker}: they are numbered from 0 to {count - 1}")
    return Worker(arguments.socket, arguments.worker or 0, count)


def _has_all_keys(config: Config) -> None:
    """An Envoy that was told elsewhere of models which nobody here can ask has other chains than we name."""
    missing = sorted({f"${entry.missing_key}" for entry in config.providers if entry.missing_key})
    if missing:
        words = f"{', '.join(missing)}: not set, and Envoy was told of its models"
        sys.exit(f"{words}. Set it, or leave them out of {config.file} and render Envoy's part of it anew")


def _given(arguments: argparse.Namespace) -> tuple[Source, frozenset[str] | None]:
    """The config as it is; as it was accepted; or as it was when Envoy's part was rendered, with the models of then.

    The variables of one that was accepted, keys among them, come as a line of JSON on standard input: those of a `.env`
    shall be in no file of ours and in no process's environment.
    """
    if arguments.rendered:
        text = arguments.rendered.read_text("utf-8")
        return rendered.from_json(text, variables(rendered.file_of(text)))
    if not arguments.accepted:
        return source(arguments.config), None
    return Source.from_json(arguments.accepted.read_text(), json.loads(sys.stdin.readline())), None


async def _until_told_to_stop(work: Coroutine[None, None, None], *, until_stdin_ends: bool) -> None:
    serving = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    if until_stdin_ends:  # nobody writes to it; that it can be read means that it has ended
        loop.add_reader(sys.stdin.fileno(), serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        logging.getLogger("archgw").info("stopped")


main()
