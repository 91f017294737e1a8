"""Which requests the cache may answer, under which key an answer is kept, and what is kept of it. Pure.

A question that is asked again costs money; a wrong answer costs more. So whatever could change an answer is part of its
key, and what is left out of it is listed here.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from router_service import kinds
from router_service.config import Cache, OwnCache
from router_service.conversation import BadRequest, Conversation, Json, Usage
from router_service.intent import Intent
from router_service.outcome import NO_USAGE
from router_service.plan import Candidate, Chain
from router_service.policies.policy import Decision
from router_service.session import BILLING

HEADER = "x-arch-cache"
WORDS = ("on", "off", "refresh")
LARGEST = 4 * 1024 * 1024  # bytes of an answer: it goes to the client in one piece
Mark = Literal["", "hit", "miss", "refresh"]
"""How the cache had to do with a request; empty where it had not."""

_FORMAT = 1  # of keys and entries: what an archgw has kept that told answers otherwise is not found any more
_HEADERS = ("anthropic-beta", "anthropic-version", "openai-beta", "x-arch-model")
_CREDENTIALS = ("authorization", "x-api-key", "api-key")
# How the answer is told, which a replay can do in either way; and what a vendor finds its own cache by.
_LEFT_OUT = frozenset({"stream", "stream_options", "prompt_cache_key", "prompt_cache_retention"})
_STATEFUL = ("store", "previous_response_id", "conversation", "background")
_TOLD_IN_ONE_FORM = ("logprobs", "top_logprobs", "audio")  # streamed and whole, by its own vendor alone
# Whether somebody is there, whether something may be done, what the web says now: asked in order to be answered anew.
_NEVER: frozenset[kinds.Kind] = frozenset({"probe", "classifier", "web search"})
_CLAUDE_CODE = "claude-cli/"  # it is told the model by the name that it asked for
_SESSION, _SESSION_FIELD = "_session_", "session_id"  # at the end of, or in, what Claude Code tells as user_id


@dataclass(frozen=True, slots=True)
class Terms:
    """How the cache is to deal with a request. `ttl` in seconds; `fresh`: what it holds is not looked at."""

    ttl: float
    tools: bool
    fresh: bool

    @property
    def mark(self) -> Mark:
        return "refresh" if self.fresh else "miss"


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where the answer of a request is kept, if `first` gives it: what a stand-in says shall not outlive the outage."""

    key: str
    terms: Terms
    first: str
    form: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer as its first client got it. `at` and `until` are seconds since the epoch.

    `form`: how that client wanted it told; see `form_of`. `model` is for people, `maker` as seals name it.
    """

    at: float
    until: float
    model: str
    maker: str
    form: str
    content_type: str
    body: bytes
    usage: Usage = NO_USAGE
    warnings: tuple[str, ...] = ()
    model_told: str = ""

    def good(self, now: float, ttl: float) -> bool:
        return now < min(self.until, self.at + ttl)

    @property
    def size(self) -> int:
        """Bytes, near enough."""
        return len(self.body) + 512


def word(headers: Mapping[str, str]) -> str:
    """What the client says of the cache; empty where it says nothing. Raises BadRequest."""
    said = headers.get(HEADER, "").strip().lower()
    if said and said not in WORDS:
        raise BadRequest(f"{HEADER}: expected on, off or refresh, not '{said[:40]}'")
    return said


def terms(cache: Cache, own: OwnCache | None, word: str) -> Terms | None:
    """The client's word goes before the preference's, that before what holds for all; None: the cache is out of it."""
    enabled = word != "off" if word else own.enabled if own else cache.enabled
    if not enabled:
        return None
    ttl = own.ttl if own and own.ttl else cache.ttl
    return Terms(ttl, tools=cache.tools or bool(word), fresh=word == "refresh")


def keeping(
    terms: Terms,
    decision: Decision,
    conversation: Conversation,
    intent: Intent,
    body: bytes,
    *,
    headers: Mapping[str, str],
    caller: str,
    path: str,
    query: str,
) -> Keeping | None:
    """Where the answer is kept; None where no answer may serve twice. `decision` says who is to answer, whoever cools;
    `body` is JSON, as it has been read before."""
    offered = conversation.tools or conversation.search or conversation.vendor_tools or conversation.extras.get("tools")
    if intent.kind in _NEVER or (offered and not terms.tools):
        return None
    parsed = json.loads(body)
    if not _suits(parsed):
        return None
    spoken = conversation.dialect
    known = [
        _FORMAT,
        path,
        query,
        headers.get("user-agent", "").startswith(_CLAUDE_CODE),
        spoken,
        _canonical(parsed, spoken),
        {name: headers[name] for name in _HEADERS if name in headers},
        caller,
        {name: _digest(headers[name]) for name in _CREDENTIALS if name in headers},
        decision.lane,
        _pool(decision.chain, spoken),
    ]
    return Keeping(_digest(_written(known)), terms, decision.first.id, form_of(conversation))


def form_of(conversation: Conversation) -> str:
    """How the client wants the answer told: whole, or as a stream with what it wants of one."""
    if not conversation.stream:
        return ""
    return f"stream {_written(conversation.extras.get('stream_options') or {})}"


def written(entry: Entry) -> tuple[str, bytes]:
    """For a store: what is known of an answer, as JSON, and the answer."""
    known = asdict(entry)
    body = known.pop("body")
    return _written(known), body


def read(known: str, body: bytes) -> Entry:
    """What `written` wrote. Raises ValueError for anything else."""
    try:
        told = json.loads(known)
        usage, warnings = Usage(**told.pop("usage")), tuple(told.pop("warnings"))
        return Entry(**told, body=body, usage=usage, warnings=warnings)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("no answer of this version") from error


def _suits(body: Json) -> bool:
    """Whether nothing is kept with the vendor, and the answer can be told in either form."""
    told_in_both = body.get("n") in (None, 1) and not any(body.get(name) for name in _TOLD_IN_ONE_FORM)
    return told_in_both and not any(body.get(name) for name in _STATEFUL)


def _pool(chain: Chain, spoken: str) -> list[Any]:
    return [chain.route, [_asked(candidate, spoken) for candidate in chain.candidates]]


def _asked(candidate: Candidate, spoken: str) -> list[str]:
    address = candidate.address
    return [candidate.id, candidate.maker, candidate.dialect(spoken), address.scheme, address.authority, address.path]


def _canonical(body: Json, dialect: str) -> Json:
    """The body without what cannot change the answer; how its JSON is laid out does not matter either."""
    kept = {name: value for name, value in body.items() if name not in _LEFT_OUT}
    if dialect == "anthropic_messages":
        if isinstance(metadata := kept.get("metadata"), dict) and isinstance(user := metadata.get("user_id"), str):
            kept["metadata"] = metadata | {"user_id": _without_session(user)}
        if isinstance(system := kept.get("system"), list):
            kept["system"] = [block for block in system if not _is_billing(block)]
    return kept


def _without_session(user: str) -> str:
    """Claude Code names its session beside its user. Who else tells of a user means that one."""
    try:
        told = json.loads(user)
    except (ValueError, RecursionError):
        return user.partition(_SESSION)[0] if user.startswith("user_") else user
    if not isinstance(told, dict) or _SESSION_FIELD not in told:
        return user
    return _written({name: value for name, value in told.items() if name != _SESSION_FIELD})


def _is_billing(block: Any) -> bool:
    """A block of Claude Code's that changes with every request."""
    return isinstance(block, dict) and str(block.get("text", "")).startswith(BILLING)


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
