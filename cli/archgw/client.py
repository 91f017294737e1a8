"""Asks the running router service over its socket, and Envoy on its own page."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from archgw.home import Home
from router_service.pb import router_pb2 as pb
from router_service.pb import router_pb2_grpc
from router_service.shell import envoy_admin
from router_service.shell.files import Source

_TIMEOUT = 5.0
_ADOPTED_WITHIN = 60.0  # seconds; another router model may have to be loaded


def status(at: Home) -> pb.StatusReply:
    """Raises grpc.RpcError when the service does not answer; so do the others."""
    with _stub(at) as stub:
        reply: pb.StatusReply = stub.Status(pb.StatusRequest(), timeout=_TIMEOUT)
        return reply


def ejections(at: Home) -> dict[str, bool] | None:
    """Candidate id -> whether Envoy has put it aside for its errors; None where Envoy does not answer."""
    try:
        return envoy_admin.ejections(at.admin_socket)
    except (OSError, ValueError, KeyError):
        return None


def decide(at: Home, prompt: str, context: list[str], *, explain: bool = False) -> pb.DecideReply:
    with _stub(at) as stub:
        request = pb.DecideRequest(prompt=prompt, context=context, explain=explain)
        reply: pb.DecideReply = stub.Decide(request, timeout=_TIMEOUT)
        return reply


def adopt(at: Home, source: Source) -> None:
    """Raises grpc.RpcError: FAILED_PRECONDITION, with words in its details, when it cannot be used."""
    with _stub(at) as stub:
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
    with _stub(at) as stub:
        asked = pb.ExplainRequest(request=request, session=session)
        reply: pb.Explanation = stub.Explain(asked, timeout=_TIMEOUT)
        return reply


def cache(at: Home, *, clear: bool = False) -> pb.CacheReply:
    """What the cache of answers holds; what it held, where it is emptied."""
    with _stub(at) as stub:
        reply: pb.CacheReply = stub.Cache(pb.CacheRequest(clear=clear), timeout=_TIMEOUT)
        return reply


def watch(at: Home, *, replay: int) -> Iterator[pb.Request]:
    """Requests as they end, after the last `replay` ones."""
    with _stub(at) as stub:
        yield from stub.Watch(pb.WatchRequest(replay=replay))


@contextmanager
def _stub(at: Home) -> Iterator[router_pb2_grpc.RouterStub]:
    with grpc.insecure_channel(f"unix:{at.router_socket}") as channel:
        yield router_pb2_grpc.RouterStub(channel)
