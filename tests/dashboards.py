"""The dashboard of a made-up gateway, served for tests; and a browser to look at it with."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from archgw.books import Books
from archgw.budgets import Line
from archgw.dashboard.app import Sources
from archgw.dashboard.gateway import Gateway, Model
from archgw.dashboard.serving import server
from many_rows import MODELS, PREFERENCES
from stack import free_port

from router_service.config import Config, Ledger, parse

KEY = "the key of this test"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def config_of(preferences: dict[str, tuple[str, ...]]) -> Config:
    models = "".join(f"  - {{model: {model}}}\n" for model in MODELS)
    wanted = "".join(
        f"  - {{name: {name}, description: all about {name}, models: [{', '.join(models)}]}}\n"
        for name, models in preferences.items()
    )
    return parse(f"llm_providers:\n{models}routing_preferences:\n{wanted}", file="config.yaml", environment={})


def of_a_gateway(*, budgets: tuple[Line, ...] = ()) -> Gateway:
    """One model cools, and one is put aside."""
    models = tuple(
        Model(
            model,
            100,
            2,
            "",
            42.0 if model == "openai/gpt-4.1" else 0.0,
            "answered 429",
            model.startswith("deepseek"),
        )
        for model in MODELS
    )
    return Gateway("running", "http://127.0.0.1:12000", 3, models=models, budgets=budgets)


def two_budgets() -> tuple[Line, ...]:
    now = time.time()
    return (
        Line("a day", "laptop", 8.2, 10, "dollars", "warn", now + 7_200),
        Line("a day's tokens", "", 2.1e6, 2e6, "tokens", "downgrade", now + 7_200),
    )


@dataclass
class Served:
    """`gateway` may be changed while it is served. Answers are a status, headers in lower case, and JSON."""

    port: int
    file: Path
    gateway: Gateway = field(default_factory=of_a_gateway)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"{self.url}/#key={KEY}"

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Headers by their names with '_' for '-'; one that is empty is not sent."""
        sent = {"authorization": f"Bearer {KEY}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host="host" in sent)
        for name, value in sent.items():
            if value:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        told, read = {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return answer.status, told, json.loads(read) if told["content-type"] == "application/json" else read

    def thumb(self, id: str, thumb: str | None, **headers: str) -> int:
        sent = {"content_type": "application/json"} | headers
        body = json.dumps({"thumb": thumb}).encode()
        return self.ask(f"/api/requests/{id}/thumb", method="POST", body=body, **sent)[0]

    def should_be(self, id: str, target: object) -> tuple[int, Any]:
        body = json.dumps({"should_be": target}).encode()
        sent = {"content_type": "application/json"}
        status, _, told = self.ask(f"/api/requests/{id}/should-be", method="POST", body=body, **sent)
        return status, told


@contextmanager
def served(
    file: Path, *, settings: Ledger | None = None, config: Config | None = None, every: float = 0.1
) -> Iterator[Served]:
    """`file` is where the ledger stands, or does not."""
    known = Served(free_port(), file)
    configured = config or config_of(PREFERENCES)
    sources = Sources(Books(settings or Ledger(), file), lambda: configured, lambda: known.gateway)
    running = server(sources, port=known.port, key=KEY, every=every)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        for _ in range(400):
            if running.started:
                break
            time.sleep(0.02)
        yield known
    finally:
        running.should_exit = True
        thread.join(20)
