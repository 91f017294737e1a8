"""archgw statusline: one line about who really answered, for Claude Code's status line.

The client gives JSON on standard input after each turn and waits for the line: so nothing heavy is imported here,
nothing fails aloud, and a gateway that is away is no reason to say anything.
"""

import json
import os
import sys
from typing import Any

from archgw.plain_http import USUAL, send

_PATH = "/archgw/sessions/"
_PATIENCE = 0.5  # seconds for the gateway
_AFTER = 2.0  # seconds for the user's own line
_LONGEST = 100  # letters of the reason
_DIM, _BOLD, _YELLOW, _RED, _PLAIN = "\033[2m", "\033[1m", "\033[33m", "\033[31m", "\033[0m"
_ORDER = ["", "warn", "downgrade", "block"]  # of what a budget comes to

HELP = """usage: archgw statusline [--after COMMAND]

Print one line about the model that really answered, for Claude Code's status line. It has the model, the preference
and why, tries, how much came from the vendor's cache, what the session has cost and saved, and the tightest budget.
Reads the client's JSON from standard input; silent when the gateway is away. `archgw cli-agent claude` sets it up.

  --after COMMAND   run this first and print what it says above ours: your own status line
"""


def main(arguments: list[str]) -> int:
    """Always 0: a status line that fails is blanked by the client."""
    if {"--help", "-h"} & set(arguments):
        sys.stdout.write(HELP)
        return 0
    try:
        given = sys.stdin.buffer.read() if not sys.stdin.isatty() else b"{}"
        lines = [*_own(arguments, given), *_ours(given)]
        sys.stdout.write("\n".join(lines) + "\n" * bool(lines))
    except Exception:  # noqa: S110 - whatever it is, the line stays empty
        pass
    return 0


def _own(arguments: list[str], given: bytes) -> list[str]:
    """What the user's own command says, given the same."""
    if arguments[:1] != ["--after"] or len(arguments) < 2:
        return []
    import subprocess

    try:
        said = subprocess.run(  # noqa: S602 - the user's own command, as the client would run it
            arguments[1], shell=True, input=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_AFTER
        )
    except subprocess.TimeoutExpired:
        return []
    return said.stdout.decode("utf-8", "replace").rstrip("\n").splitlines()


def _ours(given: bytes) -> list[str]:
    client: Any = json.loads(given or b"{}")
    session = client.get("session_id") if isinstance(client, dict) else None
    if not isinstance(session, str) or not session.replace("-", "").isalnum():
        return []
    told = ask(os.environ.get("ANTHROPIC_BASE_URL") or USUAL, session)
    return [line(told, color="NO_COLOR" not in os.environ)] if told else []


def ask(url: str, session: str) -> dict[str, Any] | None:
    """What the gateway knows of the session; None when there is no gateway, or nothing known."""
    answered = send(url, "GET", f"{_PATH}{session}", patience=_PATIENCE)
    if answered is None or answered[0] != 200:
        return None
    told = json.loads(answered[1])
    return told if isinstance(told, dict) and ("model" in told or told.get("budgets")) else None


def line(told: dict[str, Any], *, color: bool = True) -> str:
    """`told` is what /archgw/sessions/ID answers."""
    dim, bold, yellow, red, plain = (_DIM, _BOLD, _YELLOW, _RED, _PLAIN) if color else ("", "", "", "", "")
    between = f" {dim}·{plain} "
    state, words = _budget(told)
    mark = {"": "", "block": red}.get(state, yellow)
    budget = [f"{mark}{words}{plain if state else ''}"] if words else []
    if "model" not in told:
        return between.join(budget)
    parts = [f"{bold}{told['model']}{plain} {dim}{_why(str(told['reason']), told['model'])}{plain}"]
    if told["attempts"] > 1:
        parts.append(f"{yellow}failover: try {told['attempts']}{plain}")
    if told["cached"] is not None:
        parts.append(f"cache {'warm' if told['cached'] >= 0.5 else 'cold'} {told['cached'] * 100:.0f} %")
    parts += _money(told)
    return between.join([*budget, *parts] if state == "block" else [*parts, *budget])


def _budget(told: dict[str, Any]) -> tuple[str, str]:
    """What the budget nearest to its end comes to, and what to say of it; one that blocks goes before all others."""
    budgets = told.get("budgets") or []
    if not budgets:
        return "", ""
    found = max(budgets, key=lambda one: (_ORDER.index(one["state"]), one["spent"] / one["limit"]))
    if found["state"] == "block":
        return "block", f"budget spent: {found['words']}"
    share, of = found["spent"] / found["limit"] * 100, found["words"].partition(" of ")[2]
    return found["state"], f"budget {share:.0f} % of {of}{', cheapest first' if found['state'] == 'downgrade' else ''}"


def _why(reason: str, model: str) -> str:
    """The reason without the model, which stands before it already."""
    words = reason.replace(f" -> stays with {model}", "").replace(f" -> {model}", "")
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def _money(told: dict[str, Any]) -> list[str]:
    spent, baseline = told["spent"], told["baseline"]
    if not spent:
        return []
    saved = baseline["cost"] - spent
    if abs(saved) < 0.005:
        return [f"${spent:.2f}"]
    compared = f"saved ${saved:.2f}" if saved > 0 else f"${-saved:.2f} over"
    return [f"${spent:.2f}, {compared} {'against ' if saved > 0 else ''}{baseline['model']}"]
