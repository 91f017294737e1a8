"""The requests of real clients, as tests/recordings keeps them; its README says how they were taken."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from router_service.conversation import Conversation
from router_service.dialects import by_path

FOLDER = Path(__file__).parent / "recordings"


@dataclass(frozen=True)
class Recorded:
    client: str
    number: int  # of the line in its file
    scenario: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.client} {self.number} {self.scenario}".strip()

    @property
    def conversation(self) -> Conversation:
        dialect = by_path(self.path)
        assert dialect is not None
        return dialect.parse_request(self.body)


def requests() -> Iterator[Recorded]:
    for file in sorted(FOLDER.glob("*.jsonl.gz")):
        for number, line in enumerate(gzip.decompress(file.read_bytes()).decode().splitlines()):
            told = json.loads(line)
            headers = {name.lower(): value for name, value in told["headers"]}
            client = file.name.removesuffix(".jsonl.gz")
            yield Recorded(client, number, told["scenario"], told["path"], headers, told["body"])
