"""`reasoning_details`, in which OpenRouter gives its models' state of reasoning, and wants it back as it was.

https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks. A stream tells them piece by piece.
The state, as we keep it, is the list as JSON. Ours, which name the maker, stand beside them.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from router_service.conversation import Json, Thinking
from router_service.dialects.parts.fit import compact
from router_service.provenance import opened

FIELD = "reasoning_details"
WORDS = ("text", "summary", "data")  # what grows from piece to piece; anything else is said once


def listed(value: Any) -> list[Json]:
    return [detail for detail in value if isinstance(detail, dict)] if isinstance(value, list) else []


def is_ours(detail: Json) -> bool:
    return bool(opened(str(detail.get("data") or detail.get("signature") or ""))[0])


def merged(pieces: Iterable[Json]) -> list[Json]:
    """The pieces of a stream put together, by their index and their type."""
    whole: dict[Any, Json] = {}
    for at, piece in enumerate(pieces):
        index = piece.get("index")
        key = (index, piece.get("type")) if isinstance(index, int) else ("alone", at)
        before = whole.setdefault(key, {})
        for name, value in piece.items():
            if name in WORDS and isinstance(value, str):
                before[name] = (before.get(name) or "") + value
            elif value is not None or name not in before:
                before[name] = value
    return list(whole.values())


def state(details: Sequence[Json]) -> str:
    return compact(list(details))


def of(thoughts: Iterable[Thinking]) -> list[Json]:
    """The vendor's own details out of states; ours told no more than words."""
    held = (json.loads(thought.signature) for thought in thoughts if thought.signature.startswith("[{"))
    return [detail for details in held for detail in details]
