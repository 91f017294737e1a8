"""Texts and what they rest on: where a citation stands when texts are put together.

Anthropic cites by blocks, each with its own sources, which together are one running text; OpenAI by the letters of one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from router_service.conversation import Citation, Json, Part, Text


def placed(citation: Citation, told: int) -> tuple[int, int]:
    """From which letter to which it stands, in a text at whose letter `told` it is told."""
    return max(told - citation.since, 0), max(told - citation.until, 0)


def read_place(place: Any, letters: int, *, dialect: str, raw: Json) -> Citation:
    """OpenAI's form: a page, and the letters that rest on it, in a text of so many."""
    known: Json = place if isinstance(place, dict) else {}
    start, end = (_letter(known.get(name), letters) for name in ("start_index", "end_index"))
    url, title = (str(known.get(name) or "") for name in ("url", "title"))
    return Citation(
        dialect, raw, url, title, since=letters - (start or 0), until=letters - (letters if end is None else end)
    )


def _letter(value: Any, letters: int) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool)
    return min(max(value, 0), letters) if known else None


def place(citation: Citation, told: int) -> Json:
    start, end = placed(citation, told)
    return {"url": citation.url, "title": citation.title or citation.url, "start_index": start, "end_index": end}


def together(before: Text, after: Text, glue: str = "") -> Text:
    """Both as one, with the sources of both."""
    behind = len(glue) + len(after.text)
    moved = tuple(replace(one, since=one.since + behind, until=one.until + behind) for one in before.citations)
    return Text(f"{before.text}{glue}{after.text}", moved + after.citations)


def joined(texts: Sequence[Text], glue: str) -> Text:
    whole, *others = texts or [Text("")]
    for text in others:
        whole = together(whole, text, glue)
    return whole


def in_runs(parts: Sequence[Part]) -> Iterable[Part]:
    """The parts, with the blocks of one running text as one text."""
    return _runs(parts) if any(isinstance(part, Text) and part.citations for part in parts) else parts


def _runs(parts: Iterable[Part]) -> Iterator[Part]:
    waiting: Text | None = None
    before: Part | None = None
    for part in parts:
        if waiting and isinstance(before, Text) and isinstance(part, Text) and _runs_on(before, part):
            waiting, before = together(waiting, part), part
            continue
        if waiting:
            yield waiting
        waiting, before = part if isinstance(part, Text) else None, part
        if waiting is None:
            yield part
    if waiting:
        yield waiting


def _runs_on(before: Text, after: Text) -> bool:
    """Whether a source stands for a whole block, which only those cite who write one text in several."""
    return any(one.since >= len(text.text) for text in (before, after) for one in text.citations[-1:])
