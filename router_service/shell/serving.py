"""What answers requests now, and how another config takes its place: requests under way end as they began."""

import asyncio
import os
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path

from router_service.budgets import standing_keys
from router_service.config import usable
from router_service.gateway import Gateway
from router_service.plan import Plan, plan
from router_service.shell import router_model
from router_service.shell.cache import Cache
from router_service.shell.cache_stores import Nowhere as NoStore
from router_service.shell.files import Source
from router_service.shell.identities import Identities
from router_service.shell.journal import Journal
from router_service.shell.learner import Learner
from router_service.shell.purse import Nowhere, Purse
from router_service.shell.router_model import Model
from router_service.shell.siblings import Siblings
from router_service.shell.state import Store

_SCORED_BY_THEN = 30.0  # seconds after which nobody waits any more for a model that was replaced


@dataclass(slots=True)
class Serving:
    """A request takes hold of `gateway` and `model` when it begins, and keeps them."""

    gateway: Gateway
    model: Model
    journal: Journal
    store: Store
    identities: Identities
    envoy_admin: Path | None = None  # the socket of Envoy's own page, where it has one
    purse: Purse = field(default_factory=Nowhere)
    cache: Cache = field(default_factory=lambda: Cache(NoStore()))
    learner: Learner | None = None
    siblings: Siblings | None = None  # the other services behind the same Envoy
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def adopt(self, source: Source) -> None:
        """Serve this config from the next request on. Raises ConfigErrors or BadModel, and then nothing has changed."""
        new = plan(usable(source.config()))
        model = await self._model_for(new)
        os.environ.update(source.variables)
        if model is not self.model:
            self._later(_close(self.model, after=_SCORED_BY_THEN))
        self.model, self.gateway = model, replace(self.gateway, plan=new)
        self.cache.at_most = new.cache.at_most
        self.find_identities()
        await self.count_up()

    async def count_up(self) -> None:
        """Tell what was spent of the budgets, and learn what others have."""
        plan, spending = self.gateway.plan, self.gateway.spending
        clients, now = [client.name for client in plan.clients], time.time()
        known = standing_keys(plan.budgets, clients, plan.preferences, now)
        await self.purse.keep(spending, (*known, *spending.going_on(now)))

    def find_identities(self) -> None:
        """Look for the clouds' credentials before they are needed; nobody waits for it."""
        wanted = {one.identity for one in self.gateway.plan.candidates if one.identity}
        self._later(self.identities.warm_up(wanted))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.model.close()
        self.identities.close()

    async def _model_for(self, new: Plan) -> Model:
        """The one that is there, if it has read these preferences; else another, out of the same weights if they do."""
        before = self.gateway.plan
        if _told(before) == _told(new) and not self.model.trouble:
            return self.model
        same = new.routing.model == before.routing.model
        return await router_model.warm(new, like=self.model if same else None)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _told(plan: Plan) -> object:
    """All that a router model knows of a plan."""
    return plan.routing.model, plan.routing.deadline, [(r.id, r.name, r.description) for r in plan.routes]


async def _close(model: Model, *, after: float) -> None:
    await asyncio.sleep(after)
    await model.close()
