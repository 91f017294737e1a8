"""Citations of Anthropic's texts, read and written: platform.claude.com/docs/en/build-with-claude/citations.

What another vendor's model had from the web is told in the form of Anthropic's web search; its `encrypted_index` then
holds our seal, for Anthropic takes only those that it wrote itself.
"""

from typing import Any

from router_service.conversation import Citation, Json
from router_service.dialects.parts import check
from router_service.provenance import opened, seal

NAME = "anthropic_messages"
WEB = "web_search_result_location"


def read(value: Any, path: str, letters: int) -> tuple[Citation, ...]:
    """All of a block of so many letters, for which they stand."""
    given = [] if value is None else check.sequence(value, path)
    return tuple(read_one(check.mapping(raw, f"{path}[{at}]"), letters) for at, raw in enumerate(given))


def read_one(raw: Json, letters: int) -> Citation:
    source = str(raw.get("source" if raw.get("type") == "search_result_location" else "url") or "")
    url = source if source.startswith(("http://", "https://")) else ""
    title, quote = str(raw.get("title") or ""), str(raw.get("cited_text") or "")
    return Citation("" if is_ours(raw) else NAME, raw, url, title, quote, since=letters)


def is_ours(raw: Json) -> bool:
    """Whether we wrote it for another vendor's model."""
    index = raw.get("encrypted_index")
    return raw.get("type") == WEB and (not index or bool(opened(str(index))[0]))


def render(citation: Citation, maker: str, quote: str) -> Json | None:
    """For a client; `quote` are the words that it stands for, should the source's own be unknown."""
    if citation.dialect == NAME:
        return citation.raw
    if not citation.url:
        return None
    found: Json = {"type": WEB, "url": citation.url, "title": citation.title or None}
    return found | {"encrypted_index": seal(maker, ""), "cited_text": citation.quote or quote}
