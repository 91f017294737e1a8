"""An edit of an earlier turn is undone: by the opposite edit, or by git, because the user wants it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from router_service.asks import user_words
from router_service.conversation import Message, ToolCall, ToolResult
from router_service.detectors.detector import Next, texts

_PATH = ("file_path", "filePath", "path", "absolute_path")
_OLD, _NEW = ("old_string", "oldString", "old_str"), ("new_string", "newString", "new_str")
_COMMAND = ("command", "cmd")
_PATCHED = re.compile(r"^\*\*\* (?:Update|Add|Delete) File: (.+)$", re.M)
_WRITES = ("write", "create", "edit", "patch", "replace")
# What brings files back; not what goes to another branch, or only takes back what was staged.
_GIT = re.compile(
    r"\bgit(?: -C \S+)? (?:checkout(?: -f| -q| HEAD\S*| [0-9a-f]{7,40})*"
    r" (?:--(?= )|\.(?=\s|$)|(?=[\w./-]+\.\w{1,5}(?:\s|$)))"
    r"|restore (?!.*--staged(?! --worktree| -W))|reset (?:-q )?--hard\b|revert (?!--abort|--continue))"
)
_WANTED = re.compile(
    r"\b(?:undo|revert|roll(?:ing)?[ -]?back|restore|put (?:it|that|this|them|everything|\w+ \w+) back|back out|discard"
    r"|throw (?:it|that|this|them|your \w+) away|get rid of (?:it|that|this|your)|the way it was|as it was"
    r"|(?:go|went) back"
    r"|reset|take (?:it|that|this|them) back|drop (?:that|this|those|your|the) (?:change|edit)s?)\b"
    r"|rückgängig|zurück(?:setzen|nehmen|rollen)?\b|mach\w* das weg|verwirf"
    r"|\bannul|\brétabli|\breviens\b|\bremets\b|\bdéfai[ts]|retour en arrière"
    r"|\bdes(?:haz|hacer|haga)|\brevierte|\brevertir|\brestaur|\bdesfa[zç]|\breverta|\bvuelve a como|\bvolta(?:r|) "
    r"|撤销|撤回|回滚|回退|恢复|还原|改回|元に戻|戻して|取り消|откат|отмен|верн[иу]|восстанов|वापस|पूर्ववत|되돌|복원|annulla|ripristina",
    re.I,
)
_FAR = 8  # turns back; further than that nobody knows any more whose edit it was


@dataclass(frozen=True, slots=True)
class _Edit:
    """`path` is empty where a call does not say; of a file that is written as a whole both texts are."""

    path: str
    old: str
    new: str

    @property
    def undone(self) -> "_Edit":
        return _Edit(self.path, self.new, self.old)


def finds(given: Next) -> int | None:
    """The turn of the newest edit that is undone."""
    messages = given.conversation.messages
    last = max((at for at, message in enumerate(messages) if message.role == "assistant"), default=0)
    if given.intent.kind == "user turn":
        by_hand = any(text.lstrip().startswith("<bash-input>") and _GIT.search(text) for text in texts(given.since))
        return next((back for back, _ in _edited(messages[: last + 1])), None) if by_hand else None
    failed = _failed(messages)
    calls = [call for call in _calls(messages[last : last + 1]) if call.id not in failed]
    undone = {edit for call in calls for edit in _edits(call) if edit.old or edit.new}
    by_git = any(map(_brings_back, calls)) and _is_wanted(messages[:last])
    earlier = ((back, edit) for back, edit in _edited(messages[:last]) if back)  # a model may well undo its own step
    return next((back for back, edit in earlier if by_git or edit.undone in undone), None)


def _edited(messages: tuple[Message, ...]) -> Iterator[tuple[int, _Edit]]:
    """The edits, the newest first, each with how many turns have begun since."""
    failed, back = _failed(messages), 0
    for message in reversed(messages):
        if message.role == "assistant":
            yield from ((back, edit) for call in _calls([message]) if call.id not in failed for edit in _edits(call))
        elif user_words(message, typed_meanwhile=False):
            back += 1
            if back > _FAR:
                return


def _calls(messages: Iterable[Message]) -> list[ToolCall]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolCall)]


def _failed(messages: Iterable[Message]) -> set[str]:
    parts = (part for message in messages for part in message.parts)
    return {part.call_id for part in parts if isinstance(part, ToolResult) and part.is_error}


def _edits(call: ToolCall) -> list[_Edit]:
    given = _arguments(call)
    if patch := next((text for text in _strings(given) if "*** Begin Patch" in text), ""):
        return [_patched(patch)]
    path = _first(given, _PATH)
    several = given.get("edits")
    found = [one for one in several if isinstance(one, dict)] if isinstance(several, list) else [given]
    edits = [
        _core(path, _first(one, _OLD), _first(one, _NEW)) for one in found if _first(one, _OLD) or _first(one, _NEW)
    ]
    if not edits and path and call.name.lower().startswith(_WRITES):
        return [_Edit(path, "", "")]
    return edits


def _patched(patch: str) -> _Edit:
    lines = patch.splitlines()
    old, new = ("\n".join(line[1:] for line in lines if line[:1] == sign) for sign in "-+")
    return _core(",".join(_PATCHED.findall(patch)), old, new)


def _core(path: str, old: str, new: str) -> _Edit:
    """Without the lines around it, which an edit may take more or less of."""
    one, other = old.strip("\n").split("\n"), new.strip("\n").split("\n")
    while one and other and one[0] == other[0]:
        one, other = one[1:], other[1:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return _Edit(path, "\n".join(one), "\n".join(other))


def _brings_back(call: ToolCall) -> bool:
    given = _arguments(call)
    command = next((given[name] for name in _COMMAND if name in given), "")
    said = " ".join(map(str, command)) if isinstance(command, list) else str(command)
    return bool(_GIT.search(said))


def _is_wanted(messages: tuple[Message, ...]) -> bool:
    """Whether the user's last words ask for it."""
    said = next(filter(None, map(user_words, reversed(messages))), "")
    return bool(_WANTED.search(said))


def _arguments(call: ToolCall) -> Mapping[str, Any]:
    try:
        given = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return {"input": call.arguments}
    return given if isinstance(given, dict) else {"input": str(given)}


def _strings(given: Mapping[str, Any]) -> Iterator[str]:
    for value in given.values():
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def _first(given: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((given[name] for name in names if isinstance(given.get(name), str)), "")
