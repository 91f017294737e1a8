"""Neutral parts as Anthropic's content blocks."""

import base64
import binascii
import json
from collections.abc import Iterable

from router_service.conversation import (
    Citation,
    Document,
    Image,
    Json,
    Opaque,
    Part,
    Search,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from router_service.dialects.anthropic import searches
from router_service.dialects.anthropic.request import NAME
from router_service.dialects.parts import fit


def blocks(parts: Iterable[Part], warnings: list[str]) -> list[Json]:
    return [made for part in parts for made in _blocks(part, warnings)]


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def thinking(words: str, signature: str, *, hidden: bool) -> Json:
    if hidden:
        return {"type": "redacted_thinking", "data": signature}
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool_use(call_id: str, name: str, arguments: str) -> Json:
    return {"type": "tool_use", "id": fit.tool_id(call_id), "name": name, "input": arguments_object(arguments)}


def arguments_object(arguments: str) -> Json:
    """The object that Anthropic wants; JSON that a model broke is kept whole under `_raw`."""
    if not arguments.strip():
        return {}
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"_raw": arguments}


def _blocks(part: Part, warnings: list[str]) -> Iterable[Json]:
    if isinstance(part, Search):
        if part.dialect == NAME:
            return part.raw
        warnings.append(searches.FOREIGN)
        return ()
    return [made] if (made := _block(part, warnings)) else []


def _block(
    part: Text | Image | Document | Thinking | ToolCall | ToolResult | Opaque, warnings: list[str]
) -> Json | None:
    match part:
        case Text(words, told):
            return text(words) | _citations(told, warnings) if words.strip() else None
        case Thinking(words, signature, hidden=hidden):
            return thinking(words, signature, hidden=hidden)
        case ToolCall(call_id, name, arguments):
            return tool_use(call_id, name, arguments)
        case ToolResult():
            return _tool_result(part, warnings)
        case Image():
            if part.detail not in ("", "auto"):
                warnings.append(f"detail {part.detail} of an image left out: Anthropic looks at all of it")
            return {"type": "image", "source": _source(part.media_type, part.data, part.url)}
        case Document():
            return _document(part, warnings)
        case Opaque(dialect, _, raw) if dialect == NAME:
            return raw
    warnings.append(f"{part.kind} left out: Anthropic does not know it")
    return None


def _citations(told: tuple[Citation, ...], warnings: list[str]) -> Json:
    """Anthropic takes its own back, and no others: they refer to what it holds of the sources."""
    own = [one.raw for one in told if one.dialect == NAME]
    if len(own) < len(told):
        warnings.append(FOREIGN_CITATIONS)
    return {"citations": own} if own else {}


FOREIGN_CITATIONS = "citations left out: Anthropic takes back only those that it gave"


def _source(media_type: str, data: str, url: str) -> Json:
    if url:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": media_type, "data": data}


def _tool_result(result: ToolResult, warnings: list[str]) -> Json:
    inner = blocks(result.parts, warnings)
    short = len(inner) == 1 and inner[0].keys() == {"type", "text"}
    block: Json = {"type": "tool_result", "tool_use_id": fit.tool_id(result.call_id)}
    if inner:
        block["content"] = inner[0]["text"] if short else inner
    return block | ({"is_error": True} if result.is_error else {})


def _document(document: Document, warnings: list[str]) -> Json | None:
    """PDFs as they are, other files as their text: Anthropic takes nothing else."""
    title: Json = {"title": document.title} if document.title else {}
    title |= {"context": document.context} if document.context else {}
    title |= {"citations": {"enabled": True}} if document.cited else {}
    if document.url or document.media_type == "application/pdf":
        return {"type": "document", "source": _source(document.media_type, document.data, document.url)} | title
    words = document.text or _decoded(document.data)
    if not words:
        warnings.append(f"file {document.title or document.media_type} left out: it is neither a PDF nor text")
        return None
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}} | title


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
