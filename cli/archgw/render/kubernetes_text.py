"""Manifests as text: YAML that reads as a person would write it."""

from typing import Any

import yaml

from archgw.render.envoy_pieces import Json

_HEADER = "# Rendered by `archgw render kubernetes` out of config.yaml: change that, not this.\n"


class _Dumper(yaml.SafeDumper):
    """Text of several lines as it reads, and no anchors for what occurs twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def as_yaml(document: Json) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def file_of(*documents: Json) -> str:
    """With the words that say where it comes from."""
    return _HEADER + "---\n".join(map(as_yaml, documents))
