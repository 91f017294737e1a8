"""Requests as they end, of several router services: one stream out of theirs."""

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc

from router_service.pb import router_pb2 as pb
from router_service.pb import router_pb2_grpc

Told = queue.Queue[tuple[Path, pb.Request | grpc.RpcError | None]]
"""By socket: that somebody is there (None), what has ended, or that nobody is there."""

_WITHIN = 5.0  # seconds
_GATHER = 0.3  # seconds of silence after which all have told what was before
_AGAIN = 0.5  # seconds until one that has ended is asked again


def watched(sockets: Sequence[Path], *, replay: int) -> Iterator[pb.Request]:
    """The last `replay` ones in the order in which they ended, then each as it ends. One that ends is asked again once
    it is back; raises grpc.RpcError when nobody is there any more.
    """
    told: Told = queue.Queue()
    ending = threading.Event()
    for socket in sockets:
        threading.Thread(target=_follow, args=(socket, replay, told, ending), daemon=True).start()
    try:
        yield from _one_stream(len(sockets), told, replay)
    finally:
        ending.set()


def _one_stream(count: int, told: Told, replay: int) -> Iterator[pb.Request]:
    before: list[pb.Request] | None = []
    away: dict[Path, grpc.RpcError] = {}
    while True:
        try:
            who, said = told.get(timeout=_GATHER if before is not None else None)
        except queue.Empty:
            yield from sorted(before or [], key=lambda one: one.started + one.duration)[-replay:] if replay else []
            before = None
            continue
        if isinstance(said, grpc.RpcError):
            away[who] = said
            if len(away) == count:
                raise said
            continue
        away.pop(who, None)
        if said is None:
            continue
        if before is None:
            yield said
        else:
            before.append(said)


def _follow(socket: Path, replay: int, told: Told, ending: threading.Event) -> None:
    while not ending.is_set():
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            try:
                stub = router_pb2_grpc.RouterStub(channel)
                stub.Status(pb.StatusRequest(), timeout=_WITHIN)
                told.put((socket, None))
                for request in stub.Watch(pb.WatchRequest(replay=replay)):
                    told.put((socket, request))
                    if ending.is_set():
                        return
            except grpc.RpcError as error:
                told.put((socket, error))
        replay = 0  # what it has told before it ended was told
        ending.wait(_AGAIN)
