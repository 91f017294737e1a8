"""Manifests against the schemas that are published for their kinds: tests/schemas, one file per kind."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parent / "schemas"
_OF_EVERY_OBJECT = {"apiVersion", "kind", "metadata"}


def valid(document: dict[str, Any]) -> list[str]:
    """What is wrong with it, each with its place. Raises FileNotFoundError for a kind of which there is no schema."""
    group, _, version = document["apiVersion"].rpartition("/")
    validator = _validator(f"{group}_{document['kind']}_{version}.json")
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(document)]


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(_closed(json.loads((SCHEMAS / name).read_text())))


def _closed(schema: Any, *, top: bool = True) -> Any:
    """Kubernetes drops the fields that a schema does not name; here they are mistakes."""
    if isinstance(schema, list):
        return [_closed(one, top=False) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        key: {name: _closed(one, top=False) for name, one in value.items()}
        if key == "properties"
        else _closed(value, top=False)
        for key, value in schema.items()
    }
    if "properties" in schema and "type" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        if top:
            closed["properties"] |= {name: {} for name in _OF_EVERY_OBJECT - schema["properties"].keys()}
        closed.setdefault("additionalProperties", False)
    return closed
