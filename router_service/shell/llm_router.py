"""Routes by asking an LLM behind an OpenAI-compatible endpoint, under the same deadline, failing as open."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence

import aiohttp

from router_service.config import RemoteModel
from router_service.plan import Route
from router_service.policies.policy import Reading, Scores
from router_service.route_prompt import chosen, messages, refused

_log = logging.getLogger("archgw")
_ANSWER_TOKENS = 64


class _Unanswered(Exception):
    """Its text says what the endpoint did, in our own words."""


class LlmRouter:
    """It names one preference or none: that one's probability is 1."""

    trouble = ""
    seen_as = ""

    def __init__(self, routes: Sequence[Route], model: RemoteModel, deadline: float) -> None:
        self._routes, self._model, self._deadline = routes, model, deadline
        self._session: aiohttp.ClientSession | None = None

    async def score(self, ask: str, context: tuple[str, ...]) -> Scores:
        started = time.perf_counter()
        try:
            route = await asyncio.wait_for(self._ask(ask, context), self._deadline)
        except TimeoutError:
            return Scores(trouble=f"the router model took longer than {self._deadline * 1000:g} ms")
        except _Unanswered as error:
            return Scores(trouble=f"the router model {error}")
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
            return Scores(trouble="the router model broke off")
        except (aiohttp.ClientError, OSError):
            return Scores(trouble="the router model could not be reached")
        except Exception as error:  # whatever it answers, the request goes on
            _log.warning("the router model's answer was of no use: %s", type(error).__name__)
            return Scores(trouble="the router model's answer was of no use")
        shares = {r.id: float(r is route) for r in self._routes}
        return Scores(shares, float(route is None), time.perf_counter() - started)

    def reading(self, ask: str, context: tuple[str, ...]) -> Reading:
        return Reading(f"{self._model.name} at {self._model.base_url}", ask, " | ".join(context))

    async def warm_up(self) -> None:
        """Nothing to do: an endpoint that is not there yet is no reason not to serve."""

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _ask(self, ask: str, context: tuple[str, ...]) -> Route | None:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        key = self._model.key
        body = {
            "model": self._model.name,
            "messages": messages(self._routes, ask, context),
            "temperature": 0,
            "max_tokens": _ANSWER_TOKENS,
        }
        async with self._session.post(
            f"{self._model.base_url}/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {key.value}"} if key else {},
            allow_redirects=False,
        ) as reply:
            if reply.status != 200:
                raise _Unanswered(f"answered {refused(reply.status, keyed=bool(key))}")
            try:
                answer = json.loads(await reply.read())
            except ValueError as error:
                raise _Unanswered("answered with something else than JSON") from error
        return chosen(answer["choices"][0]["message"]["content"], self._routes)
