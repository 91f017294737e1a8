"""Tools that are called with plain text, as OpenAI knows them: for everybody else a function of one string, `input`."""

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
    except (ValueError, KeyError, TypeError):
        return arguments
    return value if isinstance(value, str) else arguments
