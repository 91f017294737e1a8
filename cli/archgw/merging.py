"""What several router services say, as one: who does not answer is named, and only where nobody does it is an error."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import grpc

from router_service.pb import router_pb2 as pb
from router_service.workers import name

_Reply = TypeVar("_Reply")

Said = Mapping[int, _Reply | grpc.RpcError]
"""By the number of who said it."""


def status(said: Said[pb.StatusReply]) -> pb.StatusReply:
    """Counts add up. Sessions are shared, and of who remembers most; so are budgets, and of who has counted most.

    Raises grpc.RpcError.
    """
    replies = _good(said)
    if len(said) == 1:
        return replies[0]
    silent = [f"{name(number)} does not answer, and is started again by itself" for number in _silent(said)]
    budgets = sorted((one for reply in replies for one in reply.budgets), key=lambda one: one.spent)
    first = list({(one.name, one.of): None for reply in replies for one in reply.budgets})
    most = {(one.name, one.of): one for one in budgets}
    return pb.StatusReply(
        requests_under_way=sum(reply.requests_under_way for reply in replies),
        bytes_held=sum(reply.bytes_held for reply in replies),
        sessions=max(reply.sessions for reply in replies),
        requests_ended=sum(reply.requests_ended for reply in replies),
        up_seconds=max(reply.up_seconds for reply in replies),
        candidates=_candidates(replies),
        troubles=dict.fromkeys([*silent, *(trouble for reply in replies for trouble in reply.troubles)]),
        budgets=[most[key] for key in first],
    )


def explanation(said: Said[pb.Explanation]) -> pb.Explanation:
    """Of the latest that is known to any of them. Raises grpc.RpcError: NOT_FOUND where it is to none who answers."""
    return max(_good(said), key=lambda found: found.request.started)


def cache(said: Said[pb.CacheReply]) -> pb.CacheReply:
    """The answers are kept in one place; how often they were used each counts by itself. Raises grpc.RpcError."""
    replies = _good(said)
    return pb.CacheReply(
        entries=max(reply.entries for reply in replies),
        bytes=max(reply.bytes for reply in replies),
        hits=sum(reply.hits for reply in replies),
        misses=sum(reply.misses for reply in replies),
        saved=sum(reply.saved for reply in replies),
        waiting=sum(reply.waiting for reply in replies),
        trouble=next((reply.trouble for reply in replies if reply.trouble), ""),
    )


def _candidates(replies: Iterable[pb.StatusReply]) -> list[pb.Candidate]:
    """In the middle of a reload they may know different ones."""
    found: dict[str, list[pb.Candidate]] = {}
    for reply in replies:
        for one in reply.candidates:
            found.setdefault(one.id, []).append(one)
    return [_candidate(ones) for ones in found.values()]


def _candidate(ones: list[pb.Candidate]) -> pb.Candidate:
    coldest = max(ones, key=lambda one: one.cooling_left)
    return pb.Candidate(
        id=ones[0].id,
        label=ones[0].label,
        answered=sum(one.answered for one in ones),
        failed=sum(one.failed for one in ones),
        last_trouble=next((one.last_trouble for one in ones if one.last_trouble), ""),
        cooling_left=coldest.cooling_left,
        cooling_why=coldest.cooling_why,
    )


def _good(said: Said[_Reply]) -> list[_Reply]:
    """At least one; else the error that says most is raised."""
    errors = [one for one in said.values() if isinstance(one, grpc.RpcError)]
    if len(errors) < len(said):
        return [one for one in said.values() if not isinstance(one, grpc.RpcError)]
    raise min(errors, key=lambda error: error.code() is not grpc.StatusCode.NOT_FOUND)


def _silent(said: Said[pb.StatusReply]) -> list[int]:
    return [number for number, one in said.items() if isinstance(one, grpc.RpcError)]
