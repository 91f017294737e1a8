"""A router model to be measured, whichever it is: asked one ask at a time, without a deadline."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from router_service.config import LocalModel, RemoteModel, ShippedModel
from router_service.plan import Route
from router_service.policies.policy import Scores
from router_service.shell.llm_router import LlmRouter
from router_service.shell.onnx_router import OnnxRouter
from router_service.shell.router_model import onnx_model

Wanted = LocalModel | ShippedModel | RemoteModel | None
Routes = tuple[tuple[str, str], ...]

_PATIENCE = 60.0  # seconds; who has not answered by then never does


class Measured(Protocol):
    name: str

    def score(self, routes: Routes, ask: str, context: Sequence[str]) -> Scores:
        """Probabilities by the names of `routes`, which are (name, description)."""

    def close(self) -> None: ...


def of(wanted: Wanted) -> Measured:
    """What a config's `routing.model` says; None is the model that comes along. Raises BadModel."""
    return _Llm(wanted) if isinstance(wanted, RemoteModel) else _Onnx(wanted)


class _Onnx:
    """Reads each list of preferences once."""

    def __init__(self, wanted: LocalModel | ShippedModel | None) -> None:
        self.name = _name(wanted)
        self._model = onnx_model(wanted)
        self._routers: dict[Routes, OnnxRouter] = {}

    def score(self, routes: Routes, ask: str, context: Sequence[str]) -> Scores:
        if routes not in self._routers:
            self._routers[routes] = OnnxRouter([(name, name, text) for name, text in routes], self._model)
        return self._routers[routes].score(ask, context)

    def close(self) -> None:
        return


class _Llm:
    def __init__(self, wanted: RemoteModel) -> None:
        self.name = f"{wanted.name} at {wanted.base_url}"
        self._wanted, self._runner = wanted, asyncio.Runner()
        self._routers: dict[Routes, LlmRouter] = {}

    def score(self, routes: Routes, ask: str, context: Sequence[str]) -> Scores:
        if routes not in self._routers:
            told = [Route(name, name, text, ()) for name, text in routes]
            self._routers[routes] = LlmRouter(told, self._wanted, _PATIENCE)
        return self._runner.run(self._routers[routes].score(ask, tuple(context)))

    def close(self) -> None:
        for router in self._routers.values():
            self._runner.run(router.close())
        self._runner.close()


def _name(wanted: LocalModel | ShippedModel | None) -> str:
    match wanted:
        case LocalModel(folder):
            return str(Path(folder))
        case ShippedModel(part):
            return part
    return "the model that comes along"
