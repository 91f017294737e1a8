"""YAML nodes as values that know their place: what is wrong is noted, not raised, so all of it is told."""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import yaml

from router_service.config.keys import redact, redact_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_Section = TypeVar("_Section", bound="DataclassInstance")
_Choice = TypeVar("_Choice", bound=str)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, None: 1.0}
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*(KiB|MiB|GiB|TiB)?")
_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, None: 1}
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(\s*%)?")
_FOREIGN = {"api_key": "access_key", "api_base": "base_url", "provider": "model"}  # other gateways' words
_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file, a line (from 1), and the path of keys, `llm_providers[1].model`."""

    file: str
    line: int
    path: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}" if self.path else f"{self.file}:{self.line}"

    def at(self, step: str | int, line: int) -> "Place":
        """The place one step further: a key, or the number of a list item."""
        if isinstance(step, int):
            return Place(self.file, line, f"{self.path}[{step}]")
        return Place(self.file, line, f"{self.path}.{step}" if self.path else step)


@dataclass(frozen=True, slots=True)
class Mistake:
    """`source` is the line as it stands, `mended` as it should be; both without keys, both may be empty."""

    place: Place
    message: str
    hint: str = ""
    source: str = ""
    mended: str = ""

    def __str__(self) -> str:
        said = f"{self.place}: {self.message}" + (f"; {self.hint}" if self.hint else "")
        shown = [f"{self.place.line:6} | {self.source}"] if self.source else []
        mended = ["mended:", f"{self.place.line:6} | {self.mended}"] if self.mended else []
        return "\n".join([said, *shown, *mended])


class ConfigErrors(Exception):
    """All that is wrong with a configuration; its text is what the user should read."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.place.line)
        super().__init__("\n".join(map(str, self.mistakes)))


