"""Sessions: one client thread, and the pin that keeps its turn with one candidate.

Kept in memory, bounded, oldest forgotten first. A key never depends on blocks that change with every request.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from router_service.conversation import Conversation, Text

_IDS = ("x-claude-code-session-id", "x-session-id", "thread-id", "session-id")  # Claude Code, opencode, Codex
_BILLING = "x-anthropic-billing-header"  # Claude Code's first system block changes with every request


@dataclass(frozen=True, slots=True)
class Pin:
    """Who served the session last: a route id and a candidate id, and the score that chose them."""

    route: str
    candidate: str
    score: float | None = None


class Sessions:
    def __init__(self, *, limit: int = 10_000) -> None:
        self._pins: OrderedDict[str, Pin] = OrderedDict()
        self._limit = limit

    def __len__(self) -> int:
        return len(self._pins)

    def pin(self, key: str) -> Pin | None:
        return self._pins.get(key)

    def set_pin(self, key: str, pin: Pin) -> None:
        self._pins[key] = pin
        self._pins.move_to_end(key)
        if len(self._pins) > self._limit:
            self._pins.popitem(last=False)


def session_key(conversation: Conversation, headers: Mapping[str, str]) -> str:
    """Session id and agent id where the client tells them, else a fingerprint of how the thread began."""
    session = next(filter(None, map(headers.get, _IDS)), None) or _session_in_metadata(conversation)
    if session:
        return f"{session}/{headers.get('x-claude-code-agent-id', '')}"
    return f"fingerprint/{_fingerprint(conversation)}"


def _session_in_metadata(conversation: Conversation) -> str:
    """Claude Code's metadata.user_id is a JSON string that holds session_id."""
    try:
        user = json.loads(str(conversation.metadata.get("user_id", "")))
    except ValueError:
        return ""
    return str(user.get("session_id") or "") if isinstance(user, dict) else ""


def _fingerprint(conversation: Conversation) -> str:
    system = "".join(block.text for block in conversation.system if not block.text.startswith(_BILLING))
    first = next((message for message in conversation.messages if message.role == "user"), None)
    words = "".join(part.text for part in first.parts if isinstance(part, Text)) if first else ""
    return hashlib.blake2b(f"{system}\0{words}".encode(), digest_size=16).hexdigest()
