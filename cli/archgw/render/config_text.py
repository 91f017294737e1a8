"""A config.yaml as its user wrote it, with only those places changed that must differ elsewhere; comments stay.

What cannot be changed as text raises ValueError, in words. Whoever changes one reads it again: YAML can be written in
more ways than are known here.
"""

import re
from collections.abc import Collection, Iterator, Mapping

import yaml

from router_service.config.keys import variable

_ENTRIES = ("llm_providers", "model_providers")
_ENDED = re.compile(r"^\.\.\.\Z", re.M)  # the end of a document


def with_section(text: str, key: str, written: str) -> str:
    """`written`, lines of YAML, in place of the section `key`, or at the end where there is none. Raises ValueError."""
    if _in_braces(text):
        raise ValueError(f"all of it is in braces: write its sections line by line, so that `{key}` can be one of them")
    found = _section(text, key)
    if found is None:
        return f"{_ENDED.sub('', text.rstrip()).rstrip()}\n\n{written.rstrip()}\n"
    at, node = found
    start = at.start_mark.index
    return text[:start] + written.rstrip("\n") + text[_end(text, start, node.end_mark.index) :]


def with_url(text: str, key: str, url: str) -> str:
    """`key: {url: ...}` says this; what else the section says stays. Raises ValueError."""
    found = _section(text, key)
    node = found[1] if found else None
    if not isinstance(node, yaml.MappingNode) or not node.value:
        return with_section(text, key, f"{key}: {{url: {url}}}")
    known = {name.value: value for name, value in node.value}
    if "url" in known:
        start, end = known["url"].start_mark.index, known["url"].end_mark.index
        if start < node.start_mark.index:
            raise ValueError(f"{key}.url is the alias of another place: write it there itself")
        return text[:start] + url + text[_end(text, start, end) :]
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
    cuts = {*_entries(text, models), *_mentions(text, models)}  # an alias is met again wherever it is used
    for start, end, instead in sorted(cuts, reverse=True):
        text = text[:start] + instead + text[end:]
    return text


def variables(text: str) -> set[str]:
    """The variables that it names; `$50` is money."""
    scalars = (node.value for root in yaml.compose_all(text) for node in _nodes(root))
    named = (variable(scalar) for scalar in scalars if isinstance(scalar, str))
    return {name for name in named if name and name.isidentifier()}


def _section(text: str, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and what it says. Raises ValueError where that is written elsewhere."""
    found = next((pair for pair in _sections(text) if pair[0].value == key), None)
    if found and found[1].start_mark.index < found[0].start_mark.index:
        raise ValueError(f"{key} is the alias of another place: write it there itself")
    return found


def _in_braces(text: str) -> bool:
    root = yaml.compose(text)
    return isinstance(root, yaml.MappingNode) and bool(root.flow_style)


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
