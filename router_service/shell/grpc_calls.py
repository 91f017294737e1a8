"""Calls of methods as generated code has them: coroutines and generators, with a context, each in a task of its own."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from router_service.shell.line import Line, Metadata

_AHEAD = 16  # messages that may wait for a method that takes its time


class Call:
    """The context of a method, and whoever hears its client: what `grpc.aio` has of it, as far as our methods ask."""

    def __init__(self, handler: Any, line: Line, metadata: Metadata) -> None:
        self._handler, self._line, self._metadata = handler, line, metadata
        self._heard: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())

    # -- what a method asks of its context --------------------------------------------------------------------

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._metadata.items())

    async def write(self, message: Any) -> None:
        self._line.write(self._handler.response_serializer(message))
        await self._line.drain()

    async def abort(self, code: grpc.StatusCode, words: str = "") -> NoReturn:
        raise _Aborted(code, words)

    # -- what the line tells ----------------------------------------------------------------------------------

    def message(self, data: bytes) -> None:
        self._heard.put_nowait(data)
        if self._heard.qsize() > _AHEAD:
            self._line.hold()

    def ended(self) -> None:
        self._heard.put_nowait(None)

    def gone(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._answered()
            self._line.end()
        except _Aborted as aborted:
            self._line.end(aborted.code, aborted.words)
        except Exception as error:
            self._line.fail(error, "a call")

    async def _answered(self) -> None:
        handler = self._handler
        method = handler.stream_unary or handler.stream_stream or handler.unary_unary or handler.unary_stream
        answer = method(self._requests() if handler.request_streaming else await self._request(), self)
        if inspect.isasyncgen(answer):
            async for message in answer:
                await self.write(message)
            return
        message = await answer
        if not handler.response_streaming:
            await self.write(message)

    async def _request(self) -> Any:
        async for request in self._requests():
            return request
        raise _Aborted(grpc.StatusCode.INVALID_ARGUMENT, "the call has no message")

    async def _requests(self) -> AsyncIterator[Any]:
        while (data := await self._heard.get()) is not None:
            if self._heard.empty():
                self._line.release()
            try:
                request = self._handler.request_deserializer(data)
            except DecodeError:
                raise _Aborted(grpc.StatusCode.INVALID_ARGUMENT, "this is no message of that method") from None
            yield request


class _Aborted(Exception):
    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words
