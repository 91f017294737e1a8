"""Checks custom resources against the schemas of their kinds, as the cluster would: a field that is not known is wrong.

A file for each kind in the folder `schemas` beside this, or in that of ARCHGW_CRD_SCHEMAS:
`<group>_<kind>_<version>.json`, the openAPIV3Schema of that version of the published CustomResourceDefinition.
"""

import json
import os
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

Json = dict[str, Any]
FOLDER = Path(os.environ.get("ARCHGW_CRD_SCHEMAS") or Path(__file__).parent / "schemas")


def schema_of(document: Json) -> Path:
    group, _, version = document["apiVersion"].partition("/")
    return FOLDER / f"{group}_{document['kind']}_{version}.json"


def valid(document: Json) -> list[str]:
    """What is wrong with it, each with its place; empty where it is valid. FileNotFoundError without its schema."""
    schema = _strict(json.loads(schema_of(document).read_text()))
    found = Draft202012Validator(schema).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in found]


def _strict(schema: Any) -> Any:
    """A cluster drops what is not known; here it is a mistake."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    closed = schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema
    if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made
