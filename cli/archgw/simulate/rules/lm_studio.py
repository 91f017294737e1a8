"""What LM Studio refuses: JSON without a schema, and a choice of a tool that is more than a word.

Its words: github.com/lmstudio-ai/lmstudio-bug-tracker/issues/189 (JSON), github.com/can1357/llm-git/issues/13 (tools).
"""

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai import COMPATIBLE
from archgw.simulate.rules.rule import Rule


def response_format(asked: Asked) -> None:
    form = asked.body.get("response_format") or {}
    if form.get("type") not in (None, "json_schema", "text"):
        raise Refused("'response_format.type' must be 'json_schema' or 'text'")


def tool_choice(asked: Asked) -> None:
    if isinstance(asked.body.get("tool_choice"), dict):
        raise Refused("Invalid tool_choice type: 'object'. Supported string values: none, auto, required")


LM_STUDIO: tuple[Rule, ...] = (response_format, tool_choice, *COMPATIBLE)
