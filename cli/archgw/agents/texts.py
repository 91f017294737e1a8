"""Settings files of others, read as far as they can be read: their owner complains where they cannot."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import yaml

_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


def from_json(text: str) -> dict[str, Any]:
    """JSON, with comments and last commas where they are allowed."""
    bare = _COMMENT.sub(lambda match: match[1] or " ", text)
    try:
        return _mapping(json.loads(_LAST_COMMA.sub(lambda match: match[1] or "", bare)))
    except ValueError:
        return {}


def from_toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def from_yaml(text: str) -> dict[str, Any]:
    try:
        return _mapping(yaml.safe_load(text))
    except yaml.YAMLError:
        return {}


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both say something, `over`, but for mappings, which are merged themselves."""
    both = {
        name: merged(under[name], over[name])
        for name in under.keys() & over.keys()
        if isinstance(under[name], dict) and isinstance(over[name], dict)
    }
    return {**under, **over, **both}


def text_of(value: Any) -> str:
    """A variable's value; what is no text is written as in JSON: true, 32000."""
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
