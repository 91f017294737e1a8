"""Text -> YAML nodes: a line that YAML cannot read is shown as it stands and as it should be.

A mended line stands in for the broken one and reading goes on, so that the mistakes behind it are told too.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import yaml

from router_service.config.keys import redact_line
from router_service.config.reading import Notes, Place

_MOST_MENDS = 50
_MOST_LEVELS = 100  # of lists and mappings within each other
_NOT_ALLOWED = "mapping values are not allowed here"
_KEY = re.compile(r"(?P<indent> *)(?P<dash>- +)?(?P<key>[\w.-]+):(?: +(?P<value>[^#\s].*?))? *(?: #.*)?")
_GLUED = re.compile(r"( *(?:- +)?[A-Za-z_]\w*):(?!//)(\S.*)")


@dataclass(frozen=True, slots=True)
class Mend:
    """What is wrong in words, and the lines (by index, from 0) as they should be."""

    message: str
    hint: str
    lines: Mapping[int, str]


def compose(text: str, notes: Notes) -> yaml.Node | None:
    """The root node; None when there is none, for emptiness or for mistakes that are now in the notes."""
    lines = text.splitlines()
    for _ in range(_MOST_MENDS):
        try:
            root: yaml.Node | None = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
            if _deep(root):
                raise RecursionError
            return root
        except RecursionError:
            notes.mistake(
                Place(notes.file, 1, ""), "nested too deeply", "no key of a config is deeper than five others"
            )
            return None
        except yaml.MarkedYAMLError as error:
            mend = _mend(error, lines)
            _note(error, mend, notes)
            if mend is None:
                return None
            lines = [mend.lines.get(number, line) for number, line in enumerate(lines)]
        except yaml.reader.ReaderError as error:
            line = "\n".join(lines).count("\n", 0, error.position) + 1
            notes.mistake(Place(notes.file, line, ""), f"not valid YAML: {error.reason}", "remove it")
            return None
    return None


def _deep(node: yaml.Node | None) -> bool:
    """Deeper than is read; whatever goes through it may do so by itself."""
    level: list[yaml.Node] = [node] if node else []
    for _ in range(_MOST_LEVELS):
        inner = (child for one in level if isinstance(one, yaml.CollectionNode) for child in one.value)
        level = [node for child in inner for node in (child if isinstance(child, tuple) else (child,))]
        if not level:
            return False
    return True


def _note(error: yaml.MarkedYAMLError, mend: Mend | None, notes: Notes) -> None:
    if mend is None:
        message, hint = _explained(error)
        notes.mistake(Place(notes.file, _line(error) + 1, ""), f"not valid YAML: {message}", hint)
        return
    number, mended = min(mend.lines.items())
    notes.mistake(
        Place(notes.file, number + 1, ""),
        f"not valid YAML: {mend.message}",
        mend.hint,
        mended=redact_line(mended),
    )


def _mend(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> Mend | None:
    at = min(_line(error), len(lines) - 1)
    column = error.problem_mark.column if error.problem_mark else 0
    mends = (rule(at, column, lines) for words, rule in _RULES if words in (error.problem or ""))
    return next((mend for mend in mends if mend), None)


def _line(error: yaml.MarkedYAMLError) -> int:
    """The index of the broken line. A key without its colon is only missed on the line after it."""
    missed = error.problem == "could not find expected ':'"
    mark = error.context_mark if missed else error.problem_mark
    return mark.line if mark else 0


def _explained(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    problem = error.problem or "cannot be read"
    said = f"{error.context} {problem}"
    message, hint = next((words for sign, words in _EXPLAINED.items() if sign in said), (problem, ""))
    opened, broken = error.context_mark, error.problem_mark
    apart = opened is not None and broken is not None and opened.line != broken.line
    return message.replace("LINE", f"line {opened.line + 1}" if opened and apart else "this line"), hint


def _tabs(_at: int, _column: int, lines: Sequence[str]) -> Mend | None:
    """All indentation at once: who indents with tabs does so everywhere."""
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines]
    mended = {
        number: indent.expandtabs(2) + lines[number][len(indent) :]
        for number, indent in enumerate(indents)
        if "\t" in indent
    }
    others = f" (here and on {len(mended) - 1} more lines)" if len(mended) > 1 else ""
    return Mend("a tab indents this line", f"indent with spaces{others}", mended) if mended else None


def _glued(at: int, _column: int, lines: Sequence[str]) -> Mend | None:
    """`model:openai/gpt-4o` is one word to YAML, which then stumbles over the colon of the next line."""
    for number in (at, _above(at, lines)):
        found = _GLUED.fullmatch(lines[number]) if number is not None else None
        if found and number is not None:
            key = found[1].strip(" -")
            mended = {number: f"{found[1]}: {found[2]}"}
            return Mend(f"no space after '{key}:'", "put one there", mended)
    return None


def _too_deep(at: int, column: int, lines: Sequence[str]) -> Mend | None:
    """A key deeper than the one above it, which has its value already: nothing can stand inside of it."""
    above = _above(at, lines)
    here, outer = _KEY.fullmatch(lines[at]), _KEY.fullmatch(lines[above]) if above is not None else None
    if not here or not outer or outer["value"] is None or here.end("key") != column:
        return None
    if bool(here["dash"]) and not outer["dash"]:
        return None
    wanted = len(outer["indent"]) if here["dash"] else outer.start("key")
    message = f"'{here['key']}' stands deeper than '{outer['key']}' above it"
    return Mend(message, f"align them (column {wanted + 1})", {at: " " * wanted + lines[at].lstrip()})


def _not_deep_enough(at: int, _column: int, lines: Sequence[str]) -> Mend | None:
    """A key between the dash of its list item and the item's other keys."""
    here = _KEY.fullmatch(lines[at])
    indent = len(lines[at]) - len(lines[at].lstrip())
    items = (found for line in reversed(lines[:at]) if (found := _KEY.fullmatch(line)) and found["dash"])
    item = next((item for item in items if len(item["indent"]) < indent), None)
    if not here or not item or indent >= item.start("key"):
        return None
    wanted = item.start("key")
    message = f"'{here['key']}' does not stand below '{item['key']}', the first key of its list item"
    return Mend(message, f"align them (column {wanted + 1})", {at: " " * wanted + lines[at].lstrip()})


