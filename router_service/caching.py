"""Which requests the cache may answer, under which key an answer is kept, and what is kept of it. Pure.

A question that is asked again costs money; a wrong answer costs more. So whatever could change an answer is part of its
key, and what is left out of it is listed here.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
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

_FORMAT = 2  # of keys and entries: what an archgw has kept that told answers otherwise is not found any more
_HEADERS = ("anthropic-beta", "anthropic-version", "openai-beta", "x-arch-model")
_CREDENTIALS = ("authorization", "x-api-key", "api-key")
# How the answer is told, which a replay can do in either way; and what a vendor finds its own cache by.
_LEFT_OUT = frozenset({"stream", "stream_options", "prompt_cache_key", "prompt_cache_retention"})
_ECHOED = {"openai_responses": frozenset({"prompt_cache_key"})}  # of those, what stands in an answer
# Kept with the vendor, or read from there: an answer may change with it.
_STATEFUL = ("store", "previous_response_id", "conversation", "background", "deferred", "container", "prompt")
# Tools under other names, where a vendor has the model look or act by itself: Anthropic's connectors, the web search
# of xAI, OpenRouter, Qwen and Groq, and what Groq's systems may do.
_AS_TOOLS = (
    "mcp_servers",
    "search_parameters",
    "plugins",
    "enable_search",
    "web_search_options",
    "search_settings",
    "compound_custom",
)
_TOLD_IN_ONE_FORM = ("logprobs", "top_logprobs", "audio")  # streamed and whole, by its own vendor alone
# Whether somebody is there, whether something may be done, what the web says now: asked in order to be answered anew.
_NEVER: frozenset[kinds.Kind] = frozenset({"probe", "classifier", "web search"})
_CLAUDE_CODE = "claude-cli/"  # it is told the model by the name that it asked for
# What Claude Code tells as user_id, with its session at the end; since 2.1 as JSON, with these fields.
_USER = re.compile(r"(user_[0-9a-f]{64}_account_[0-9a-f-]*)_session_[0-9a-f-]{36}")
_SESSION_FIELD = "session_id"
_DEVICE = frozenset({"device_id", _SESSION_FIELD})
_USER_FIELDS = _DEVICE | {"account_uuid"}


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

    def beside(self, entry: "Entry") -> "Keeping":
        """Where it is kept for those alone who want it in this form, while others have it as `entry`, which cannot be
        told in this one."""
        return replace(self, key=_digest(_written([self.key, self.form, entry.at])))


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
    if not _suits(parsed) or (_offers(parsed) and not terms.tools):
        return None
    spoken = conversation.dialect
    claude_code = headers.get("user-agent", "").startswith(_CLAUDE_CODE)
    known = [
        _FORMAT,
        path,
        query,
        claude_code,
        spoken,
        _canonical(parsed, spoken, claude_code=claude_code),
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


def _offers(body: Json) -> bool:
    """Whether it has tools that are not where tools are. A field that is there and empty may be what turns them on."""
    items, named = body.get("input"), any(body.get(name) not in (None, False, []) for name in _AS_TOOLS)
    given = isinstance(items, list) and any(isinstance(item, dict) and item.get("tools") for item in items)
    return named or given


def _suits(body: Json) -> bool:
    """Whether nothing is kept with the vendor, and the answer can be told in either form."""
    if any(body.get(name) for name in (*_STATEFUL, *_TOLD_IN_ONE_FORM)) or body.get("n") not in (None, 1):
        return False
    wanted = body.get("include")
    logprobs = isinstance(wanted, list) and any("logprobs" in str(one) for one in wanted)
    return not logprobs and body.get("modalities") in (None, [], ["text"])


def _pool(chain: Chain, spoken: str) -> list[Any]:
    return [chain.route, [_asked(candidate, spoken) for candidate in chain.candidates]]


def _asked(candidate: Candidate, spoken: str) -> list[str]:
    address = candidate.address
    return [candidate.id, candidate.maker, candidate.dialect(spoken), address.scheme, address.authority, address.path]


def _canonical(body: Json, dialect: str, *, claude_code: bool) -> Json:
    """The body without what cannot change the answer; how its JSON is laid out does not matter either."""
    left_out = _LEFT_OUT - _ECHOED.get(dialect, frozenset())
    kept = {name: value for name, value in body.items() if name not in left_out}
    if claude_code and dialect == "anthropic_messages":
        if isinstance(metadata := kept.get("metadata"), dict) and isinstance(user := metadata.get("user_id"), str):
            kept["metadata"] = metadata | {"user_id": _without_session(user)}
        if isinstance(system := kept.get("system"), list):
            kept["system"] = [block for block in system if not _is_billing(block)]
    return kept


def _without_session(user: str) -> str:
    """Claude Code names its session beside its user. Who tells of a user in any other way means that one."""
    if named := _USER.fullmatch(user):
        return named[1]
    try:
        told = json.loads(user)
    except (ValueError, RecursionError):
        return user
    if not isinstance(told, dict) or not _DEVICE <= told.keys() <= _USER_FIELDS:
        return user
    return _written({name: value for name, value in told.items() if name != _SESSION_FIELD})


def _is_billing(block: Any) -> bool:
    """A block of Claude Code's that changes with every request, and says nothing to the model."""
    text = block.get("text") if isinstance(block, dict) else None
    return isinstance(text, str) and text.startswith(BILLING) and len(text.splitlines()) == 1


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