class Notes:
    """What was found wrong, and what was found odd, while one file was read."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []
        self.unset: list[tuple[Place, str]] = []  # where a variable stands that is not set, and which

    def mistake(self, place: Place, message: str, hint: str = "", *, mended: str = "", shown: bool = True) -> None:
        source = self._source(place.line) if shown else ""
        self.mistakes.append(Mistake(place, redact(message), redact(hint), source, mended))

    def warning(self, place: Place, message: str) -> None:
        self.warnings.append(redact(f"{place}: {message}"))

    def _source(self, line: int) -> str:
        """The line from 1, as it may be shown."""
        above, here = ["", *self.lines, ""][line - 1 : line + 1]
        return redact_line(here, above=above).rstrip()


@dataclass(frozen=True, slots=True)
class Value:
    """A node of the file. The readers below give None for what they had to note as a mistake."""

    node: yaml.Node
    place: Place
    notes: Notes

    @property
    def empty(self) -> bool:
        """Nothing, or a list or mapping with nothing in it."""
        return self._is("null") or not (isinstance(self.node, yaml.ScalarNode) or self.node.value)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    def wrong(self, message: str, hint: str = "") -> None:
        self.notes.mistake(self.place, message, hint)

    def hidden(self, message: str, hint: str) -> None:
        """Wrong, and not to be shown: where a password ends, nobody can tell."""
        self.notes.mistake(self.place, message, hint, shown=False)

    def odd(self, message: str) -> None:
        self.notes.warning(self.place, message)

    def text(self) -> str | None:
        if self._is("str") and self.written.strip():
            return self.written.strip()
        quoted = isinstance(self.node, yaml.ScalarNode) and not self._is("str") and not self.empty
        self._expected("text", "put it in quotes" if quoted else "")
        return None

    def boolean(self) -> bool | None:
        if self._is("bool"):
            return self.written.lower() in ("true", "yes", "on")
        self._expected("true or false", "without quotes" if self.written in ("true", "false") else "")
        return None

    def whole(self, *, least: int, most: int) -> int | None:
        if re.fullmatch(r"\d{1,9}", self.written) and least <= int(self.written) <= most:
            return int(self.written)
        self._expected(f"a whole number from {least} to {most}")
        return None

    def seconds(self) -> float | None:
        found = _DURATION.fullmatch(self.written)
        if found and float(found[1]) > 0 and math.isfinite(float(found[1])):
            return float(found[1]) * _SECONDS[found[2]]
        self._expected("a duration such as 50ms, 60s or 10m")
        return None

    def seconds_or_zero(self) -> float | None:
        """For what 0 turns off."""
        return 0.0 if re.fullmatch(r"0(\.0+)?\s*(ms|s|m|h)?", self.written) else self.seconds()

    def size(self, *, least: int, most: int) -> int | None:
        """Bytes."""
        found = _SIZE.fullmatch(self.written)
        bytes = int(float(found[1]) * _BYTES[found[2]]) if found else -1
        if least <= bytes <= most:
            return bytes
        self._expected(f"a size such as 64KiB or 32MiB, from {size_in_words(least)} to {size_in_words(most)}")
        return None

    def share(self) -> float | None:
        found = _SHARE.fullmatch(self.written)
        share = float(found[1]) / (100 if found[2] else 1) if found else -1.0
        if 0 <= share <= 1:
            return share
        self._expected("a share such as 20% or 0.2")
        return None

    def dollars(self) -> float | None:
        if re.fullmatch(r"\d{1,6}(\.\d+)?", self.written):
            return float(self.written)
        self._expected("dollars for a million tokens, such as 0.25")
        return None

    def weight(self) -> float | None:
        """How much something weighs against others."""
        if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", self.written):
            return float(self.written)
        self._expected("a number such as 2 or 0.5")
        return None

    def choice(self, known: tuple[_Choice, ...]) -> _Choice | None:
        chosen = next((word for word in known if word == self.written), None)
        if chosen is None:
            self._expected(one_of(known), guess(self.written, known))
        return chosen

    def items(self) -> "list[Value]":
        """The items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            self._expected("a list")
            return []
        return [
            Value(node, self.place.at(number, node.start_mark.line + 1), self.notes)
            for number, node in enumerate(self.node.value)
        ]

    def one_or_many(self) -> "list[Value]":
        """The items of a list, or the one mapping that stands there instead of it."""
        return [self] if self.is_mapping else self.items()

    def fields(self, known: Iterable[str]) -> "dict[str, Value]":
        """What a mapping says under the known keys; any other key is a mistake."""
        known = tuple(known)
        found = self.entries()
        for key in [key for key in found if key not in known]:
            hint = guess(_FOREIGN.get(key, key), known) or f"known: {', '.join(known)}"
            self._key_wrong(found.pop(key), f"unknown key '{key}'", hint)
        return found

    def entries(self) -> "dict[str, Value]":
        """What a mapping says under keys that are the user's own words."""
        if not isinstance(self.node, yaml.MappingNode):
            self._expected("a mapping (key: value)", self._missing_space())
            return {}
        found: dict[str, Value] = {}
        for key, node in self.node.value:
            place = self.place.at(str(key.value), key.start_mark.line + 1)
            value = Value(node, place, self.notes)
            if not isinstance(key, yaml.ScalarNode):
                self._key_wrong(value, "a list or mapping as a key", "a key is one word")
            elif key.value in found:
                self._key_wrong(value, f"'{key.value}' is given twice", f"first on line {found[key.value].place.line}")
            else:
                found[key.value] = value
        return found

    def _key_wrong(self, value: "Value", message: str, hint: str) -> None:
        """The key is at fault, not its value: the line is the key's, the place this mapping."""
        self.notes.mistake(replace(self.place, line=value.place.line), message, hint)

    def _expected(self, what: str, hint: str = "") -> None:
        self.wrong(f"expected {what}, found {self._found()}", hint)

    def _found(self) -> str:
        if self.is_mapping:
            return "a mapping"
        if isinstance(self.node, yaml.SequenceNode):
            return "a list"
        if self.empty or not self.written.strip():
            return "nothing"
        if self.place.path.endswith("key"):
            return "a value that is not shown here"
        shown = self.written if len(self.written) <= _SHOWN else self.written[:_SHOWN] + "..."
        if self._is("bool"):
            return f"{shown} (true or false to YAML)"
        return f"the number {shown}" if self._is("int") or self._is("float") else f"'{shown}'"

    def _missing_space(self) -> str:
        found = re.match(r"(\w+):\S", self.written)
        return f"put a space after '{found[1]}:'" if found else ""

    def _is(self, kind: str) -> bool:
        return self.node.tag == f"tag:yaml.org,2002:{kind}"

    @property
    def written(self) -> str:
        """A scalar as it stands, whatever YAML takes it for; empty for anything else."""
        return str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else ""


Reader = Callable[[Value], object]


def section(value: Value | None, default: _Section, readers: Mapping[str, Reader]) -> _Section:
    """`default` with what the mapping sets; one reader for each known key."""
    if value is None or value.empty:
        return default
    return filled(default, value.fields(readers), readers)


def filled(default: _Section, fields: Mapping[str, Value], readers: Mapping[str, Reader]) -> _Section:
    read = {key: readers[key](item) for key, item in fields.items()}
    return replace(default, **{key: set_to for key, set_to in read.items() if set_to is not None})


def size_in_words(bytes: int) -> str:
    """`32 MiB`, as it is written in the config."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if bytes and bytes % _BYTES[unit] == 0), None)
    return f"{bytes // _BYTES[unit]} {unit or 'bytes'}"


def guess(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing when no known word is near."""
    near = nearest(word, known)
    return f"did you mean '{near}'?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1)
    return by_folded[near[0]] if near else ""


def one_of(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
