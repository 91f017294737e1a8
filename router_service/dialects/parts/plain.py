"""What is plain text for those who know no better: tools that are called with it, blocks that hold nothing else.

A tool of plain text, as OpenAI knows it, is for everybody else a function of one string, `input`.
"""

import json

from router_service.conversation import Json
from router_service.dialects.parts.fit import compact

SCHEMA: Json = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def arguments(text: str) -> str:
    """The text as a function's arguments."""
    return compact({"input": text})


def text(arguments: str) -> str:
    """The text that a call is made with; arguments that a model made up otherwise stay as they are."""
    try:
        value = json.loads(arguments)["input"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return arguments
    return value if isinstance(value, str) else arguments


def words(kind: str, block: Json) -> str:
    """What a block that only Anthropic knows says in words; empty where it says more than that."""
    match kind:
        case "tool_reference":
            return f"Tool loaded: {block.get('tool_name')}"
        case "search_result":
            inner = block.get("content")
            texts = (
                [str(part.get("text") or "") for part in inner if isinstance(part, dict)]
                if isinstance(inner, list)
                else []
            )
            return "\n\n".join([f"{block.get('title')} ({block.get('source')})", *texts])
    return ""
