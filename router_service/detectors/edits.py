"""What a call of the model's changes: the texts that it puts for one another, the files that it makes or takes away."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from router_service.conversation import ToolCall

_PATH = ("file_path", "filePath", "path", "absolute_path", "filename", "file", "doc")
_OLD = ("old_string", "oldString", "old_str", "old_text", "find", "search")
_NEW = ("new_string", "newString", "new_str", "new_text", "replace", "replacement")
_WHOLE = ("content", "contents", "file_text")
_COMMAND = ("command", "cmd")
_PATCHED = re.compile(r"^\*\*\* (Update|Add|Delete) File: (.+)$", re.M)
_WRITES = ("write", "create", "edit", "patch", "replace", "multiedit", "notebookedit", "insert", "str_replace")
# Of shells: what brings files back; not what goes to another branch, or only takes back what was staged.
_BACK = re.compile(
    r"\bgit(?: -C \S+)? (?:checkout(?: -f| -q| HEAD\S*| [0-9a-f]{7,40})*"
    r" (?:--(?= )|\.(?=\s|$)|(?=[\w./-]+\.\w{1,5}(?:\s|$)))"
    r"|restore (?!.*--staged(?! --worktree| -W))|reset (?:-q )?--hard\b|revert (?!--abort|--continue)"
    r"|apply (?:-\S+ )*(?:-R\b|--reverse)|show \S+:\S+ *>|stash(?: -\S+| push\b[^|;&\n]*)* *(?:$|[;&\n]))"
    r"|\bpatch (?:-\S+ )*(?:-R\b|--reverse)|\b(?:hg|svn|jj) (?:revert|undo|restore)\b"
    r"|\b(?:cp|mv) (?:-\S+ )*(\S+)\.(?:bak|orig|backup|old) \1(?:\s|$)"
)
_WHOLE_TREE = re.compile(r"\bgit\b.* (?:reset|revert|apply|stash)\b|\bpatch\b|\bundo\b|checkout\b.* \.$")
_NEXT = re.compile(r"[;&|\n]")
_CHANGES = re.compile(
    r"\b(?:sed|perl) (?:-\S+ )*-\w*i|\bgit (?:apply|am|commit|mv|rm|merge|cherry-pick)\b|\bpatch -|\btee \b"
    r"|\b(?:npm|pnpm|yarn|bun|cargo|poetry|uv|go|pip|gem|composer|dotnet) (?:install|add|remove|i|get|update|upgrade)\b"
    r"|(?<![0-9&>])>>? ?[\w./-]+\.\w"
)
_SWAPS = re.compile(
    r"\bsed (?:-\S+ )*-\w*i\S* (?:-\S+ )*['\"]?s([/|#,@])([^\n]{1,200}?)\1([^\n]{0,200}?)\1[^\s'\"]*['\"]?([^\n;&|]*)"
)
_REMOVES = re.compile(r"(?:^|[;&|(\s])(?:git rm|rm|trash|unlink)\b([^\n;&|]*)")
_DEEP = 20  # values of a call that are looked at
_LONGEST = 20_000  # characters of a command


@dataclass(frozen=True, slots=True)
class Edit:
    """`path` is empty where a call does not say; of what is not told in pairs both texts are. `whole`: the file as it
    is written; `made`: there may have been none."""

    path: str
    old: str = ""
    new: str = ""
    whole: str = ""
    made: bool = False

    def undoes(self, other: "Edit") -> bool:
        return bool(self.old or self.new) and (self.path, self.old, self.new) == (other.path, other.new, other.old)


def edits(call: ToolCall) -> list[Edit]:
    """What the call changes, as far as it says."""
    given = arguments(call)
    if patch := next((text for text in _strings(given) if "*** Begin Patch" in text), ""):
        return [_patched(patch)]
    if command := _command(given):
        return _by_shell(command)
    path = _first(given, _PATH)
    several = given.get("edits")
    found = [one for one in several if isinstance(one, dict)] if isinstance(several, list) else [given]
    pairs = [(_first(one, _OLD), _first(one, _NEW)) for one in found]
    told = [_core(path, old, new) for old, new in pairs if old or new]
    if not told and path and call.name.lower().startswith(_WRITES):
        return [Edit(path, whole=_first(given, _WHOLE), made=True)]
    return told


def removed(call: ToolCall) -> list[str]:
    """The paths of the files that the call takes away."""
    given = arguments(call)
    patched = [path for text in _strings(given) for kind, path in _PATCHED.findall(text) if kind == "Delete"]
    gone = [path for found in _REMOVES.findall(_command(given)) for path in found.split() if path[:1] != "-"]
    return patched + gone


def brings_back(command: str) -> bool:
    """Whether a shell's command makes files what they were."""
    return bool(_BACK.search(command[:_LONGEST]))


