"""How often the detectors are right: labelled turns, sent through the first hop as clients send them.

`python tests/detecting.py` prints it, and writes the tables into docs/feedback.md. A turn is a line of
tests/detectors/*.jsonl: what stood in the thread `before`, what comes `now`, whether another model is named
(`asked_model`), and its `labels`. What the author of the detectors wrote himself ("own") is told apart.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dialogue import CLAUDE, DEEPSEEK, MESSAGES, WALL, conversation_of, exchange_of, gateway_of

from router_service.detectors import retried
from router_service.session import Pin, Served, Session, session_key

ROOT = Path(__file__).parent.parent
FOLDER, PAGE = ROOT / "tests/detectors", ROOT / "docs/feedback.md"
NAMES = ("override", "re-ask", "correction", "interrupted", "retried", "tool error", "reverted")
OWN = "own"
BEGIN, END = "<!-- measured: python tests/detecting.py -->\n", "<!-- end -->\n"
_CLIENTS = {
    "claude-code": {"user-agent": "claude-cli/2.1.330 (external, cli)", "x-claude-code-session-id": "5c9f6b0e"},
    "codex": {"user-agent": "codex_cli_rs/0.171.0", "session-id": "5c9f6b0e"},
    "sdk": {"user-agent": "OpenAI/Python 3.54.0"},
}

Turn = dict[str, Any]


def turns() -> list[Turn]:
    """Every line of every file of the folder."""
    files = sorted(FOLDER.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines() if line.strip()]


def found(turn: Turn) -> frozenset[str]:
    """What the gateway tells of the answer before, half a minute after it, when it is sent the turn."""
    given, messages = _CLIENTS[turn["client"]], [*turn["before"], *turn["now"]]
    gateway = gateway_of()
    route = gateway.plan.routes[0]
    answered = turn["before"] if "answered" in turn else _asked(turn["before"])
    served = Served(CLAUDE, route.name, "", "user turn", "the answer", 1, WALL - 30, turn=_mark(answered))
    pin = Pin(route.id, route.candidates[0].id)
    key = session_key(conversation_of(messages=messages), given)
    gateway.sessions.put(key, Session(pin, served=served, before=tuple(f"{n} before" for n in range(1, 9))))
    model = DEEPSEEK if turn["asked_model"] == "other" else "arch.main.v1"
    exchange = exchange_of(gateway, path=MESSAGES, messages=messages, model=model, given=given, scores={route.id: 0.9})
    return frozenset(signal for _, signal in exchange.told)


def _asked(before: Sequence[Turn]) -> Sequence[Turn]:
    """What the last answer answered."""
    last = max((at for at, message in enumerate(before) if message["role"] == "assistant"), default=len(before))
    return before[:last]


def _mark(messages: Sequence[Turn]) -> str:
    return retried.mark(conversation_of(messages=messages)) if messages else ""


@dataclass(frozen=True, slots=True)
class Score:
    """Of one detector: `right` of those that it `told`, and of those that are there (`positives`)."""

    name: str
    turns: int
    positives: int
    told: int
    right: int

    @property
    def precision(self) -> float | None:
        return self.right / self.told if self.told else None

    @property
    def recall(self) -> float | None:
        return self.right / self.positives if self.positives else None


def scores(judged: Sequence[tuple[Turn, frozenset[str]]]) -> list[Score]:
    return [_score(name, judged) for name in NAMES]


def _score(name: str, judged: Sequence[tuple[Turn, frozenset[str]]]) -> Score:
    positives = sum(name in turn["labels"] for turn, _ in judged)
    told = sum(name in signals for _, signals in judged)
    right = sum(name in turn["labels"] and name in signals for turn, signals in judged)
    return Score(name, len(judged), positives, told, right)


def wilson(right: int, of: int) -> tuple[float, float]:
    """The interval in which the share lies, with 95 % (Wilson, 1927)."""
    z, share = 1.96, right / of
    middle = share + z * z / (2 * of)
    around = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return tuple(min(1.0, max(0.0, (middle + sign * around) / (1 + z * z / of))) for sign in (-1, 1))  # type: ignore


def table(judged: Sequence[tuple[Turn, frozenset[str]]]) -> Iterator[str]:
    yield "| signal | turns | with it | told | precision | recall |\n|---|---|---|---|---|---|\n"
    for one in scores(judged):
        precision, recall = _share(one.right, one.told), _share(one.right, one.positives)
        yield f"| `{one.name}` | {one.turns:,} | {one.positives} | {one.told} | {precision} | {recall} |\n"


def _share(right: int, of: int) -> str:
    if not of:
        return "-"
    low, high = wilson(right, of)
    return f"{right / of:.2f} ({low:.2f} to {high:.2f})"


def split(judged: Sequence[tuple[Turn, frozenset[str]]]) -> tuple[list[Any], list[Any]]:
    """What others wrote, and what was at hand while the detectors were made."""
    is_own: Callable[[Any], bool] = lambda one: one[0]["author"] == OWN  # noqa: E731
    return [one for one in judged if not is_own(one)], [one for one in judged if is_own(one)]


def measured(judged: Sequence[tuple[Turn, frozenset[str]]]) -> str:
    """The tables of the page."""
    others, own = split(judged)
    parts = []
    if others:
        authors = len({turn["author"] for turn, _ in others})
        parts += [
            f"On {len(others):,} turns by {authors} authors who had not seen the detectors:\n\n",
            *table(others),
            "\n",
        ]
    parts += [f"On {len(own):,} turns with which they were made, and which say less:\n\n", *table(own)]
    return "".join(parts)


def written() -> str:
    """What the page says was measured."""
    return PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def wrong(judged: Sequence[tuple[Turn, frozenset[str]]]) -> Iterator[str]:
    for turn, signals in judged:
        for name in NAMES:
            if (name in signals) != (name in turn["labels"]):
                kind = "made up" if name in signals else "missed "
                yield f"{kind} {name:11} {turn['id']}: {json.dumps(turn['now'], ensure_ascii=False)[:150]}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wrong", action="store_true", help="print the turns that were taken for something else")
    judged = [(turn, found(turn)) for turn in turns()]
    sys.stdout.write(measured(judged))
    if parser.parse_args().wrong:
        sys.stdout.writelines(wrong(judged))
    elif PAGE.exists():
        page = PAGE.read_text("utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{measured(judged)}{END}{rest.partition(END)[2]}", "utf-8")
        sys.stdout.write(f"{PAGE} written\n")
