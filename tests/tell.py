"""Tells the stories of tests/transcripts in the dialects they are not told in yet: python tests/tell.py [STORY ...]

What it writes is to be read before it is kept: from then on it is the truth that every dialect is measured by. The
vendors' own types and the rule books of the simulated vendors check it in tests/dialects/test_transcripts.py.
"""

import json
import sys
from pathlib import Path
from typing import Any

from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.sse import EventDecoder

CASES = Path(__file__).parent / "transcripts"
MODELS = {"anthropic_messages": "claude-sonnet-4-5"}
CREATED = 1763800000


def model(dialect: str) -> str:
    return MODELS.get(dialect, "gpt-4.1")


def tell(story: Path) -> None:
    for kind, suffix in (("request", "json"), ("reply", "json"), ("stream", "sse")):
        told = {path.name.split(".")[1]: path for path in story.glob(f"{kind}.*")}
        for dialect in DIALECTS if told else ():
            if dialect in told:
                continue
            source, path = next(iter(told.items()))
            try:
                made = MAKE[kind](story, source, path, dialect)
            except Loss as loss:
                print(f"{story.name}: {kind} cannot be told in {dialect}: {loss}")
                continue
            (story / f"{kind}.{dialect}.{suffix}").write_bytes(made)
            print(f"{story.name}: {kind} in {dialect}, from {source}")


class Loss(Exception):
    """What the dialect has no word for."""


def _request(story: Path, source: str, path: Path, dialect: str) -> bytes:
    facts = story / "target.json"
    known = json.loads(facts.read_text()) if facts.exists() else {}
    conversation = DIALECTS[source].parse_request(json.loads(path.read_text()))
    made = DIALECTS[dialect].render_request(conversation, Target(model(dialect), **known))
    if made.warnings:
        raise Loss("; ".join(made.warnings))
    return _json(made.body)


def _reply(_: Path, source: str, path: Path, dialect: str) -> bytes:
    events = DIALECTS[source].parse_reply(json.loads(path.read_text()))
    return _json(DIALECTS[dialect].render_reply(events, Addressee(model(dialect), created=CREATED)))


def _stream(_: Path, source: str, path: Path, dialect: str) -> bytes:
    reader, writer = DIALECTS[source].reader(), DIALECTS[dialect].writer(Addressee(model(dialect), created=CREATED))
    events = [told for event in EventDecoder().feed(path.read_bytes()) for told in reader.feed(event)]
    return b"".join(map(writer.feed, [*events, *reader.close()]))


MAKE = {"request": _request, "reply": _reply, "stream": _stream}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.name for path in CASES.iterdir()):
        tell(CASES / name)
