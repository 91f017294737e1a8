"""Proves requests with a cloud's own credentials, on threads of its own: its libraries may ask the network for them."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TypeVar

from router_service.config import Identity
from router_service.exchange import Ask
from router_service.shell.proof import NoProof, Prover

_log = logging.getLogger("archgw")
_WITHIN = 10.0  # seconds; as a rule the credentials are there already
Found = TypeVar("Found")


class Identities:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="identity")
        self._provers: dict[Identity, Prover] = {}
        self._lock = Lock()

    async def prove(self, ask: Ask) -> Ask:
        """The same, with the headers that prove it. Raises NoProof."""
        identity = ask.identity
        if identity is None:
            return ask
        headers = await self._on_a_thread(lambda: self._prover(identity).headers(ask))
        return replace(ask, headers={**ask.headers, **headers})

    async def warm_up(self, identities: Iterable[Identity]) -> None:
        """Load the libraries and find the credentials before they are needed; says in the log who has none."""
        for identity in identities:
            try:
                await self._on_a_thread(partial(self._find, identity))
            except NoProof as error:
                _log.warning("%s", error)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _find(self, identity: Identity) -> None:
        self._prover(identity).find()

    async def _on_a_thread(self, work: Callable[[], Found]) -> Found:
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.wait_for(running, _WITHIN)
        except TimeoutError as error:
            raise NoProof(f"its credentials did not come within {_WITHIN:g} s") from error

    def _prover(self, identity: Identity) -> Prover:
        with self._lock:
            if identity not in self._provers:
                self._provers[identity] = _PROVERS[identity.cloud](identity)
            return self._provers[identity]


def _aws(identity: Identity) -> Prover:
    from router_service.shell import aws  # its library comes with an extra, and takes a third of a second

    return aws.Signer(identity)


_PROVERS: dict[str, Callable[[Identity], Prover]] = {"aws": _aws}
