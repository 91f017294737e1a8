"""Messages as all dialects have them: texts that may be lists of parts, a system that leads, results side by side."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from router_service.conversation import Image, Message, Part, Text, ToolResult
from router_service.dialects.parts import check

DATA_URL = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,(.*)", re.DOTALL)


def read_parts(value: Any, path: str, read: Callable[[Any, str], Part], *, called: str = "parts") -> tuple[Part, ...]:
    """A string is short for one part of text; an empty one says nothing. `called`: the dialect's word for parts."""
    if isinstance(value, str):
        return (Text(value),) if value else ()
    if not isinstance(value, list):
        raise check.refusal(path, f"a string or a list of {called}", value)
    return tuple([read(part, f"{path}[{at}]") for at, part in enumerate(value)])


def system_apart(messages: Sequence[Message]) -> tuple[tuple[Text, ...], tuple[Message, ...], Sequence[Message]]:
    """The texts of the system messages that lead, a message of what else they hold (or none), and the others."""
    leading = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    parts = [part for message in messages[:leading] for part in message.parts]
    odd = tuple(part for part in parts if not isinstance(part, Text))
    texts = tuple(part for part in parts if isinstance(part, Text))
    return texts, (Message("system", odd),) if odd else (), messages[leading:]


def answers_only(message: Message) -> bool:
    """Whether it holds results of tools and nothing else."""
    return {*map(type, message.parts)} == {ToolResult}


def image(url: str, detail: str) -> Image:
    data = DATA_URL.fullmatch(url)
    return Image(media_type=data[1], data=data[2], detail=detail) if data else Image(url=url, detail=detail)
