"""What keeps vendors' prompt caches warm: which requests belong together, and up to where Claude keeps what it reads.

A vendor knows a prompt again by its beginning, on the machine that has read it. Some want to be told which requests
belong together, and bring them to one machine: they get a hash of the session, main thread and sub-agents alike, for
these have beginnings of their own and share them among each other. Claude keeps what is marked in the request, and
looks for it at the marks and up to 20 blocks before them: so the last two messages of the user's are marked (where the
request before ended, and where the next one goes on), and the end of tools and system, which other sessions share.
Nothing is ever put into the words themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from router_service import needs
from router_service.conversation import Conversation, Json
from router_service.dialects.anthropic.request import NAME as ANTHROPIC
from router_service.dialects.parts.fit import BILLING, fingerprint
from router_service.exchange import Exchange
from router_service.model_field import values
from router_service.needs import Needs
from router_service.plan import Candidate
from router_service.session import is_named, main_thread

MARK: Json = {"type": "ephemeral"}  # kept for five minutes after it was last read
_MARK_OF_ALL = "cache_control"


# -- which requests belong together ----------------------------------------------------------------------------------


def headers(exchange: Exchange, candidate: Candidate, dialect: str) -> dict[str, str]:
    """Those by which the vendor knows what belongs together."""
    word = _affinity(candidate, dialect)
    return {word: _session(exchange, candidate, word)} if "-" in word else {}


def fields(exchange: Exchange, candidate: Candidate, dialect: str) -> dict[str, str]:
    """The same as fields of the body, for vendors that look there. What the client says itself goes before.

    These vendors look at the beginning of the prompt, too, and so bring many single questions with one system prompt to
    one machine, as long as no key tells them apart. So only sessions that the client names have one.
    """
    word = _affinity(candidate, dialect)
    if not word or "-" in word or not is_named(exchange.session):
        return {}
    return {word: _session(exchange, candidate, word)}


def _affinity(candidate: Candidate, dialect: str) -> str:
    asked = candidate.prompt_cache.affinity and dialect != ANTHROPIC
    return candidate.provider.affinity if asked else ""


def _session(exchange: Exchange, candidate: Candidate, word: str) -> str:
    """Another name for each vendor, and nobody's own: what the client calls it stays here."""
    named = exchange.headers.get(word) or exchange.conversation.extras.get("prompt_cache_key")
    return fingerprint(f"{candidate.provider.name} {named or main_thread(exchange.session)}")


# -- what Claude keeps -----------------------------------------------------------------------------------------------


def rewritten(body: Json, conversation: Conversation, candidate: Candidate, needed: Needs) -> Json:
    """The fields that a Messages request which we wrote ourselves has otherwise. None: to be left out."""
    changes = _without_billing(body, candidate)
    mark = _given(conversation) or _ours(conversation, candidate, needed)
    if not mark:
        return changes
    return changes | marked(_unmarked(body | changes), mark) | {_MARK_OF_ALL: None}


def in_clients_bytes(exchange: Exchange, candidate: Candidate, changes: Mapping[str, Any]) -> Json:
    """The same for the client's own bytes, of which `changes` are made anyway. Who marks anything has marked all."""
    conversation, marks = exchange.conversation, b'"cache_control"' in exchange.body
    mark = None if marks or _given(conversation) else _ours(conversation, candidate, exchange.needs)
    refused = marks and _MARK_OF_ALL in candidate.provider.refuses
    moved = values(exchange.body, (_MARK_OF_ALL,)).get(_MARK_OF_ALL) if refused else None
    billed = not candidate.provider.accounts and BILLING.encode() in exchange.body
    if not (mark or moved or billed):
        return {}
    read = values(exchange.body, ("tools", "system") if mark else ("system",))
    body = {"messages": list(conversation.source)} | read | dict(changes)
    found = _without_billing(body, candidate)
    if mark:
        return found | marked(body | found, mark)
    if isinstance(moved, dict):  # on the whole request it means: up to the last block
        found["messages"] = _marked_messages(body["messages"], moved, most=1)
    return found


