"""Others' files: JSON or YAML, as they come."""

import json
from pathlib import Path
from typing import Any

import yaml

from archgw import report
from archgw.render.envoy_pieces import Json


class _Loader(yaml.SafeLoader):
    """What looks like a date is words, as it is to Envoy."""


_DATE = "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def document(file: Path) -> Json:
    """The object that stands in it, of nothing but what JSON has. Exits where there is none."""
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        report.fail(f"cannot read {file}: it is no text in UTF-8")
    except OSError as error:
        report.fail(f"cannot read {file}: {error.strerror}")
    try:
        found = _parsed(text)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        report.fail(f"{file} is neither JSON nor YAML: {' '.join(str(error).split())}")
    except RecursionError:
        report.fail(f"{file} is nested too deeply to be a configuration of Envoy's")
    if not isinstance(found, dict):
        report.fail(f"{file} holds no object")
    return found


def _parsed(text: str) -> Any:
    """Raises ValueError, TypeError, RecursionError or yaml.YAMLError."""
    begun = text.lstrip()
    if begun.startswith("{") and begun[1:].lstrip().startswith(('"', "}")):  # other braces are YAML's
        return json.loads(text)
    loaded = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    json.dumps(loaded)
    return loaded
