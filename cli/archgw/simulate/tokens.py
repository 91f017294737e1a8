"""What a request costs, roughly: four characters are a token, and a prompt cache remembers what it read."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CHARACTERS = 4
CACHE_MINIMUM = 1024  # tokens; both OpenAI and Anthropic cache nothing shorter
CACHE_STEP = 128  # OpenAI counts cached tokens in steps of 128
CACHE_SECONDS = 300.0
CACHE_SIGHT = 20  # blocks before a mark in which Anthropic looks for what it knows
BEGINNING = 256  # tokens by which OpenAI knows prompts that belong to one machine
A_MINUTE = 15  # requests with one beginning that one machine takes; what is more goes to another
MACHINES = 4  # of a vendor that takes any
CACHE_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the prompt; `marked` when the client put a cache breakpoint at its end."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `cached` and `written` are parts of the prompt that come on top of `input`."""

    input: int
    output: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cached + self.written


def count(text: str) -> int:
    return -(-len(text) // CHARACTERS)


def condensed(text: str) -> str:
    """With every file's base64 replaced by its hash: an image costs by its size in pixels, not in letters."""
    return BASE64.sub(lambda found: found[1] + hashlib.sha256(found[2].encode()).hexdigest() * IMAGE, text)


BASE64 = re.compile(r'("data":"|;base64,)([A-Za-z0-9+/=]{2000,})')
IMAGE = 64  # times 64 letters: about a thousand tokens


def total(pieces: Sequence[Piece]) -> int:
    return max(1, sum(count(piece.text) for piece in pieces))


class PromptCache:
    """Remembers prefixes of prompts by their hash, for five minutes since last read."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._asked: OrderedDict[str, list[float]] = OrderedDict()  # when, by beginning and key
        self._turn = 0

    def machine(self, machines: str, pieces: Sequence[Piece], key: str, now: float) -> str:
        """Which machine reads the prompt, by the rule that `Vendor.machines` names."""
        if machines == "any":
            self._turn += 1
            return key or f"any {self._turn % MACHINES}"
        if machines == "one":
            return ""
        beginning = "".join(piece.text for piece in pieces)[: BEGINNING * CHARACTERS]
        whose = hashlib.sha256(f"{key}\0{beginning}".encode()).hexdigest()
        lately = [at for at in self._asked.pop(whose, []) if now - at < 60]
        self._asked[whose] = [*lately, now]
        while len(self._asked) > CACHE_ENTRIES:
            self._asked.popitem(last=False)
        return f"{whose} {len(lately) // A_MINUTE}"

    def automatic(self, model: str, pieces: Sequence[Piece], now: float, machine: str = "") -> Usage:
        """OpenAI's way: every prefix is kept, reading is free of ceremony."""
        prefixes = prefix_sums(f"{model} {machine}", pieces)
        cached = max((tokens for digest, tokens in prefixes if self._fresh(digest, now)), default=0)
        self._keep((digest for digest, _ in prefixes), now)
        cached = cached // CACHE_STEP * CACHE_STEP if cached >= CACHE_MINIMUM else 0
        return Usage(input=total(pieces) - cached, cached=cached)

    def explicit(self, model: str, pieces: Sequence[Piece], now: float, *, least: int = CACHE_MINIMUM) -> Usage:
        """Anthropic's way: only prefixes up to a mark are written, and read only a few blocks before one.

        `least`: tokens below which nothing is kept.
        """
        prefixes = prefix_sums(model, pieces)
        places = [at for at, piece in enumerate(pieces) if piece.marked and prefixes[at][1] >= least]
        if not places:
            return Usage(input=total(pieces))
        last = prefixes[places[-1]][1]
        seen = [prefix for at in places for prefix in prefixes[max(0, at - CACHE_SIGHT + 1) : at + 1]]
        cached = max((tokens for digest, tokens in seen if tokens >= least and self._fresh(digest, now)), default=0)
        self._keep((prefixes[at][0] for at in places), now)
        return Usage(input=total(pieces) - last, cached=cached, written=last - cached)

    def _fresh(self, digest: str, now: float) -> bool:
        return now - self._seen.get(digest, -CACHE_SECONDS * 2) <= CACHE_SECONDS

    def _keep(self, digests: Iterable[str], now: float) -> None:
        for digest in digests:
            self._seen[digest] = now
            self._seen.move_to_end(digest)
        while len(self._seen) > CACHE_ENTRIES:
            self._seen.popitem(last=False)


def prefix_sums(model: str, pieces: Sequence[Piece]) -> list[tuple[str, int]]:
    """(hash, tokens) of the prompt up to the end of each piece."""
    running, tokens, sums = hashlib.sha256(model.encode()), 0, []
    for piece in pieces:
        running.update(piece.text.encode() + b"\0")
        tokens += count(piece.text)
        sums.append((running.hexdigest(), tokens))
    return sums
