"""An edit of an earlier turn is undone: by the opposite edit, by git, or by the user himself, because he wants it."""

import re
from collections.abc import Iterable, Iterator, Mapping

from router_service.asks import user_words
from router_service.conversation import Message, Text, ToolCall, ToolResult
from router_service.detectors.detector import Next, ends, texts, unquoted
from router_service.detectors.edits import (
    Edit,
    arguments,
    brings_back,
    command_of,
    edits,
    is_among,
    is_same,
    path_of,
    put_back,
    removed,
)
from router_service.detectors.taking_back import BY_HAND, MADE, NOT_BY_HAND, OTHERS, WANTED, YOURS

_UNDOES = re.compile(r"undo|revert|roll_?back", re.I)  # tools that do
_TAKES = re.compile(r"delete|remove|cancel|discard|withdraw|retract", re.I)
_TYPED = re.compile(r"\s*<bash-input>(.*?)(?:</bash-input>|\Z)", re.S)
_SENTENCE = re.compile(r"(?<=[.!?;…])\s+|\n+|(?<=[。！？；])")
_NUMBERED = re.compile(r"^ *\d+(?:\t|→)", re.M)  # how clients show a file that is read
# What is put in to be taken out again.
_PASSING = re.compile(
    r"console\.\w+\(|\bprint(?:ln|f)?!?\(|\bdbg!|\bdebug|breakpoint\(|\bi?pdb\b|var_dump|\.only\(|\.skip\b|xfail|verbose"
    r"|(?:^|/)te?mp|scratch|throwaway|\.(?:log|bak|tmp)$",
    re.I,
)
_FAR = 8  # turns back; further than that nobody knows any more whose edit it was
_NEAR = 1  # turns back, of which the user speaks where he says "it"
_LARGEST = 200_000  # characters of a file that is compared as a whole


def finds(given: Next) -> int | None:
    """How many turns back the newest edit was made that is undone."""
    messages = given.conversation.messages
    last = max((at for at, message in enumerate(messages) if message.role == "assistant"), default=0)
    if given.intent.kind == "user turn":
        return _by_hand(given, messages[: last + 1])
    failed = _failed(messages[last:])
    calls = [call for call in _calls(messages[last : last + 1]) if call.id not in failed]
    said = next(filter(None, map(user_words, reversed(messages[:last]))), "") if calls else ""
    undoing = next((call for call in calls if brings_back(command_of(call)) or _UNDOES.search(_doing(call))), None)
    if undoing and _is_wanted(said):
        return _undone(messages[:last], said, put_back(command_of(undoing)) or list(filter(None, [path_of(undoing)])))
    return next((back for call in calls if (back := _opposite(call, messages[:last], said))), None)


def _is_wanted(said: str) -> bool:
    """Whether he wants something undone. Looked for only where something is: it takes a millisecond."""
    return bool(WANTED.search(ends(said)))


def _by_hand(given: Next, before: tuple[Message, ...]) -> int | None:
    typed = (found[1] for text in texts(given.since) if (found := _TYPED.match(text)))
    if command := next(filter(brings_back, typed), ""):
        return next((back for back, edit in _edited(before) if is_among(edit.path, put_back(command))), None)
    said = ends(unquoted("\n".join(filter(None, map(user_words, given.since))), code=True))
    told = (one for one in _SENTENCE.split(said) if BY_HAND.search(one))
    if all(NOT_BY_HAND.search(one) or one.rstrip().endswith("?") for one in told):
        return None
    back = next((back for back, _ in _edited(before)), None)
    return back if back is not None and back <= _NEAR else None


def _undone(before: tuple[Message, ...], said: str, paths: list[str]) -> int | None:
    """The newest edit of an earlier turn, of these files where any are named; where no edit is in sight any more, the
    last turn if he says that it was it."""
    made = [(back, edit) for back, edit in _edited(before) if back]
    if not made and (MADE.search(ends(said)) or (YOURS.search(ends(said)) and not OTHERS.search(ends(said)))):
        return 1
    return next((back for back, edit in made if is_among(edit.path, paths)), None)


