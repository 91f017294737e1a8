"""Searches of the web in Anthropic's words: a `server_tool_use`, and what it found in a block behind it.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool. Anthropic takes back only what it sealed
itself; a search of another vendor's bears our mark in its id, and is told to clients alone.
"""

import re
from collections.abc import Iterable, Iterator

from router_service.conversation import Json, Opaque, OpaqueBlock, Part, Search, WebSearch
from router_service.dialects.parts import vendor_tools

NAME = "anthropic_messages"
RESULT = "web_search_tool_result"
OURS = "srvtoolu_archgw_"
FOREIGN = "a search of the web left out of the history: Anthropic takes back only its own"


class Pairs:
    """Puts a search and what it found together."""

    def __init__(self) -> None:
        self._held: Json | None = None

    def feed(self, block: Json) -> Iterator[Search | OpaqueBlock]:
        """A finished block that is neither text nor thinking nor a call."""
        if self._held and block["type"] == RESULT and block.get("tool_use_id") == self._held.get("id"):
            held, self._held = self._held, None
            yield search(held, block)
            return
        yield from self.close()
        if block["type"] == "server_tool_use" and block.get("name") == vendor_tools.SEARCH:
            self._held = block
        else:
            yield OpaqueBlock(NAME, block["type"], block)

    def close(self) -> Iterator[Search]:
        """The search that found nothing so far."""
        if self._held:
            held, self._held = self._held, None
            yield search(held, None)


def search(asked: Json, found: Json | None) -> Search:
    given, content = asked.get("input"), found.get("content") if found else None
    pages = [page for page in content if isinstance(page, dict)] if isinstance(content, list) else []
    return Search(
        id=str(asked.get("id") or ""),
        query=str(given.get("query") or "") if isinstance(given, dict) else "",
        pages=tuple((str(page.get("url") or ""), str(page.get("title") or "")) for page in pages),
        error=str(content.get("error_code") or "") if isinstance(content, dict) else "",
        dialect="" if is_ours(asked) else NAME,
        raw=(asked, found) if found else (asked,),
    )


def is_ours(block: Json) -> bool:
    return str(block.get("id") or block.get("tool_use_id") or "").startswith(OURS)


def paired(parts: Iterable[Part]) -> Iterator[Part]:
    """The parts of a message of the history, with its searches put together."""
    pairs = Pairs()
    for part in parts:
        if not isinstance(part, Opaque) or part.dialect != NAME:
            yield from pairs.close()
            yield part
            continue
        for made in pairs.feed(part.raw):
            yield made if isinstance(made, Search) else Opaque(NAME, made.kind, made.raw)
    yield from pairs.close()


def blocks(found: Search) -> tuple[Json, ...]:
    """For a client."""
    if found.dialect == NAME:
        return found.raw
    id_ = OURS + re.sub(r"[^a-zA-Z0-9_]", "_", found.id)
    pages = [
        {"type": "web_search_result", "url": url, "title": title, "encrypted_content": "", "page_age": None}
        for url, title in found.pages
    ]
    content: object = {"type": f"{RESULT}_error", "error_code": "unavailable"} if found.error else pages
    asked = {"type": "server_tool_use", "id": id_, "name": vendor_tools.SEARCH, "input": {"query": found.query}}
    return asked, {"type": RESULT, "tool_use_id": id_, "content": content}


def tool(wanted: WebSearch) -> Json:
    """As every Claude knows it; the newer ones of it want code execution beside them."""
    uses = {"max_uses": wanted.uses} if wanted.uses else {}
    allowed = vendor_tools.domains(wanted)
    if "allowed_domains" in allowed:  # not both
        allowed.pop("blocked_domains", None)
    return {"type": "web_search_20250305", "name": vendor_tools.SEARCH, **uses, **allowed, **vendor_tools.place(wanted)}
