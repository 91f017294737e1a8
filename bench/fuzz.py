"""Goes on with the inputs of tests/test_fuzz.py for as long as it is told: python bench/fuzz.py --seconds 600

Half of the time on the gateway's own machines, without Envoy, one input a request with all its answers; half, unless
`--no-sockets`, with raw sockets on a whole gateway of its own: requests with a few bytes changed, on the real listener.
Prints how many inputs were tried, how they ended, and each crash with the number that repeats it (`--from NUMBER
--seconds 0`). Exits with 1 after a crash.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import mangling  # noqa: E402 - found there
from archgw import client  # noqa: E402 - found there
from archgw.simulate import Simulator  # noqa: E402 - found there
from stack import Gateway, gateway  # noqa: E402 - found there

AT_ONCE = 8  # sockets
ANSWER_WITHIN = 60.0  # seconds for the last one; the others end when their connection does
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: k, base_url: "$URL_ANTHROPIC"}
limits: {pause_in_request: 1s}
"""
VERBS = (b"POST", b"GET", b"PUT", b"CONNECT", b"TRACE", b"OPTIONS", b"PRI", b"p\xffst")
EXTRA = (
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity, chunked", b"Content-Length: 0",
    b"Content-Length: -1", b"Connection: close", b"Connection: x-api-key, keep-alive", b"Upgrade: h2c",
    b"Upgrade: websocket", b"Expect: 100-continue", b"Host: a, b", b"X-Archgw-Chain: chain.default.openai-gpt-4o-mini",
    b"x-archgw-exchange: 0000000000000000", b" folded: 1", b"TE: trailers", b"X-Envoy-Max-Retries: 99",
    b"Content-Type: \xff", b"NoColon", b"A" * 70_000 + b": 1", b"Trailer: x-api-key",
)  # fmt: skip


def in_process(seconds: float, first: int) -> tuple[Counter[str], list[str]]:
    ends: Counter[str] = Counter()
    crashes: dict[str, str] = {}
    until, number = time.monotonic() + seconds, first
    while number == first or time.monotonic() < until:
        begun = time.process_time()
        try:
            ends[mangling.one_request(Random(number))] += 1
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            crashes.setdefault(where, f"--from {number}: {where}: {str(error)[:200]}")
            ends["crashed"] += 1
        if time.process_time() - begun > 2:
            crashes.setdefault("slow", f"--from {number}: took {time.process_time() - begun:.1f} s of CPU")
        number += 1
    return ends, list(crashes.values())


def raw(chance: Random) -> bytes:
    """A request as bytes, with something wrong about it as a rule."""
    head, body = mangling.sent(chance)
    verb = b"POST" if chance.random() < 0.9 else chance.choice(VERBS)
    path = head.headers[":path"].encode("utf-8", "replace")
    lines = [verb + b" " + path + b" HTTP/1.1", b"host: x"]
    lines += [
        f"{name}: {value}".encode()
        for name, value in head.headers.items()
        if not name.startswith(":") and name != "content-length"
    ]
    length = len(body) if chance.random() < 0.8 else chance.choice((0, len(body) // 2, len(body) + 7, 10**12))
    lines.append(b"content-length: %d" % length)
    for _ in range(chance.choice((0, 0, 1, 2))):
        lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(EXTRA))
    whole = (b"\r\n" if chance.random() < 0.97 else b"\n").join(lines) + b"\r\n\r\n" + body
    if chance.random() < 0.2:  # in the head, which the machines above never see
        cut = whole.index(b"\r\n\r\n") if b"\r\n\r\n" in whole else len(whole)
        whole = mangling.octets(whole[:cut], chance) + whole[cut:]
    return whole


async def one_socket(running: Gateway, data: bytes, chance: Random) -> str:
    port = int(running.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in mangling.chunks(data, chance)[:50] if chance.random() < 0.3 else [data]:
            writer.write(piece)
            await writer.drain()
        if chance.random() < 0.1:
            writer.write_eof()
        first = await asyncio.wait_for(reader.read(4096), ANSWER_WITHIN)
        return first[9:12].decode("latin-1") if first.startswith(b"HTTP/1.1 ") else ("closed" if not first else "other")
    except TimeoutError:
        return "silent"
    except OSError:
        return "closed"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, OSError):
            await writer.wait_closed()


async def sockets(seconds: float, first: int) -> tuple[Counter[str], list[str]]:
    ends: Counter[str] = Counter()
    crashes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        async with Simulator("openai") as openai, Simulator("anthropic") as anthropic:
            providers = {"openai": openai, "anthropic": anthropic}
            async with gateway(Path(folder), CONFIG, providers) as running:
                numbers = iter(range(first, 10**12))
                until = time.monotonic() + seconds

                async def client_of() -> None:
                    while time.monotonic() < until:
                        number = next(numbers)
                        chance = Random(number)
                        end = await one_socket(running, raw(chance), chance)
                        ends[end] += 1
                        if end in ("500", "silent"):
                            crashes.append(f"socket {number}: {end}")

                await asyncio.gather(*(client_of() for _ in range(AT_ONCE)))
                answer = await running.ask(
                    {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
                )
                if answer.status != 200:
                    crashes.append(f"afterwards a good request got {answer.status}: {answer.body[:300]!r}")
                crashes += await left_behind(running)
    return ends, crashes


async def left_behind(running: Gateway) -> list[str]:
    """What must not be after all of it: a process started again, a request that is kept, a leak, an error of ours."""
    found = [f"{name} was started again" for name in running.supervisor.restarts]
    found += [f"leak: {leak.header}" for one in running.providers.values() for leak in one.leaks]
    log = running.home.log("router").read_text("utf-8", "replace")
    found += [f"router's log: {line[:300]}" for line in log.splitlines() if "Error at" in line or "Traceback" in line][
        :20
    ]
    for _ in range(400):
        status = await asyncio.to_thread(client.status, running.home)
        if status.requests_under_way == 0 and status.bytes_held == 0:
            return found
        await asyncio.sleep(0.1)
    return [*found, f"{status.requests_under_way} requests are kept, {status.bytes_held} bytes"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--from", dest="first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--no-sockets", action="store_true")
    known = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the simulated providers' clients go whenever they like
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    with_sockets = not known.no_sockets and known.seconds > 0
    parts = {"machines": in_process(known.seconds / (2 if with_sockets else 1), known.first)}
    if with_sockets:
        parts["sockets"] = asyncio.run(sockets(known.seconds / 2, known.first))
    for name, (ends, crashes) in parts.items():
        print(f"{name}: {sum(ends.values()):,} inputs, {len(crashes)} crashes; {json.dumps(dict(ends.most_common()))}")
        for crash in crashes:
            print(f"  {crash}")
    if any(crashes for _, crashes in parts.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