def put_back(command: str) -> list[str]:
    """The files that such a command names; none where it takes the whole tree."""
    found = _BACK.search(command[:_LONGEST])
    if found is None or _WHOLE_TREE.search(found[0]):
        return []
    if found[1]:
        return [found[1]]
    rest = _NEXT.split(command[found.end() : found.end() + _LONGEST], maxsplit=1)[0]
    paths = [path for one in rest.split() if (path := one.strip("'\"`()")) and path[:1] != "-"]
    return [] if any(path in (".", "./", ":/") or "*" in path or "$" in path for path in paths) else paths


def is_among(path: str, paths: Iterable[str]) -> bool:
    """Whether a file is one of these, or in one of these folders; where either is not known, it may be."""
    several = [one.strip() for one in path.split(",") if one.strip()]  # a patch may be of many
    named = list(paths)
    return not several or not named or any(_is_in(one, other) for one in several for other in named)


def _is_in(path: str, other: str) -> bool:
    path, other = path.replace("\\", "/"), other.replace("\\", "/")
    return is_same(path, other) or f"/{other.strip('./')}/" in f"/{path.strip('./')}"


def path_of(call: ToolCall) -> str:
    return _first(arguments(call), _PATH)


def command_of(call: ToolCall) -> str:
    return _command(arguments(call))


def arguments(call: ToolCall) -> Mapping[str, Any]:
    try:
        given = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return {"input": call.arguments}
    return given if isinstance(given, dict) else {"input": str(given)}


def is_same(path: str, other: str) -> bool:
    """Of two paths one may be told from another folder than the other."""
    one, two = path.strip("./'\""), other.strip("./'\"")
    return bool(one and two) and (one == two or one.endswith(f"/{two}") or two.endswith(f"/{one}"))


def _command(given: Mapping[str, Any]) -> str:
    said = next((given[name] for name in _COMMAND if name in given), "")
    text = " ".join(map(str, said)) if isinstance(said, list) else str(said)
    return text[:_LONGEST] if " " in text else ""  # one word is what an editor is to do, "str_replace"


def _by_shell(command: str) -> list[Edit]:
    swapped = [Edit(rest.strip(), old, new) for _, old, new, rest in _SWAPS.findall(command)]
    return swapped or ([Edit("")] if _CHANGES.search(command) else [])


def _patched(patch: str) -> Edit:
    lines = patch.splitlines()
    old, new = ("\n".join(line[1:] for line in lines if line[:1] == sign) for sign in "-+")
    files = _PATCHED.findall(patch)
    made = bool(files) and all(kind == "Add" for kind, _ in files)
    return _core(",".join(path for _, path in files), old, new, made=made)


def _core(path: str, old: str, new: str, *, made: bool = False) -> Edit:
    """Without the lines around it, which an edit may take more or less of."""
    one, other = old.strip("\n").split("\n"), new.strip("\n").split("\n")
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return Edit(path, "\n".join(one), "\n".join(other), made=made)


def _strings(given: Mapping[str, Any]) -> Iterator[str]:
    for value in list(given.values())[:_DEEP]:
        yield from (one for one in (value[:_DEEP] if isinstance(value, list) else [value]) if isinstance(one, str))


def _first(given: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((given[name] for name in names if isinstance(given.get(name), str)), "")
