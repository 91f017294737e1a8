"""`prompt_cache`: what is done to keep the vendors' prompt caches warm, for all models and for single ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from router_service.config.reading import Reader, Value, section

Breakpoints = Literal["never", "agents", "always"]


@dataclass(frozen=True, slots=True)
class PromptCache:
    """`affinity`: vendors that want to know which requests belong together are told. `breakpoints`: whose requests are
    marked for Claude's cache where the client has not done it: nobody's, those that come with tools from clients of
    OpenAI's dialects, or all that are long enough."""

    affinity: bool = True
    breakpoints: Breakpoints = "agents"


def prompt_cache(value: Value | None) -> PromptCache:
    return section(value, PromptCache(), _READERS)


def prompt_cache_of_model(value: Value) -> tuple[tuple[str, Any], ...]:
    """What one model has otherwise, by the names of the fields."""
    read = {key: _READERS[key](item) for key, item in value.fields(_READERS).items()}
    return tuple((key, said) for key, said in read.items() if said is not None)


_READERS: Mapping[str, Reader] = {
    "affinity": Value.boolean,
    "breakpoints": partial(Value.choice, known=get_args(Breakpoints)),
}
