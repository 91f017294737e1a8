"""What the running gateway says of itself: under way, cooling, put aside, budgets; and what is configured."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from archgw.budgets import Line, told
from archgw.home import Home
from router_service.config import Config, ConfigErrors
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
class Gateway:
    """`state`: running, silent (it should answer, and does not), or stopped."""

    state: str
    url: str = ""
    under_way: int = 0
    troubles: tuple[str, ...] = ()
    models: tuple[Model, ...] = ()
    budgets: tuple[Line, ...] = ()


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
    aside = client.ejections(at) or {}
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
        budgets=tuple(told(reply.budgets)),
    )


def accepted(file: Path) -> Config | None:
    """The config that the gateway uses now, keys aside; None where it is not to be read."""
    with suppress(OSError, ValueError, KeyError, ConfigErrors):
        return Source.from_json(file.read_text("utf-8"), {}).config()
    return None
