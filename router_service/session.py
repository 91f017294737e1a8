"""Sessions: one client thread, who serves it, what each model has read of it, and what it has cost.

Kept in memory, bounded, oldest forgotten first. A key never depends on blocks that change with every request. Times are
seconds since the epoch, so that a session outlives the service; money is dollars.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from router_service.conversation import Conversation, Text, Usage
from router_service.pricing import total

_FINGERPRINT = "fingerprint/"
_LONGEST_ID = 200  # characters
_IDS = ("x-claude-code-session-id", "x-session-id", "thread-id", "session-id")  # Claude Code, opencode, Codex
BILLING = "x-anthropic-billing-header"  # Claude Code's first system block changes with every request


@dataclass(frozen=True, slots=True)
class Pin:
    """Who served the session last: a route id and a candidate id, and the score that chose them."""

    route: str
    candidate: str
    score: float | None = None


_TURNS = 8  # whose answers may still be spoken of
WARM = 300.0  # seconds that a vendor keeps what it has read: Anthropic's shortest, the others keep it longer


@dataclass(frozen=True, slots=True)
class Read:
    """How many tokens of the thread a model has read, and when it last did."""

    tokens: int
    at: float

    def warm(self, now: float) -> bool:
        return now - self.at < WARM


Ended = Literal["whole", "left", "broken"]


@dataclass(frozen=True, slots=True)
class Served:
    """The last answer of a thread, for those who look. `cached`: the share of what was read that the vendor still knew;
    None where it did not say. `prompt` is the client's own id of the user's prompt, `turn` our own mark of it; `ended`:
    whether it came to its end, was left by the client, or broke off. `caller`: the client key that asked, empty where
    there are none; others may be in the same session, and say nothing of its answer."""

    model: str
    route: str
    reason: str
    kind: str
    request: str
    attempts: int
    at: float
    cached: float | None = None
    prompt: str = ""
    turn: str = ""
    ended: Ended = "whole"
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """`reads` by candidate id. `requests` and `written` (tokens) are of the thread's turns alone. The money is of all
    requests: `spent`, what the same would have cost on the `baseline`, and `switched`, the part of it that went into
    reading the thread anew elsewhere. `unpriced`: requests whose model has no known price. `before`: the requests whose
    answers ended the turns before this one, the newest first, all of the caller of `served`."""

    pin: Pin | None = None
    reads: Mapping[str, Read] = field(default_factory=dict)
    served: Served | None = None
    turns: int = 0
    requests: int = 0
    written: int = 0
    spent: float = 0.0
    baseline: float = 0.0
    switched: float = 0.0
    unpriced: int = 0
    before: tuple[str, ...] = ()

    def turned(self, pin: Pin, switched: float = 0.0) -> "Session":
        """A user turn begins, with this candidate."""
        return replace(self, pin=pin, switched=self.switched + switched)

    def answered(self, candidate: str, usage: Usage, at: float, *, opens_turn: bool) -> "Session":
        """A request of one of the thread's turns has been answered; it is what the model knows from now on."""
        return replace(self, **self._read(candidate, usage, at, opens_turn=opens_turn))

    def told(self, served: Served, *, opens_turn: bool) -> "Session":
        """This answer is the last; one that opens a turn comes after the last of the turn before."""
        return replace(self, **self._last(served, opens_turn=opens_turn))

    def paid(self, cost: float | None, baseline: float | None) -> "Session":
        return replace(self, **self._sums(cost, baseline))

    def settled(
        self,
        candidate: str,
        usage: Usage,
        served: Served,
        *,
        opens_turn: bool,
        cost: float | None,
        baseline: float | None,
    ) -> "Session":
        """All three at once, for every answer comes here."""
        return replace(
            self,
            **self._read(candidate, usage, served.at, opens_turn=opens_turn),
            **self._last(served, opens_turn=opens_turn),
            **self._sums(cost, baseline),
        )

    def known(self, now: float) -> int:
        """How many of the thread's tokens a single model would still know, had it answered all along."""
        return max((read.tokens for read in self.reads.values() if read.warm(now)), default=0)

    def _read(self, candidate: str, usage: Usage, at: float, *, opens_turn: bool) -> dict[str, Any]:
        read = total(usage)
        written = usage.output or 0
        known = {id: one for id, one in self.reads.items() if id != candidate and one.warm(at)}
        before = self.reads[candidate].tokens if candidate in self.reads else 0
        if read or before:  # who does not say what it read has read what it knew
            known[candidate] = Read((read or before) + written, at)
        turns = self.turns + opens_turn
        return {"reads": known, "turns": turns, "requests": self.requests + 1, "written": self.written + written}

    def _last(self, served: Served, *, opens_turn: bool) -> dict[str, Any]:
        last = self.served
        if last is None or last.caller != served.caller:
            return {"served": served, "before": ()}
        before = (last.request, *self.before)[:_TURNS] if opens_turn else self.before
        return {"served": served, "before": before}

    def _sums(self, cost: float | None, baseline: float | None) -> dict[str, Any]:
        if cost is None or baseline is None:
            return {"unpriced": self.unpriced + 1}
        return {"spent": self.spent + cost, "baseline": self.baseline + baseline}


