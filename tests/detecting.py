"""How often the detectors are right: labelled turns, sent through the first hop as clients send them.

`python tests/detecting.py` prints it, and writes the tables into docs/feedback.md. A turn is a line of
tests/detectors/*.jsonl: what stood in the thread `before`, what comes `now`, whether another model is named
(`asked_model`), and its `labels`. The first five voices are there to be looked at while the detectors are made; what
the others say is held apart: nobody reads it, nor which of it was taken for something else.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
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
DEVELOPMENT = frozenset("abcden")
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


def split(judged: Sequence[tuple[Turn, frozenset[str]]]) -> tuple[list[Any], list[Any], list[Any]]:
    """What is held apart, what was looked at, and what the author of the detectors wrote himself."""
    seen = DEVELOPMENT | {OWN}
    held = [one for one in judged if one[0]["author"] not in seen]
    development = [one for one in judged if one[0]["author"] in DEVELOPMENT]
    return held, development, [one for one in judged if one[0]["author"] == OWN]


def measured(judged: Sequence[tuple[Turn, frozenset[str]]]) -> str:
    """The tables of the page."""
    held, development, own = split(judged)
    parts = [f"On {len(held):,} turns that are held apart, in {_voices(held)} voices:\n\n", *table(held), "\n"]
    parts += [_nameless(held), "\n"]
    parts += [f"On {len(development):,} turns in {_voices(development)} other voices that were looked at:\n\n"]
    parts += [*table(development), "\n", f"On {len(own):,} turns with which they were first made:\n\n", *table(own)]
    return "".join(parts)


def _voices(judged: Sequence[tuple[Turn, frozenset[str]]]) -> int:
    return len({turn["author"] for turn, _ in judged})


def _nameless(judged: Sequence[tuple[Turn, frozenset[str]]]) -> str:
    """What of the retries nothing can tell from another thread that begins alike."""
    retries = [(turn, signals) for turn, signals in judged if "retried" in turn["labels"]]
    first = [turn for turn, _ in retries if turn["client"] == "sdk" and not _is_begun(turn)]
    told = sum("retried" in signals for _, signals in retries)
    return (
        f"Of the {len(retries)} turns with `retried`, {len(first)} are the first ask of a session without an id; of the"
        f" other {len(retries) - len(first)}, {told} are told.\n"
    )


def _is_begun(turn: Turn) -> bool:
    return any(message["role"] == "assistant" for message in turn["before"])


def written() -> str:
    """What the page says was measured."""
    return PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def wrong(judged: Sequence[tuple[Turn, frozenset[str]]]) -> Iterator[str]:
    """Of what may be looked at."""
    for turn, signals in (one for one in judged if one[0]["author"] in DEVELOPMENT | {OWN}):
        for name in NAMES:
            if (name in signals) != (name in turn["labels"]):
                kind = "made up" if name in signals else "missed "
                yield f"{kind} {name:11} {turn['id']}: {json.dumps(turn['now'], ensure_ascii=False)[:150]}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--wrong", action="store_true", help="print what was taken for something else, of what may be looked at"
    )
    given = parser.parse_args()
    judged = [(turn, found(turn)) for turn in turns()]
    if given.wrong:
        sys.stdout.writelines(wrong(judged))
    else:
        sys.stdout.write(measured(judged))
    if not given.wrong and PAGE.exists():
        page = PAGE.read_text("utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{measured(judged)}{END}{rest.partition(END)[2]}", "utf-8")
        sys.stdout.write(f"{PAGE} written\n")
