"""Answers in Redis, shared by replicas, which agree on who asks. How much it holds is its own affair (maxmemory)."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from router_service.caching import Entry, read, written
from router_service.shell import redis_client
from router_service.shell.cache_stores import WITHIN, Held, Rest

_log = logging.getLogger("archgw.cache")
CLAIMED_FOR = 30.0  # seconds for which a replica asks for all, unless it says that it goes on; then another does
_PATIENCE = 1.0  # seconds that a request waits for a word, or for an answer of some MiB
_CONNECTIONS = 100  # at most; who needs one more waits
_PREFIX, _CLAIM = "archgw:cache:", "archgw:cache-claim:"


class Redis:
    """See above. Where it does not answer, each asks for himself."""

    front = False

    def __init__(self, url: str) -> None:
        # That the client is installed, the store of sessions has made sure.
        self._client: Any = redis_client.client(url, connections=_CONNECTIONS, decode=False)
        self._rest = Rest()
        self._refused = False
        self.trouble = ""

    async def get(self, key: str) -> Entry | None:
        told = await self._do(lambda: self._client.get(_PREFIX + key), _PATIENCE)
        if told is None:
            return None
        known, _, body = told.partition(b"\n")
        try:
            return read(known.decode(), body)
        except ValueError:
            return None

    def asked(self, key: str) -> None:
        return

    async def put(self, key: str, entry: Entry, at_most: int) -> None:
        known, body = written(entry)
        left = int((entry.until - time.time()) * 1000)
        if left > 0:
            value = known.encode() + b"\n" + body
            await self._do(lambda: self._client.set(_PREFIX + key, value, px=left), WITHIN, writes=True)

    async def claim(self, key: str, exchange: str) -> bool:
        """Without an answer, each for himself."""
        px = int(CLAIMED_FOR * 1000)
        asked = lambda: self._client.set(_CLAIM + key, exchange, px=px, nx=True)  # noqa: E731
        return bool(await self._do(asked, _PATIENCE, otherwise=True, writes=True))

    async def renew(self, key: str, exchange: str) -> None:
        if await self._claims(key, exchange):
            await self._do(lambda: self._client.pexpire(_CLAIM + key, int(CLAIMED_FOR * 1000)), WITHIN)

    async def release(self, key: str, exchange: str) -> None:
        """Another's claim is left alone; should it change hands between the two words, one more asks."""
        if await self._claims(key, exchange):
            await self._do(lambda: self._client.delete(_CLAIM + key), WITHIN)

    async def held(self) -> Held:
        sizes = await self._with_all("strlen")
        return Held(len(sizes), sum(sizes))

    async def sweep(self) -> None:
        """Redis does it itself."""

    async def clear(self) -> None:
        await self._with_all("unlink")

    async def close(self) -> None:
        await self._client.aclose()

    async def _claims(self, key: str, exchange: str) -> bool:
        return bool(await self._do(lambda: self._client.get(_CLAIM + key), WITHIN) == exchange.encode())

    async def _with_all(self, word: str) -> list[int]:
        """What Redis says to this word of each answer that it holds."""

        async def said() -> list[int]:
            told: list[int] = []
            keys = [key async for key in self._client.scan_iter(f"{_PREFIX}*", count=1000)]
            for at in range(0, len(keys), 1000):
                async with self._client.pipeline(transaction=False) as pipeline:
                    for key in keys[at : at + 1000]:
                        getattr(pipeline, word)(key)
                    told += await pipeline.execute()
            return told

        return await self._do(said, 10 * WITHIN) or []

    async def _do(
        self, ask: Callable[[], Awaitable[Any]], within: float, otherwise: Any = None, *, writes: bool = False
    ) -> Any:
        """`otherwise` where it has no answer; if nobody else has one, it is not asked for a while."""
        asked = time.monotonic()
        if not self._rest.is_over():
            return otherwise
        try:
            async with asyncio.timeout(within):
                told = await ask()
        except Exception as error:
            if redis_client.is_refusal(error):
                self._refused = True
                self._tell("Redis takes no answers", error)
                await redis_client.leave_replica(self._client, error)
            elif self._rest.begin(asked):
                self._tell("Redis is not to be had", error)
            return otherwise
        self._rest.end()
        if self.trouble and (writes or not self._refused):
            _log.warning("answers are kept in Redis again")
            self.trouble, self._refused = "", False
        return told

    def _tell(self, what: str, error: Exception) -> None:
        """The URL may hold a password and is not told."""
        if not self.trouble:
            _log.warning("%s (%s): no answers are kept for now", what, type(error).__name__)
        self.trouble = f"{what} ({type(error).__name__}): no answers are kept"