NEW = Session()


def written(session: Session) -> str:
    """As JSON, for a store; it says nothing of what was asked or answered."""
    return json.dumps(asdict(session), separators=(",", ":"))


def read(text: str) -> Session:
    """What `written` wrote. Raises ValueError for anything else, such as what another version wrote."""
    try:
        told = json.loads(text)
        return Session(
            **told
            | {
                "pin": Pin(**told["pin"]) if told["pin"] else None,
                "reads": {id: Read(**one) for id, one in told["reads"].items()},
                "served": Served(**told["served"]) if told["served"] else None,
                "before": tuple(told.get("before", ())),
            }
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("no session of this version") from error


class Sessions:
    """`changed` are the keys of those that are not as they were when it was last emptied; of what was forgotten nothing
    is told any more. `shared`: other services may have changed them, too; then `known` is how the store had them last.
    """

    def __init__(self, *, limit: int = 10_000, shared: bool = False) -> None:
        self.shared = shared
        self._kept: OrderedDict[str, Session] = OrderedDict()
        self._limit = limit
        self.changed: set[str] = set()
        self.known: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def get(self, key: str) -> Session:
        return self._kept.get(key) or NEW

    def put(self, key: str, session: Session) -> None:
        self._kept[key] = session
        self._kept.move_to_end(key)
        self.changed.add(key)
        if len(self._kept) > self._limit:
            gone, _ = self._kept.popitem(last=False)
            self.changed.discard(gone)
            self.known.pop(gone, None)

    def learnt(self, key: str, session: Session) -> None:
        """It is so in the store."""
        self.put(key, session)
        self.changed.discard(key)
        if self.shared:
            self.known[key] = session

    def pin(self, key: str) -> Pin | None:
        return self.get(key).pin

    def set_pin(self, key: str, pin: Pin) -> None:
        self.put(key, replace(self.get(key), pin=pin))


def is_named(key: str) -> bool:
    """Whether the client itself says which session it is; else it is known by how it began."""
    return not key.startswith(_FINGERPRINT)


def main_thread(key: str) -> str:
    """The key of the thread that a sub-agent's was begun from; a main thread's own."""
    return key if key.startswith(_FINGERPRINT) else key.partition("/")[0] + "/"


def session_key(conversation: Conversation, headers: Mapping[str, str]) -> str:
    """Session id and agent id where the client tells them, else a fingerprint of how the thread began."""
    session = next(filter(None, map(headers.get, _IDS)), None) or _session_in_metadata(conversation)
    if session:
        return f"{_short(session)}/{_short(headers.get('x-claude-code-agent-id', ''))}"
    return f"{_FINGERPRINT}{_fingerprint(conversation)}"


def _session_in_metadata(conversation: Conversation) -> str:
    """Claude Code's metadata.user_id is a JSON string that holds session_id."""
    told = str(conversation.metadata.get("user_id", ""))
    if not told.lstrip().startswith("{"):
        return ""
    try:
        user = json.loads(told)
    except (ValueError, RecursionError):
        return ""
    return str(user.get("session_id") or "") if isinstance(user, dict) else ""


def _short(id: str) -> str:
    """An id as it is kept and shown: a client may tell one of megabytes, or of any bytes."""
    if len(id) <= _LONGEST_ID and id.isascii() and id.isprintable():
        return id
    return hashlib.blake2b(id.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _fingerprint(conversation: Conversation) -> str:
    system = "".join(block.text for block in conversation.system if not block.text.startswith(BILLING))
    first = next((message for message in conversation.messages if message.role == "user"), None)
    words = "".join(part.text for part in first.parts if isinstance(part, Text)) if first else ""
    return hashlib.blake2b(f"{system}\0{words}".encode("utf-8", "replace"), digest_size=16).hexdigest()
