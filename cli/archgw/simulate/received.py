"""A request as it arrived, and as the rule books see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from archgw.simulate.models import Model
from archgw.simulate.refusal import Json
from archgw.simulate.vendors import Vendor

Outcome = Literal["answering", "answered", "disconnected", "aborted"]


@dataclass(slots=True)
class Received:
    """One request as it arrived, and how its answer went: `status` and `outcome` are filled in meanwhile.

    `headers` keep wire order, names lower-cased. `disconnected` means that the client went first, `aborted` that
    a fault cut the answer off.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    time: float
    json: Json | None = None
    status: int | None = None
    outcome: Outcome = "answering"
    outside: "Received | None" = None  # as it came, where a vendor has a way in of its own

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def credentials(self) -> tuple[str, ...]:
        """Every key that came along, whatever header it came in."""
        return tuple(bare(value) for name, value in self.headers if name in KEY_HEADERS)

    @property
    def model(self) -> str:
        name = (self.json or {}).get("model")
        return name if isinstance(name, str) else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that passed the door, for the rule books and the wires."""

    vendor: Vendor
    model: Model
    body: Json
    betas: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def streamed(self) -> bool:
        return self.body.get("stream") is True

    def beta(self, prefix: str) -> bool:
        return any(beta.startswith(prefix) for beta in self.betas)


KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization")


def bare(value: str) -> str:
    return value[7:] if value[:7].lower() == "bearer " else value
