"""What proves a request where there is no key, and the word for when nothing does."""

from typing import Protocol

from router_service.effects import Ask


class NoProof(Exception):
    """Why a request cannot be proven, in words that hold no secret."""


class Prover(Protocol):
    """May block. Called from several threads."""

    def find(self) -> None:
        """Look for the credentials. Raises NoProof."""
        ...

    def headers(self, ask: Ask) -> dict[str, str]:
        """The headers that prove the request. Raises NoProof."""
        ...
