"""Starts the mock provider and the gateways to compare, each on one CPU core, and writes a targets file for bench.py.

    peers.py install direct litellm ccr portkey    into .work (needs cc, pip, npm)
    peers.py up direct envoy archgw litellm        start them; writes .work/targets.json
    peers.py start-time archgw --times 3           seconds from exec to the first answered chat request
    peers.py down                                  stops what `up` started, by pid

Every server listens on loopback. The gateway under test gets one core (--gateway-cpu); the mock shares the other one
with the load generator (--client-cpu). On a machine with one core nothing is pinned.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bodies
from gateways import HERE, UPSTREAM_PORT, Gateway, gateways
from targets import Target

WORK = HERE / ".work"
_START_WITHIN = 120.0  # seconds
_STOP_WITHIN = 15.0  # seconds; archgw ends its services in good order first
_PACKAGES = {"cc": "apt-get install gcc", "npm": "install Node.js"}
Specs = dict[str, dict[str, Any]]  # name -> the fields of a Target, but for the name


@contextmanager
def running(names: Iterable[str], **changed: Gateway) -> Iterator[Specs]:
    """These gateways, installed where that has not been done, up for as long as the context is open.

    `changed` are run in place of those of the same name.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    known = _chosen(WORK, names) | changed
    up: Specs = {}
    try:
        for name, gateway in known.items():
            if gateway.install and not shutil.which(gateway.command[0]):
                install(name, gateway, WORK)
            up[name] = start(name, gateway, WORK, _cpu(name))
        yield up
    finally:
        stop(spec["pid"] for spec in up.values())


def install(name: str, gateway: Gateway, work: Path) -> None:
    for path, text in gateway.files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    for line in gateway.install:
        program, *arguments = line.split()
        if not shutil.which(program, path=f"{os.environ['PATH']}:{work}") and program in _PACKAGES:
            sys.exit(f"{name} needs {program}, which is not installed: {_PACKAGES[program]}")
        print(f"[{name}] {line}", file=sys.stderr, flush=True)
        subprocess.run([program, *arguments], cwd=work, check=True)


def start(name: str, gateway: Gateway, work: Path, cpu: int | None) -> dict[str, Any]:
    """Start a gateway; what a Target is to know of it. Its pid is that of its process group and session."""
    command = _configured(name, gateway, work)
    begin = time.monotonic()
    with (work / f"{name}.log").open("w") as log:
        # sh forks it and exits: an Envoy (1.40) stops when its parent does, and `peers.py up` ends
        shell = subprocess.Popen(
            ["sh", "-c", '"$@" &', "sh", *command],
            env={**os.environ, **gateway.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=work,
            start_new_session=True,
            preexec_fn=None if cpu is None else (lambda: os.sched_setaffinity(0, {cpu})),
        )
    shell.wait()
    headers = {mode: dict(headers) for mode, headers in gateway.headers.items()}
    target = Target(name, gateway.url, pid=shell.pid, models=dict(gateway.models), headers=headers)
    last = ""
    while time.monotonic() - begin < _START_WITHIN:
        if not alive(shell.pid):
            sys.exit(f"{name} has stopped: see {work / f'{name}.log'}")
        last = _first_answer(target)
        if last == "200":
            target.start_s = round(time.monotonic() - begin, 2)
            return {field: value for field, value in asdict(target).items() if field not in ("name", "broken")}
        time.sleep(0.02)
    stop([shell.pid])
    sys.exit(f"{name} did not answer a chat request within {_START_WITHIN:g} s (last: {last})")


def alive(group: int) -> bool:
    """Whether a process group has a member that is no zombie."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def stop(groups: Iterable[int]) -> None:
    """Each gateway has a process group of its own: it and its children, and nothing else."""
    for group in groups:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if alive(group):
                os.killpg(group, number)
            end = time.monotonic() + _STOP_WITHIN
            while alive(group) and time.monotonic() < end:
                time.sleep(0.05)


def _configured(name: str, gateway: Gateway, work: Path) -> list[str]:
    """Write its configuration; its command."""
    fill = {"@PORT@": str(gateway.port), "@UPSTREAM_PORT@": str(UPSTREAM_PORT)}
    if gateway.config:
        path = work / (gateway.config_to or f"{name}-{gateway.config}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(filled((HERE / "peers" / gateway.config).read_text(), fill))
        fill["@CONFIG@"] = str(path)
    if gateway.stale:
        (work / gateway.stale).unlink(missing_ok=True)
    return [filled(argument, fill) for argument in gateway.command]


def filled(text: str, values: dict[str, str]) -> str:
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text


def _first_answer(target: Target) -> str:
    """The status of a small request in one dialect or the other, for a gateway need not speak both."""
    last = ""
    for mode in bodies.PATHS:
        last = _status(target, mode)
        if last == "200":
            break
    return last


def _status(target: Target, mode: str) -> str:
    request = urllib.request.Request(target.full_url(mode), target.body(mode, 256), target.sent_headers(mode))
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return str(reply.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return str(error)


def _chosen(work: Path, names: Iterable[str]) -> dict[str, Gateway]:
    known = gateways(work)
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return {name: known[name] for name in names}


def _cpu(name: str, *, gateway: int = 0, client: int = 1) -> int | None:
    """The mock runs where the load generator does; None where there is one core only."""
    if len(os.sched_getaffinity(0)) < 2:
        return None
    return client if name == "direct" else gateway


# -- the command line ----------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["install", "up", "down", "start-time"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--gateway-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    state = work / "targets.json"
    if options.action == "down":
        _down(state)
        return
    for name, gateway in _chosen(work, options.names).items():
        cpu = _cpu(name, gateway=options.gateway_cpu, client=options.client_cpu)
        match options.action:
            case "install":
                install(name, gateway, work)
            case "up":
                _up(name, gateway, work, cpu, state)
            case "start-time":
                _start_time(name, gateway, work, cpu, options.times)


def _up(name: str, gateway: Gateway, work: Path, cpu: int | None, state: Path) -> None:
    up: Specs = json.loads(state.read_text()) if state.exists() else {}
    if name in up:
        print(f"{name}: already up")
        return
    up[name] = start(name, gateway, work, cpu)
    state.write_text(json.dumps(up, indent=1))
    print(f"{name}: {gateway.url} group {up[name]['pid']}, answered after {up[name]['start_s']:.2f} s", flush=True)


def _down(state: Path) -> None:
    if state.exists():
        stop(spec["pid"] for spec in json.loads(state.read_text()).values())
        state.unlink()


def _start_time(name: str, gateway: Gateway, work: Path, cpu: int | None, times: int) -> None:
    seconds = []
    for _ in range(times):
        spec = start(name, gateway, work, cpu)
        stop([spec["pid"]])
        seconds.append(spec["start_s"])
    told = ", ".join(f"{second:.2f}" for second in seconds)
    print(f"{name}: start to first answer {statistics.median(seconds):.2f} s (median of {told})", flush=True)


if __name__ == "__main__":
    main()
