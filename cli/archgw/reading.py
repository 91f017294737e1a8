"""Others' files: JSON or YAML, as they come."""

import json
from pathlib import Path

import yaml

from archgw import report
from archgw.render.envoy_pieces import Json


def document(file: Path) -> Json:
    """The object that stands in it. Exits where there is none."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        report.fail(f"cannot read {file}: {error}")
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        report.fail(f"{file} is neither JSON nor YAML: {' '.join(str(error).split())}")
    if not isinstance(found, dict):
        report.fail(f"{file} holds no object")
    return found
