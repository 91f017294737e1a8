"""How long `archgw statusline` takes, with the interpreter's start: python bench/statusline.py [--runs 50]

The installed program against a running gateway in which a session has been answered, in turns with the same Python
doing nothing: what remains is ours. Claude Code shows the line after each turn and throttles it to one in 300 ms.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from archgw.commands.demo import free_port
from archgw.home import Home
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor

SESSION = "5c9f6b0e-8c59-4d0b-9d0f-0d6b3f1f2b11"
GIVEN = json.dumps({"session_id": SESSION, "prompt_id": "p", "model": {"id": "claude-opus-5-5"}}).encode()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="archgw-statusline-") as folder:
        async with Simulator("openai") as openai:
            config = Path(folder) / "config.yaml"
            config.write_text(
                f"listeners: {{egress_traffic: {{port: {free_port()}}}}}\n"
                f"llm_providers: [{{model: openai/gpt-4o-mini, access_key: k, base_url: '{openai.url}'}}]\n"
            )
            supervisor = Supervisor(config, Home(Path(folder) / "home"), environment={"PATH": "/usr/bin:/bin"})
            async with supervisor.running(), aiohttp.ClientSession() as client:
                body = {"model": "arch.main.v1", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
                headers = {"x-claude-code-session-id": SESSION}
                async with client.post(f"{supervisor.url}/v1/messages", json=body, headers=headers) as answer:
                    answer.raise_for_status()
                told = await asyncio.to_thread(_timed, supervisor.url, runs)
    for name, times in told.items():
        low, middle, high = min(times), statistics.median(times), max(times)
        print(f"{name:22} {low:6.1f} {middle:6.1f} {high:6.1f}   ms: least, median, most of {runs}")
    ratio = statistics.median(told["archgw statusline"]) / statistics.median(told["python doing nothing"])
    print(f"{'ratio of medians':22} {ratio:6.1f}")


def _timed(url: str, runs: int) -> dict[str, list[float]]:
    """Milliseconds of each run, by what was run."""
    program = Path(sys.executable).with_name("archgw")
    commands = {
        "python doing nothing": [sys.executable, "-c", "pass"],
        "archgw statusline": [str(program), "statusline"],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    environment = {"PATH": os.environ["PATH"], "ANTHROPIC_BASE_URL": url}
    for _ in range(runs):
        for name, command in commands.items():
            began = time.perf_counter()
            done = subprocess.run(command, input=GIVEN, capture_output=True, env=environment, check=True)
            found[name].append(1000 * (time.perf_counter() - began))
            if name == "archgw statusline" and b"openai/gpt-4o-mini" not in done.stdout:
                raise SystemExit(f"no line: {done.stdout!r}")
    return found


if __name__ == "__main__":
    asyncio.run(main())
