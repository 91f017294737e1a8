"""What the running gateway says of itself: under way, cooling, put aside, budgets; and what is configured."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from archgw.home import Home
from router_service.config import Config, ConfigErrors
from router_service.shell import envoy_admin
from router_service.shell.files import Source


@dataclass(frozen=True, slots=True)
class Model:
    """`cooling`: for how many seconds more others go before it, and why; 0 where they do not."""

    label: str
    answered: int
    failed: int
    last_trouble: str
    cooling: float
    why: str
    aside: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """In `unit`s: dollars or tokens. `until` is when it begins anew, None where it never does."""

    name: str
    of: str
    spent: float
    limit: float
    unit: str
    then: str
    until: float | None


@dataclass(frozen=True, slots=True)
class Gateway:
    """`state`: running, silent (it should answer, and does not), or stopped."""

    state: str
    url: str = ""
    under_way: int = 0
    troubles: tuple[str, ...] = ()
    models: tuple[Model, ...] = ()
    budgets: tuple[Budget, ...] = ()


def ask(at: Home) -> Gateway:
    """Of the stack of this home. What its socket says is read by gRPC, which is loaded only for that."""
    stack = at.stack()
    if stack is None:
        return Gateway("stopped")
    import grpc

    from archgw import client

    try:
        reply = client.status(at)
    except grpc.RpcError:
        return Gateway("silent", stack.url)
    aside = _put_aside(at)
    return Gateway(
        state="running",
        url=stack.url,
        under_way=reply.requests_under_way,
        troubles=tuple(reply.troubles),
        models=tuple(
            Model(
                one.label,
                one.answered,
                one.failed,
                one.last_trouble,
                round(one.cooling_left),
                one.cooling_why,
                aside.get(one.id, False),
            )
            for one in reply.candidates
        ),
        budgets=tuple(
            Budget(
                one.name,
                one.of,
                one.spent,
                one.limit,
                one.unit,
                one.then,
                one.until if one.HasField("until") else None,
            )
            for one in reply.budgets
        ),
    )


def _put_aside(at: Home) -> dict[str, bool]:
    """Candidate id -> whether Envoy asks it nothing for now; nothing where Envoy does not answer."""
    with suppress(OSError, ValueError, KeyError):
        return envoy_admin.ejections(at.admin_socket)
    return {}


def accepted(file: Path) -> Config | None:
    """The config that the gateway uses now, keys aside; None where it is not to be read."""
    with suppress(OSError, ValueError, KeyError, ConfigErrors):
        return Source.from_json(file.read_text("utf-8"), {}).config()
    return None
