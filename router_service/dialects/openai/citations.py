"""Citations of a chat completion: `annotations` of the message, by the letters of its content.

https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat. OpenRouter has others than `url_citation`.
"""

from typing import Any

from router_service.conversation import Citation, Json
from router_service.dialects.parts import cited

NAME = "openai_chat"


def read(value: Any, letters: int) -> tuple[Citation, ...]:
    """Of a content of so many letters."""
    given = [raw for raw in value if isinstance(raw, dict)] if isinstance(value, list) else []
    return tuple(cited.read_place(raw.get("url_citation"), letters, dialect=NAME, raw=raw) for raw in given)


def render(citation: Citation, told: int) -> Json | None:
    """None for what only another dialect can say."""
    if citation.url:
        return {"type": "url_citation", "url_citation": cited.place(citation, told)}
    return citation.raw if citation.dialect == NAME else None
