"""The status line: the truth about who answered, in one line, whatever happens."""

import io
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from archgw import statusline

SESSION = "5c9f6b0e-8c59-4d0b-9d0f-0d6b3f1f2b11"
TOLD: dict[str, Any] = {
    "model": "deepseek/deepseek-chat",
    "route": "coding",
    "reason": "coding (0.83 over bug fixing 0.10) -> deepseek/deepseek-chat",
    "kind": "user turn",
    "request": "id",
    "attempts": 1,
    "cached": None,
    "prompt": "",
    "spent": 0.0,
    "baseline": {"model": "openai/gpt-4.1", "cost": 0.0},
}


def line(**more: Any) -> str:
    return statusline.line(TOLD | more, color=False)


def test_who_answered_and_why() -> None:
    assert line() == "deepseek/deepseek-chat coding (0.83 over bug fixing 0.10)"


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"attempts": 2}, "failover: try 2"),
        ({"cached": 0.92}, "cache warm 92 %"),
        ({"cached": 0.0}, "cache cold 0 %"),
        ({"spent": 0.42, "baseline": {"model": "m", "cost": 1.52}}, "$0.42, saved $1.10 against m"),
        ({"spent": 0.42, "baseline": {"model": "m", "cost": 0.40}}, "$0.42, $0.02 over m"),
        ({"spent": 0.42, "baseline": {"model": "m", "cost": 0.42}}, "$0.42"),
        ({"reason": "tool continuation -> stays with deepseek/deepseek-chat (coding)"}, "tool continuation (coding)"),
    ],
)
def test_what_else_is_worth_a_word(more: dict[str, Any], part: str) -> None:
    assert part in line(**more)


def standing(state: str = "", spent: float = 1.0, limit: float = 5.0) -> dict[str, Any]:
    return {"state": state, "spent": spent, "limit": limit, "words": f"${spent:g} of ${limit:g} today"}


@pytest.mark.parametrize(
    ("budgets", "shown"),
    [
        ([], "MODEL"),
        ([standing()], "MODEL · budget 20 % of $5 today"),
        ([standing(), standing(spent=4.0)], "MODEL · budget 80 % of $5 today"),
        ([standing("warn", 4.0), standing(spent=9.0, limit=10.0)], "MODEL · YELLOWbudget 80 % of $5 today"),
        ([standing("downgrade", 6.0)], "MODEL · YELLOWbudget 120 % of $5 today, cheapest first"),
        ([standing("downgrade", 60.0), standing("block", 5.0)], "REDbudget spent: $5 of $5 today · MODEL"),
    ],
    ids=["none", "one", "the tightest", "what warns", "what downgrades", "what blocks stands first"],
)
def test_the_tightest_budget(budgets: list[dict[str, Any]], shown: str) -> None:
    plain = shown.replace("YELLOW", "").replace("RED", "")
    assert line(budgets=budgets).replace(line(), "MODEL") == plain
    for name, mark in (("YELLOW", "\033[33m"), ("RED", "\033[31m")):
        assert (mark in statusline.line(TOLD | {"budgets": budgets})) == (name in shown)


def test_a_budget_is_told_before_anything_was_answered() -> None:
    assert statusline.line({"error": "x", "budgets": [standing("block", 5.0)]}, color=False) == (
        "budget spent: $5 of $5 today"
    )


def test_a_long_reason_is_cut() -> None:
    assert line(reason="x" * 500) == "deepseek/deepseek-chat " + "x" * 99 + "…"


def test_colors_come_unless_they_are_not_wanted() -> None:
    assert "\033[1m" in statusline.line(TOLD) and "\033" not in line()


# -- asking the gateway --------------------------------------------------------------------------------------------


class _Door(socketserver.BaseRequestHandler):
    answer = b""
    heard = b""

    def handle(self) -> None:
        type(self).heard = self.request.recv(65536)
        self.request.sendall(self.answer)


@pytest.fixture
def door() -> Iterator[str]:
    with socketserver.TCPServer(("127.0.0.1", 0), _Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def http(body: bytes, *, status: str = "200 OK", head: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\n".encode() + head + b"\r\n" + body


WHOLE = json.dumps(TOLD).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(WHOLE), WHOLE)


@pytest.mark.parametrize(
    "answer",
    [http(WHOLE), http(CHUNKED, head=b"Transfer-Encoding: chunked\r\n")],
    ids=["whole", "in chunks"],
)
def test_the_gateway_is_asked_for_the_session(door: str, answer: bytes) -> None:
    _Door.answer = answer
    assert statusline.ask(door, SESSION) == TOLD
    assert _Door.heard.startswith(f"GET /archgw/sessions/{SESSION} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    "answer",
    [http(b"{}", status="404 Not Found"), http(b"[]"), http(b'{"other": 1}'), b""],
    ids=["unknown", "a list", "another's answer", "nothing"],
)
def test_nothing_is_said_when_nothing_is_known(door: str, answer: bytes) -> None:
    _Door.answer = answer
    assert statusline.ask(door, SESSION) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://api.anthropic.com", "nonsense", "http://[::1]:1"])
def test_nobody_is_there(url: str) -> None:
    assert statusline.ask(url, SESSION) is None


# -- the program ---------------------------------------------------------------------------------------------------


def run(given: bytes, *arguments: str, url: str = "http://127.0.0.1:1") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "archgw", "statusline", *arguments],
        input=given,
        capture_output=True,
        env={"ANTHROPIC_BASE_URL": url, "NO_COLOR": "1", "PATH": os.environ["PATH"]},
        check=False,
    )


def test_the_clients_json_becomes_a_line(door: str) -> None:
    _Door.answer = http(json.dumps(TOLD).encode())
    done = run(json.dumps({"session_id": SESSION, "prompt_id": "p"}).encode(), url=door)
    assert (done.returncode, done.stdout.decode()) == (0, f"{line()}\n")


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b'{"session_id": 7}',
        b'{"session_id": "../x"}',
        b'{"session_id": "a\\r\\nb"}',
    ],
)
def test_whatever_comes_it_neither_fails_nor_speaks(given: bytes) -> None:
    done = run(given)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_users_own_line_stands_above(door: str) -> None:
    _Door.answer = http(json.dumps(TOLD).encode())
    given = json.dumps({"session_id": SESSION}).encode()
    done = run(given, "--after", "cat; echo; echo mine >&2; exit 3", url=door)
    assert (done.returncode, done.stdout.decode()) == (0, f"{given.decode()}\n{line()}\n")
    assert run(b"{}", "--after", "echo mine").stdout == b"mine\n"


def test_help() -> None:
    assert b"usage: archgw statusline" in run(b"", "--help").stdout


def test_nothing_heavy_is_loaded() -> None:
    """What makes a command line slow to start has no place in what runs after each turn."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "archgw", "statusline"], input=b"{}", capture_output=True, check=True
    ).stderr.decode()
    loaded = {entry.rpartition("|")[2].strip() for entry in told.splitlines()}
    assert "archgw.statusline" in loaded
    heavy = {"typer", "rich", "grpc", "yaml", "asyncio", "subprocess", "http.client", "router_service"}
    assert not loaded & heavy


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    assert statusline.main([]) == 0