def marked(body: Json, mark: Json) -> Json:
    """Tools, system and messages of a Messages request with at most four marks, as many as Anthropic takes."""
    found: Json = {}
    if (tools := body.get("tools")) and (at := _last_function(tools)) is not None:
        found["tools"] = [*tools[:at], tools[at] | {"cache_control": mark}, *tools[at + 1 :]]
    if body.get("system"):
        found["system"] = _marked(body["system"], mark)
    return found | {"messages": _marked_messages(body["messages"], mark, most=2)}


def _ours(conversation: Conversation, candidate: Candidate, needed: Needs) -> Json | None:
    """Our mark, where the user wants one and the prompt is long enough to be kept."""
    asked = candidate.prompt_cache.breakpoints
    agent = conversation.dialect != ANTHROPIC and bool(conversation.tools)
    if asked == "never" or (asked == "agents" and not agent):
        return None
    most = needed.tokens * needs.MOST_LETTERS_PER_TOKEN // needs.FEWEST_LETTERS_PER_TOKEN + needs.UNSEEN
    seen = needed.images or needed.documents  # nobody counts them, and they are long
    return MARK if seen or most >= candidate.facts.cache_from else None


def _given(conversation: Conversation) -> Json | None:
    """The client's own mark, where it speaks Anthropic's dialect: its places are lost when a body is written anew."""
    mark = conversation.extras.get(_MARK_OF_ALL) if conversation.dialect == ANTHROPIC else None
    return mark if isinstance(mark, dict) else None


def _unmarked(body: Json) -> Json:
    """Without the marks of what rides along as the client wrote it: with ours they could be too many, and one of five
    minutes may not stand before one of an hour."""
    places = {name: _bare(body[name]) for name in ("tools", "system") if name in body}
    messages = [message | {"content": _bare(message["content"])} for message in body["messages"]]
    return body | places | {"messages": messages}


def _bare(content: Any) -> Any:
    """What a block consists of may be marked, too; words, schemas and what a tool is called with are no blocks."""
    if not isinstance(content, list):
        return content
    return [_bare_block(block) if isinstance(block, dict) else block for block in content]


def _bare_block(block: Json) -> Json:
    found = {name: value for name, value in block.items() if name != _MARK_OF_ALL}
    if isinstance(found.get("content"), list):
        found["content"] = _bare(found["content"])
    return found


def _last_function(tools: Sequence[Json]) -> int | None:
    """A tool that is loaded only when it is looked for is no part of the prompt, and a mark on it is refused."""
    known = [at for at, tool in enumerate(tools) if "input_schema" in tool and not tool.get("defer_loading")]
    return known[-1] if known else None


def _marked_messages(messages: Sequence[Json], mark: Json, *, most: int) -> list[Json]:
    """The last `most` of the user's."""
    places = [at for at, message in enumerate(messages) if message.get("role") == "user"][-most:]
    return [
        message | {"content": _marked(message["content"], mark)} if at in places else message
        for at, message in enumerate(messages)
    ]


def _marked(content: str | list[Json], mark: Json) -> str | list[Json]:
    """With a mark on its last block; on a blank text it is refused, and one that is there stays."""
    blocks: list[Json] = [{"type": "text", "text": content}] if isinstance(content, str) else content
    able = [at for at, block in enumerate(blocks) if block.get("type") != "text" or block["text"].strip()]
    if not able or "cache_control" in blocks[able[-1]]:
        return content
    at = able[-1]
    return [*blocks[:at], blocks[at] | {"cache_control": mark}, *blocks[at + 1 :]]


def _without_billing(body: Json, candidate: Candidate) -> Json:
    """Claude Code's first block of the system is another with each turn, in some versions with each request. Anthropic
    leaves it out before it looks anything up; to everybody else every prompt would be new from its first word on."""
    system = body.get("system")
    if candidate.provider.accounts or not system:
        return {}
    if isinstance(system, str):
        return {"system": None} if system.startswith(BILLING) else {}
    kept = [block for block in system if not str(block.get("text", "")).startswith(BILLING)]
    return {"system": kept or None} if kept != system else {}
