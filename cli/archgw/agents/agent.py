"""What the launcher must know about a coding agent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Launch:
    """The command to become, the variables to set, and what to tell the user first."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agent:
    """`prepare(url, settings, arguments, environment, own_login)` is pure; `own_login` is true when the client's
    own login is passed through to a vendor."""

    name: str
    program: str
    install: str
    prepare: Callable[[str, Json, Sequence[str], Mapping[str, str], bool], Launch]
