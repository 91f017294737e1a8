"""A config.yaml as its user wrote it, with only those places changed that must differ elsewhere; comments stay."""

import re
from collections.abc import Collection, Iterator, Mapping

import yaml

from router_service.config.keys import variable

_ENTRIES = ("llm_providers", "model_providers")


def with_section(text: str, key: str, written: str) -> str:
    """`written`, lines of YAML, in place of the section `key`, or at the end where there is none."""
    for at, node in _sections(text):
        if at.value == key:
            start = at.start_mark.index
            return text[:start] + written.rstrip("\n") + text[_end(text, start, node.end_mark.index) :]
    return f"{text.rstrip()}\n\n{written.rstrip()}\n"


def with_url(text: str, key: str, url: str) -> str:
    """`key: {url: ...}` says this; what else the section says stays."""
    node = next((node for at, node in _sections(text) if at.value == key), None)
    if not isinstance(node, yaml.MappingNode) or not node.value:
        return with_section(text, key, f"{key}: {{url: {url}}}")
    known = {name.value: value for name, value in node.value}
    if "url" in known:
        return text[: known["url"].start_mark.index] + url + text[known["url"].end_mark.index :]
    first = node.value[0][0].start_mark
    between = ", " if node.flow_style else "\n" + " " * first.column
    return f"{text[: first.index]}url: {url}{between}{text[first.index :]}"


def url_in(text: str, key: str) -> str:
    """What `key: {url: ...}` says, as it is written; empty where it says nothing."""
    node = next((node for at, node in _sections(text) if at.value == key), None)
    known = {name.value: value.value for name, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    return str(known.get("url", ""))


def without(text: str, models: Mapping[str, str]) -> str:
    """Without these models, by the names that they are known as; each stays as a comment, below the words for why.

    Preferences lose them, too. The text as it is where that cannot be done line by line.
    """
    cuts = [*_entries(text, models), *_mentions(text, models)]
    for start, end, instead in sorted(cuts, reverse=True):
        text = text[:start] + instead + text[end:]
    return text


def variables(text: str) -> set[str]:
    """The variables that it names; `$50` is money."""
    scalars = (node.value for root in yaml.compose_all(text) for node in _nodes(root))
    named = (variable(scalar) for scalar in scalars if isinstance(scalar, str))
    return {name for name in named if name and name.isidentifier()}


def _sections(text: str) -> list[tuple[yaml.Node, yaml.Node]]:
    root = yaml.compose(text)
    return list(root.value) if isinstance(root, yaml.MappingNode) else []


def _end(text: str, start: int, end: int) -> int:
    """Without what only stands before the next: comments and empty lines belong to that."""
    lines = text[start:end].splitlines(keepends=True)
    while len(lines) > 1 and re.match(r"\s*(#.*)?$", lines[-1]):
        lines.pop()
    return start + len("".join(lines).rstrip("\n"))


def _entries(text: str, models: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    for at, node in _sections(text):
        if at.value in _ENTRIES and isinstance(node, yaml.SequenceNode) and not node.flow_style:
            for item in node.value:
                name = _known_as(item)
                if name in models:
                    start = text.rindex("\n", 0, item.start_mark.index) + 1
                    end = _end(text, start, item.end_mark.index)
                    indent = " " * node.start_mark.column
                    lines = [f"# {line.removeprefix(indent)}" for line in text[start:end].splitlines()]
                    yield start, end, "\n".join(f"{indent}{line}" for line in (f"# {models[name]}", *lines))


def _mentions(text: str, models: Collection[str]) -> Iterator[tuple[int, int, str]]:
    for at, node in _sections(text):
        if at.value in ("routing_preferences", "failover"):
            for pool in _nodes(node):
                if isinstance(pool, yaml.SequenceNode):
                    yield from _gone(text, pool, models)


def _gone(text: str, pool: yaml.SequenceNode, models: Collection[str]) -> Iterator[tuple[int, int, str]]:
    left = 0
    for number, item in enumerate(pool.value):
        if not (isinstance(item, yaml.ScalarNode) and _is_one(item.value, models)):
            left += 1
            continue
        if not pool.flow_style:
            start = text.rindex("\n", 0, item.start_mark.index)
            yield start, item.end_mark.index, ""
        elif left:  # with the comma before it
            yield pool.value[number - 1].end_mark.index, item.end_mark.index, ""
        elif number + 1 < len(pool.value):
            yield item.start_mark.index, pool.value[number + 1].start_mark.index, ""
        else:
            yield item.start_mark.index, item.end_mark.index, ""


def _is_one(reference: str, models: Collection[str]) -> bool:
    return any(model == reference or model.endswith(f"/{reference}") for model in models)


def _known_as(item: yaml.Node) -> str:
    fields = {key.value: value.value for key, value in item.value} if isinstance(item, yaml.MappingNode) else {}
    return str(fields.get("name") or fields.get("model") or "")


def _nodes(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _nodes(key)
            yield from _nodes(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _nodes(item)
