"""Asks the running router service over its socket, and Envoy on its own page.

Where several run, all are asked, and their answers made one (`archgw.merging`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc

from archgw import merging
from archgw.home import Home
from archgw.watching import watched
from router_service.pb import router_pb2 as pb
from router_service.pb import router_pb2_grpc
from router_service.shell import envoy_admin
from router_service.shell.files import Source

_TIMEOUT = 5.0
_ADOPTED_WITHIN = 60.0  # seconds; another router model may have to be loaded


def status(at: Home) -> pb.StatusReply:
    """Raises grpc.RpcError when the service does not answer; so do the others."""
    return merging.status(_all(at, lambda stub: stub.Status.future(pb.StatusRequest(), timeout=_TIMEOUT)))


def ejections(at: Home) -> dict[str, bool] | None:
    """Candidate id -> whether Envoy has put it aside for its errors; None where Envoy does not answer."""
    try:
        return envoy_admin.ejections(at.admin_socket)
    except (OSError, ValueError, KeyError):
        return None


def decide(at: Home, prompt: str, context: list[str], *, explain: bool = False) -> pb.DecideReply:
    """By the first that answers: they all know the same."""
    request = pb.DecideRequest(prompt=prompt, context=context, explain=explain)
    *others, last = _sockets(at)
    for socket in others:
        try:
            return _decide(socket, request)
        except grpc.RpcError:
            continue
    return _decide(last, request)


def adopt(socket: Path, source: Source) -> None:
    """Raises grpc.RpcError: FAILED_PRECONDITION, with words in its details, when it cannot be used."""
    with _stub(socket) as stub:
        stub.Adopt(
            pb.AdoptRequest(
                file=source.file,
                text=source.text,
                variables=source.variables,
                clouds_found=source.clouds.found,
                clouds_lacking=source.clouds.lacking,
            ),
            timeout=_ADOPTED_WITHIN,
        )


def explain(at: Home, request: str, session: str) -> pb.Explanation:
    asked = pb.ExplainRequest(request=request, session=session)
    return merging.explanation(_all(at, lambda stub: stub.Explain.future(asked, timeout=_TIMEOUT)))


def cache(at: Home, *, clear: bool = False) -> pb.CacheReply:
    """What the cache of answers holds; what it held, where it is emptied."""
    asked = pb.CacheRequest(clear=clear)
    return merging.cache(_all(at, lambda stub: stub.Cache.future(asked, timeout=_TIMEOUT)))


def watch(at: Home, *, replay: int) -> Iterator[pb.Request]:
    """Requests as they end, after the last `replay` ones."""
    sockets = _sockets(at)
    if len(sockets) > 1:
        yield from watched(sockets, replay=replay)
        return
    with _stub(*sockets) as stub:
        yield from stub.Watch(pb.WatchRequest(replay=replay))


def _sockets(at: Home) -> list[Path]:
    stack = at.stack()
    return at.router_sockets(stack.workers if stack else 1)


def _decide(socket: Path, request: pb.DecideRequest) -> pb.DecideReply:
    with _stub(socket) as stub:
        reply: pb.DecideReply = stub.Decide(request, timeout=_TIMEOUT)
        return reply


def _all(at: Home, ask: Callable[[Any], Any]) -> Mapping[int, Any]:
    """What each says, by its number; an error of gRPC's is what it said."""
    sockets = _sockets(at)
    with ExitStack() as channels:
        asked = [ask(channels.enter_context(_stub(socket))) for socket in sockets]
        return {number: call.exception() or call.result() for number, call in enumerate(asked)}


@contextmanager
def _stub(socket: Path) -> Iterator[router_pb2_grpc.RouterStub]:
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        yield router_pb2_grpc.RouterStub(channel)