def _opposite(call: ToolCall, before: tuple[Message, ...], said: str) -> int | None:
    """The turn whose edit this call takes back by itself; a model may well undo a step of the turn that is going on."""
    now, gone = edits(call), removed(call)
    whole = next((edit for edit in now if edit.whole), None)
    if not gone and whole is None and not any(edit.old or edit.new for edit in now):
        return _taken(call, before) if _TAKES.search(call.name) and _is_wanted(said) else None
    names = {re.split(r"[/\\]", path.strip("'\""))[-1] for path in [*gone, *(edit.path for edit in now)]}
    for back, edit in _edited(before, names - {""}):
        if back and any(one.undoes(edit) for one in now) and not _PASSING.search(edit.new):
            return back
        if back and edit.made and any(is_same(path, edit.path) for path in gone) and not _PASSING.search(edit.path):
            return back
    return _restored(whole, before) if whole else None


def _restored(whole: Edit, before: tuple[Message, ...]) -> int | None:
    """A file is written as it stood before an edit of an earlier turn."""
    back, changed = 0, None
    calls = {call.id: call for call in _calls(before)}
    for message in reversed(before):
        if changed is not None and any(text == whole.whole.strip() for text in _stood(message, calls, whole.path)):
            return changed
        if message.role != "assistant":
            back += bool(user_words(message, typed_meanwhile=False))
            if back > _FAR:
                return None
        elif back and any(is_same(edit.path, whole.path) for call in _calls([message]) for edit in edits(call)):
            changed = back
    return None


def _stood(message: Message, calls: Mapping[str, ToolCall], path: str) -> Iterator[str]:
    """What the file was when it was read or written with this message."""
    for part in message.parts:
        if isinstance(part, ToolCall):
            yield from (edit.whole.strip() for edit in edits(part) if is_same(edit.path, path) and edit.whole)
        if isinstance(part, ToolResult) and _is_of(calls.get(part.call_id), path):
            for one in part.parts:
                if isinstance(one, Text) and len(one.text) < _LARGEST:
                    yield _NUMBERED.sub("", one.text).strip()


def _is_of(call: ToolCall | None, path: str) -> bool:
    """Whether it was this file that was read."""
    return call is not None and any(is_same(str(value), path) for value in arguments(call).values())


def _taken(call: ToolCall, before: tuple[Message, ...]) -> int | None:
    """What an earlier turn entered by a tool is taken out again: the id that it was given says so."""
    ids = [str(value) for value in arguments(call).values() if isinstance(value, str | int) and len(str(value)) > 1]
    back = 0
    for message in reversed(before):
        if message.role == "assistant":
            continue
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        if back and any(_names(result, id) for result in results for id in ids):
            return back
        back += bool(user_words(message, typed_meanwhile=False))
        if back > _FAR:
            return None
    return None


def _names(result: ToolResult, id: str) -> bool:
    """In what a tool says of a thing that it has made; a list of things would be longer."""
    said = "".join(part.text for part in result.parts if isinstance(part, Text))
    return len(said) < 500 and bool(re.search(rf"(?<!\w){re.escape(id)}(?!\w)", said))


def _edited(messages: tuple[Message, ...], names: Iterable[str] = ()) -> Iterator[tuple[int, Edit]]:
    """The edits, the newest first, each with how many turns have begun since; of files of these `names` alone."""
    failed, back = _failed(messages), 0
    for message in reversed(messages):
        if message.role == "assistant":
            for call in _calls([message]):
                if call.id not in failed and (not names or any(name in call.arguments for name in names)):
                    yield from ((back, edit) for edit in edits(call))
        elif user_words(message, typed_meanwhile=False):
            back += 1
            if back > _FAR:
                return


def _doing(call: ToolCall) -> str:
    """Its name, and what an editor of many commands is to do."""
    return f"{call.name} {arguments(call).get('command', '')}" if len(call.arguments) < _LARGEST else call.name


def _calls(messages: Iterable[Message]) -> list[ToolCall]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolCall)]


def _failed(messages: Iterable[Message]) -> set[str]:
    parts = (part for message in messages for part in message.parts)
    return {part.call_id for part in parts if isinstance(part, ToolResult) and part.is_error}
