"""Connections to Redis as everything here wants them: bounded in number and in time, and made anew after a failover."""

from typing import Any

WITHIN = 2.0  # seconds for a word of Redis's, for a connection, and for one of ours that is free


def client(url: str, *, connections: int, decode: bool = True) -> Any:
    """Who needs one more connection than there may be waits. Raises ImportError where the client is not installed."""
    from redis import asyncio as redis

    pool = redis.BlockingConnectionPool.from_url(
        url,
        decode_responses=decode,
        socket_timeout=WITHIN,
        socket_connect_timeout=WITHIN,
        max_connections=connections,
        timeout=WITHIN,
    )
    return redis.Redis.from_pool(pool)


def moved() -> type[Exception]:
    """What is raised where something that was watched has changed, or the connection ended meanwhile."""
    from redis import WatchError

    return WatchError


def is_refusal(error: BaseException) -> bool:
    """It is there, and may be read, but does not do what it was asked: it is full, or a replica."""
    from redis import ResponseError

    return isinstance(error, ResponseError)


async def leave_replica(client: Any, error: BaseException) -> None:
    """After a failover our connections may lead to who is a replica now, and stay open: the next ones are looked up."""
    from redis.exceptions import ReadOnlyError

    if isinstance(error, ReadOnlyError):
        await client.connection_pool.disconnect(inuse_connections=False)
