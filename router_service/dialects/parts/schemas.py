"""A JSON schema as Anthropic's structured output takes it: objects closed, and no bounds, which it would refuse.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from typing import Any

from router_service.conversation import Json, OutputSchema
from router_service.dialects.parts.fit import compact

REFUSED = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "maxItems", "uniqueItems", "minProperties", "maxProperties", "contains", "minContains", "maxContains",
        "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas", "if", "then", "else", "not",
    }
)  # fmt: skip
BY_NAME = frozenset({"properties", "$defs", "definitions"})  # of these the keys are names, not words of the schema


def in_words(wanted: OutputSchema, warnings: list[str]) -> str:
    """What a model is told that cannot be held to it."""
    warnings.append("structured output asked for in words: this model knows no other way")
    words = "Answer with a JSON object and nothing else."
    words += f" {wanted.description}" if wanted.description else ""
    return words + (f" It must match this JSON schema: {compact(wanted.schema)}" if wanted.schema else "")


def strict(schema: Json) -> Json:
    made = {name: _inner(name, value) for name, value in schema.items() if name not in REFUSED}
    if made.get("minItems", 0) not in (0, 1):
        del made["minItems"]
    if made.get("type") == "object" or "properties" in made:
        made["additionalProperties"] = False
    return made


def _inner(name: str, value: Any) -> Any:
    if name in BY_NAME and isinstance(value, dict):
        return {key: strict(inner) if isinstance(inner, dict) else inner for key, inner in value.items()}
    if isinstance(value, list):
        return [strict(inner) if isinstance(inner, dict) else inner for inner in value]
    return strict(value) if isinstance(value, dict) and name not in ("default", "const", "enum") else value
