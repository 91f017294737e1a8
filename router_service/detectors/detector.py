"""What a detector is shown: a request of a thread in which something was answered, and what is known of that answer."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Protocol

from router_service.asks import user_words
from router_service.conversation import Conversation, Message, Text
from router_service.intent import Intent

_LONGEST = 600  # characters from each end, in which one says what one thinks of an answer
_ONE_KIND = str.maketrans("\u2019\u2018`", "'''")
_MUCH = 20_000  # characters from each end, of which what is quoted is left out
_FENCE = "```"
_QUOTED = r"```.*?(?:```|\Z)|^[ \t]*>[^\n]*"
_FENCED, _BESIDE = (re.compile(_QUOTED + more, re.S | re.M) for more in ("", r"|`[^`\n]*`"))


@dataclass(frozen=True, slots=True)
class Next:
    """`overridden`: it names another model than the one that was chosen. `turn` is the `retried.mark` of the turn that
    was answered last, empty where it was not answered to its end; `waited`: seconds since then. `left`: the client
    left in the middle of the answer. `named`: the client itself says which session it is.
    """

    conversation: Conversation
    intent: Intent
    overridden: bool = False
    turn: str = ""
    waited: float = 0.0
    left: bool = False
    named: bool = True

    @property
    def since(self) -> tuple[Message, ...]:
        """What has come after the last answer."""
        reverse = reversed(self.conversation.messages)
        return tuple(takewhile(lambda message: message.role != "assistant", reverse))[::-1]


class Detector(Protocol):
    def __call__(self, given: Next, /) -> int | None:
        """How many turns back the answer lies that it speaks against, 0 for the last one; None where it does not."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the user wrote after the last answer, without what he quotes. `answer`: the end of that answer."""

    text: str
    answer: str = field(default="")


def words(given: Next) -> Words:
    said = "\n".join(filter(None, (user_words(message) for message in given.since)))
    last = next((one for one in reversed(given.conversation.messages) if one.role == "assistant"), None)
    return Words(unquoted(said), _text(last))


def unquoted(text: str, *, code: bool = False) -> str:
    """Without what is quoted or fenced (`code` in a line stays, if wanted), of a very long text without its middle."""
    if len(text) > 2 * _MUCH:
        between = f"\n{_FENCE}\n" if text[_MUCH:-_MUCH].count(_FENCE) % 2 else "\n"
        text = text[:_MUCH] + between + text[-_MUCH:]
    return (_FENCED if code else _BESIDE).sub(" ", text).strip()


def ends(text: str, *, most: int = _LONGEST) -> str:
    """A text, of a long one its beginning and its end; apostrophes and the like of one kind."""
    kept = text if len(text) <= 2 * most else f"{text[:most]}\n{text[-most:]}"
    return unicodedata.normalize("NFKC", kept).translate(_ONE_KIND)


def texts(messages: tuple[Message, ...]) -> Iterator[str]:
    """The texts of the user's side, as the client sent them."""
    for message in messages:
        yield from (part.text for part in message.parts if isinstance(part, Text) and message.role == "user")


def _text(message: Message | None) -> str:
    return " ".join(part.text for part in message.parts if isinstance(part, Text)) if message else ""
