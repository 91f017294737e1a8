"""What the commands of `archgw` take to start and to answer: python bench/command_line.py [--runs 15]

Each against a running gateway in which a session has been answered, in turns with the same Python doing nothing, and
importing typer and no more: what is above those is ours. CPU milliseconds are what is comparable on a machine that does
other things. Claude Code waits for `statusline` after each turn, at most once in 300 ms.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from archgw.commands.demo import free_port
from archgw.home import Home
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor

SESSION = "5c9f6b0e-8c59-4d0b-9d0f-0d6b3f1f2b11"
GIVEN = json.dumps({"session_id": SESSION, "prompt_id": "p", "model": {"id": "claude-opus-5-5"}}).encode()
NOTHING, TYPER = "python doing nothing", "python importing typer"
COMMANDS = (
    "statusline", "prompt-hook", "--version", "--help", "up --help",
    "status", "why last", "route hello", "stats", "check",
)  # fmt: skip
SAYS = {"statusline": b"openai/gpt-4o-mini", "--help": b"Start the gateway", "status": b"openai/gpt-4o-mini"}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="archgw-command-line-") as folder:
        async with Simulator("openai") as openai:
            config = Path(folder) / "config.yaml"
            config.write_text(
                f"listeners: {{egress_traffic: {{port: {free_port()}}}}}\n"
                f"llm_providers: [{{model: openai/gpt-4o-mini, access_key: k, base_url: '{openai.url}'}}]\n"
            )
            home = Home(Path(folder) / "home")
            supervisor = Supervisor(config, home, environment={"PATH": "/usr/bin:/bin", **_code()})
            async with supervisor.running(), aiohttp.ClientSession() as client:
                body = {"model": "arch.main.v1", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
                headers = {"x-claude-code-session-id": SESSION}
                async with client.post(f"{supervisor.url}/v1/messages", json=body, headers=headers) as answer:
                    answer.raise_for_status()
                seen = {"ANTHROPIC_BASE_URL": supervisor.url, "ARCHGW_HOME": str(home.folder), "COLUMNS": "100"}
                await asyncio.to_thread(_measure, seen, config.parent, runs)


def _measure(seen: Mapping[str, str], folder: Path, runs: int) -> None:
    programs = {NOTHING: ["-c", "pass"], TYPER: ["-c", "import typer"]}
    programs |= {f"archgw {command}": ["-m", "archgw", *command.split()] for command in COMMANDS}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(runs):
        for name, arguments in programs.items():
            found[name].append(_run(name, arguments, seen, folder))
    least = statistics.median(cpu for _, cpu in found[NOTHING])
    print(f"{'medians of ' + str(runs):24} {'CPU ms':>7} {'times':>6} {'wall ms':>8} {'modules':>8}")
    for name, arguments in programs.items():
        wall, cpu = (statistics.median(one[which] for one in found[name]) for which in (0, 1))
        print(f"{name:24} {cpu:7.0f} {cpu / least:6.1f} {wall:8.0f} {_modules(arguments, seen, folder):8}")


def _run(name: str, arguments: list[str], seen: Mapping[str, str], folder: Path) -> tuple[float, float]:
    """Milliseconds on the clock, and of CPU."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = _start(arguments, seen, folder)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or SAYS.get(name.removeprefix("archgw "), b"") not in done.stdout:
        raise SystemExit(f"{name}: {done.stdout!r} {done.stderr!r}")
    return 1000 * wall, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _modules(arguments: list[str], seen: Mapping[str, str], folder: Path) -> int:
    return _start(["-X", "importtime", *arguments], seen, folder).stderr.count(b"import time:") - 1


def _start(arguments: list[str], seen: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **_code(), **seen}
    command = [sys.executable, *arguments]
    return subprocess.run(command, input=GIVEN, capture_output=True, env=environment, cwd=folder, check=False)


def _code() -> dict[str, str]:
    """Where a checkout is not installed."""
    return {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}


if __name__ == "__main__":
    asyncio.run(main())
