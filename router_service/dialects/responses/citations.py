"""Citations of a response: `annotations` of an `output_text`, by its letters: pages of the web, files of OpenAI's."""

from typing import Any

from router_service.conversation import Citation, Json
from router_service.dialects.parts import cited

NAME = "openai_responses"


def read(value: Any, letters: int) -> tuple[Citation, ...]:
    """Of a text of so many letters."""
    given = [raw for raw in value if isinstance(raw, dict)] if isinstance(value, list) else []
    return tuple(read_one(raw, letters) for raw in given)


def read_one(raw: Json, letters: int) -> Citation:
    return cited.read_place(raw if raw.get("type") == "url_citation" else None, letters, dialect=NAME, raw=raw)


def render(citation: Citation, told: int) -> Json | None:
    """None for what only another dialect can say."""
    if citation.url:
        return {"type": "url_citation", **cited.place(citation, told)}
    return citation.raw if citation.dialect == NAME else None