def _unquoted(at: int, column: int, lines: Sequence[str]) -> Mend | None:
    """A value with a colon or a reserved character in it, which quotes make plain text."""
    here = _KEY.fullmatch(lines[at])
    if not here or here["value"] is None or here.start("value") > column:
        return None
    value = here["value"]
    quoted = "'" + value.replace("'", "''") + "'" if '"' in value or "\\" in value else f'"{value}"'
    mended = lines[at][: here.start("value")] + quoted + lines[at][here.end("value") :]
    return Mend(f"{lines[at][column]!r} has a meaning in YAML", "put the value in quotes", {at: mended})


def _above(at: int, lines: Sequence[str]) -> int | None:
    """The index of the nearest line above that says something."""
    speaking = (n for n in range(at - 1, -1, -1) if lines[n].strip() and not lines[n].lstrip().startswith("#"))
    return next(speaking, None)


_EXPLAINED = {
    "could not find expected ':'": ("a key without its colon", "write 'key: value'"),
    "flow sequence": (
        "the list that opens on LINE goes wrong here",
        "part its items by ',', close it by ']'",
    ),
    "flow mapping": (
        "the mapping that opens on LINE goes wrong here",
        "part its keys by ',', close it by '}'",
    ),
    "quoted scalar": ("the quote that opens on LINE is not closed", "close it"),
    "but found '<block mapping start>'": (
        "the indentation fits nothing above",
        "align it with its neighbours",
    ),
    "but found '-'": ("the indentation fits nothing above", "align it with its neighbours"),
    _NOT_ALLOWED: ("a key where none can stand", "check the indentation here and above"),
    "undefined alias": ("'*' has a meaning in YAML", "put the value in quotes"),
    "but found another document": ("'---' begins another document", "keep to one"),
}
_Rule = Callable[[int, int, Sequence[str]], Mend | None]
_RULES: tuple[tuple[str, _Rule], ...] = (
    ("found character '\\t'", _tabs),
    (_NOT_ALLOWED, _glued),
    ("could not find expected ':'", _glued),
    (_NOT_ALLOWED, _too_deep),
    (_NOT_ALLOWED, _unquoted),
    ("that cannot start any token", _unquoted),
    ("but found '<block mapping start>'", _not_deep_enough),
)
