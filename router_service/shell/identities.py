"""Proves requests with a cloud's own credentials, on threads of its own: its libraries may ask the network for them."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeVar

from router_service.config import Identity
from router_service.effects import Ask
from router_service.shell.proof import NoProof, Prover

_log = logging.getLogger("archgw")
_WITHIN = 10.0  # seconds; as a rule the credentials are there already
_LOOK_AGAIN_AFTER = 30.0  # seconds
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class _Trouble:
    words: str
    until: float


class Identities:
    """What went wrong with an identity stays so for a while: it helps nobody that every request waits for it."""

    def __init__(
        self, provers: Mapping[str, Callable[[Identity], Prover]] | None = None, *, within: float = _WITHIN
    ) -> None:
        self._made_by, self._within = provers or PROVERS, within
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="identity")
        self._provers: dict[Identity, Prover] = {}
        self._troubles: dict[Identity, _Trouble] = {}
        self._lock = Lock()

    async def prove(self, ask: Ask) -> Ask:
        """The same, with the headers that prove it. Raises NoProof."""
        if ask.identity is None:
            return ask
        headers = await self._on_a_thread(ask.identity, lambda prover: prover.headers(ask))
        return replace(ask, headers={**ask.headers, **headers})

    async def warm_up(self, identities: Iterable[Identity]) -> None:
        """Load the libraries and find the credentials before they are needed; says in the log who has none."""
        for identity in identities:
            try:
                await self._on_a_thread(identity, lambda prover: prover.find())
            except NoProof as error:
                _log.warning("%s: %s", identity.cloud, error)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _on_a_thread(self, identity: Identity, work: Callable[[Prover], Found]) -> Found:
        loop = asyncio.get_running_loop()
        known = self._troubles.get(identity)
        if known and loop.time() < known.until:
            raise NoProof(known.words)
        try:
            running = loop.run_in_executor(self._threads, lambda: work(self._prover(identity)))
            return await asyncio.wait_for(running, self._within)
        except TimeoutError as error:
            raise self._remembered(identity, f"its credentials did not come within {self._within:g} s") from error
        except NoProof as error:
            raise self._remembered(identity, str(error)) from error
        except Exception as error:  # whatever a library comes up with: the next model is asked
            words = f"its credentials could not be had ({type(error).__name__})"
            raise self._remembered(identity, words) from error

    def _remembered(self, identity: Identity, words: str) -> NoProof:
        self._troubles[identity] = _Trouble(words, asyncio.get_running_loop().time() + _LOOK_AGAIN_AFTER)
        return NoProof(words)

    def _prover(self, identity: Identity) -> Prover:
        with self._lock:
            if identity not in self._provers:
                self._provers[identity] = self._made_by[identity.cloud](identity)
            return self._provers[identity]


def _aws(identity: Identity) -> Prover:
    from router_service.shell import aws  # its library comes with an extra, and takes a third of a second

    return aws.Signer(identity)


def _google(identity: Identity) -> Prover:
    from router_service.shell import google

    return google.Lender(identity)


PROVERS: dict[str, Callable[[Identity], Prover]] = {"aws": _aws, "google": _google}
