"""What routes by content: the ONNX model that comes with archgw, one of the user's own, or an LLM somewhere."""

import asyncio
import hashlib
import logging
import os
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from router_service.config import LocalModel, RemoteModel, ShippedModel
from router_service.plan import Plan
from router_service.policies.policy import Reading, Scores
from router_service.shell.ensemble import opened
from router_service.shell.fingerprint import MODEL
from router_service.shell.onnx_model import BadModel, Judge
from router_service.shell.onnx_router import OnnxRouter

_log = logging.getLogger("archgw")


class Model(Protocol):
    """Never costs a request its answer: late or failing, it says so in `Scores.trouble`.

    `trouble`: why there are no scores at all, in words; empty where there are. `seen_as`: the fingerprint of what sees
    the asks; empty where nothing tells vectors.
    """

    trouble: str

    @property
    def seen_as(self) -> str: ...

    async def score(self, ask: str, context: tuple[str, ...]) -> Scores: ...

    def reading(self, ask: str, context: tuple[str, ...]) -> Reading: ...

    async def warm_up(self) -> None: ...

    async def close(self) -> None: ...


def of(plan: Plan, *, like: Model | None = None) -> Model:
    """The model that the plan asks for, out of the same weights as `like`, where that has any. Raises BadModel when its
    files are of no use.
    """
    wanted = plan.routing.model
    if not plan.routes and not isinstance(wanted, LocalModel):  # nobody would ask it; one's own may be a mistake
        return Nobody(told="no preferences are configured")
    if isinstance(wanted, RemoteModel):
        from router_service.shell.llm_router import LlmRouter  # its HTTP client takes a third of a second to load

        return LlmRouter(plan.routes, wanted, plan.routing.deadline)
    preferences = [(route.id, route.name, route.description) for route in plan.routes]
    if isinstance(like, InThread):
        return InThread(OnnxRouter(preferences, like.judge, like.seen_as), plan.routing.deadline)
    # On two cores, the second is for who answers meanwhile, and for Envoy.
    judge = onnx_model(wanted, side_by_side=(os.cpu_count() or 1) > 2)
    return InThread(OnnxRouter(preferences, judge), plan.routing.deadline)


async def ready(plan: Plan) -> Model:
    """The model that the plan asks for, warmed up; or, where it is of no use, none: then the default route answers."""
    try:
        return await warm(plan)
    except BadModel as error:
        _log.warning("the router model cannot be used, and the default model answers instead: %s", error)
        path, colon, rest = str(error).partition(": ")
        told = f"the router model cannot be used ({Path(path).name}{colon}{rest})"
        return Nobody(trouble=f"the router model cannot be used: {error}", told=told)


async def warm(plan: Plan, *, like: Model | None = None) -> Model:
    """The same, off the event loop and run once. Raises BadModel, whatever is wrong with it."""
    model: Model | None = None
    try:
        model = await asyncio.to_thread(of, plan, like=like)
        await model.warm_up()
        return model
    except Exception as error:  # requests go on
        if model:
            await model.close()
        if isinstance(error, BadModel):
            raise
        raise BadModel(f"it failed with {type(error).__name__}") from error


class Nobody:
    """Stands in for a model that cannot be used, or that nobody would ask. `trouble` may name a file by its path; what
    clients are `told` does not."""

    seen_as = ""

    def __init__(self, *, trouble: str = "", told: str) -> None:
        self.trouble, self._told = trouble, told

    async def score(self, ask: str, context: tuple[str, ...]) -> Scores:
        return Scores(trouble=self._told)

    def reading(self, ask: str, context: tuple[str, ...]) -> Reading:
        return Reading("none", "", "")

    async def warm_up(self) -> None:
        return

    async def close(self) -> None:
        return


def onnx_model(wanted: LocalModel | ShippedModel | None, *, side_by_side: bool = False) -> Judge:
    """`side_by_side`: for who asks from one thread, and has cores to spare (see Ensemble). Raises BadModel."""
    match wanted:
        case LocalModel(folder):
            return opened(Path(folder), side_by_side=side_by_side)
        case ShippedModel(part):
            return opened(MODEL / part)
    return opened(side_by_side=side_by_side)


_REMEMBERED = 2048  # asks; the vector of each is some kilobytes


class Remembered:
    """What the model said of asks, the latest ones. Of their words there is only a hash, by a key that nobody else has
    and that ends with the process."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._key, self._most = secrets.token_bytes(32), most
        self._scores: OrderedDict[bytes, Scores] = OrderedDict()

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, ask: str, context: tuple[str, ...]) -> Scores | None:
        """As it was said; `seconds` are those of the model, which was not asked."""
        hashed = self._hashed(ask, context)
        if known := self._scores.get(hashed):
            self._scores.move_to_end(hashed)
            return replace(known, seconds=0.0)
        return None

    def keep(self, ask: str, context: tuple[str, ...], scores: Scores) -> None:
        self._scores[self._hashed(ask, context)] = scores
        if len(self._scores) > self._most:
            self._scores.popitem(last=False)

    def _hashed(self, ask: str, context: tuple[str, ...]) -> bytes:
        """Each text with its length before it, so that no two asks are one."""
        hashed = hashlib.blake2b(key=self._key, digest_size=16)
        for text in (ask, *context):
            told = text.encode("utf-8", "surrogatepass")
            hashed.update(len(told).to_bytes(8))
            hashed.update(told)
        return hashed.digest()


class InThread:
    """An ONNX router off the event loop, under its deadline. Who asks the same once more is told the same."""

    trouble = ""

    def __init__(self, router: OnnxRouter, deadline: float) -> None:
        self._router, self._deadline = router, deadline
        self._remembered = Remembered()  # of this router, for other preferences have other scores
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="router-model")

    @property
    def judge(self) -> Judge:
        return self._router.model

    @property
    def seen_as(self) -> str:
        return self._router.seen_as

    async def score(self, ask: str, context: tuple[str, ...]) -> Scores:
        if known := self._remembered.get(ask, context):
            return known
        job = asyncio.get_running_loop().run_in_executor(self._pool, self._router.score, ask, context)
        try:
            scores = await asyncio.wait_for(job, self._deadline)  # late, a job that still waits is taken back
        except TimeoutError:
            return Scores(trouble=f"the router model took longer than {self._deadline * 1000:g} ms")
        except Exception as error:  # whatever the model does, the request goes on
            _log.warning("the router model failed: %s", type(error).__name__)
            return Scores(trouble="the router model failed")
        self._remembered.keep(ask, context, scores)
        return scores

    def reading(self, ask: str, context: tuple[str, ...]) -> Reading:
        return self._router.reading(ask, context)

    async def warm_up(self) -> None:
        """The first run is slower than the deadline allows."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._router.score, "warm up", ())

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
