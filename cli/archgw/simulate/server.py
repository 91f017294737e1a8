"""A simulated provider on a loopback port: the only I/O of this package."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable
from types import TracebackType
from typing import Self

from aiohttp import web

from archgw.simulate import control
from archgw.simulate.answer import Office, entered, is_inference, refusal, respond
from archgw.simulate.faults import Fault, play
from archgw.simulate.leaks import STRANGE_KEY, Leak, leaks
from archgw.simulate.received import Received
from archgw.simulate.refusal import Refused
from archgw.simulate.steps import Close, Head, Reset, Send, Silence, Step, Wait
from archgw.simulate.tokens import PromptCache
from archgw.simulate.vendors import ALL, Vendor

LARGEST_HEADER = 64 * 1024
TURN_OVER = 0.2  # seconds that answers in flight get when the server stops


class Simulator:
    """One vendor on one port. `async with Simulator("openai") as sim:` and talk to `sim.base_url`.

    `accept_keys` restricts the keys that pass (None: any). `latency` seconds pass before the headers of every
    answer, `pace` between content events. With `refuse_leaks=False` foreign headers are recorded in `leaks` and
    no more. What was received stays in memory, the last `keep` requests only.
    """

    def __init__(
        self,
        vendor: Vendor | str,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        accept_keys: Collection[str] | None = None,
        refuse_leaks: bool = True,
        latency: float = 0.0,
        pace: float = 0.0,
        ssl_context: ssl.SSLContext | None = None,
        keep: int = 1000,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.vendor = vendor if isinstance(vendor, Vendor) else by_name(vendor)
        self.host, self.port = host, port
        self.fault: Fault | None = None
        self.requests: deque[Received] = deque(maxlen=keep)
        self.leaks: deque[Leak] = deque(maxlen=keep)
        self.latency = latency
        keys = None if accept_keys is None else frozenset(accept_keys)
        self._office = Office(self.vendor, keys, PromptCache(), new_id, pace)
        self._refuse_leaks = refuse_leaks
        self._ssl = ssl_context
        self._now = now
        self._next: deque[Fault] = deque()
        self._runner: web.ServerRunner | None = None
        self._server: web.Server | None = None
        self._site: web.SockSite | None = None
        self._placeholder: socket.socket | None = None
        self._later: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"{'https' if self._ssl else 'http'}://{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What the vendor's own SDK takes: Anthropic's adds /v1 itself."""
        return self.url if self.vendor.dialect == "anthropic_messages" else self.url + self.vendor.base_path

    # -- life ------------------------------------------------------------------------------------------------

    async def start(self) -> Self:
        self._server = web.Server(
            self._answer,
            handler_cancellation=True,
            access_log=None,
            max_line_size=LARGEST_HEADER,
            max_field_size=LARGEST_HEADER,
        )
        sock = bound(self.host, self.port)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=TURN_OVER)
        await self._runner.setup()
        await self._listen(sock)
        return self

    async def stop(self) -> None:
        for task in self._later:
            task.cancel()
        self._abort_connections()
        if self._placeholder:
            self._placeholder.close()
        if self._runner:
            await self._runner.cleanup()
        self._runner = self._site = self._placeholder = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.stop()

    async def _listen(self, sock: socket.socket) -> None:
        if self._runner is None:
            raise RuntimeError("start the simulator first")
        self.port = sock.getsockname()[1]
        self._site = web.SockSite(self._runner, sock, ssl_context=self._ssl)
        await self._site.start()

    # -- faults ----------------------------------------------------------------------------------------------

    def fail_next(self, fault: Fault, times: int = 1) -> None:
        """The next `times` inference requests fail; they go before `fault`, which stays until cleared."""
        self._next.extend([fault] * times)

    def clear(self) -> None:
        self.fault = None
        self._next.clear()

    async def refuse(self, seconds: float | None = None) -> None:
        """Close the port and every connection; it stays reserved. Recovers by itself after `seconds`."""
        if self._site:
            await self._site.stop()
            self._site = None
            self._placeholder = bound(self.host, self.port)
            self._abort_connections()
        if seconds is not None:
            self._do_later(self._recover_after(seconds))

    async def recover(self) -> None:
        if self._site:
            return
        if self._placeholder:
            self._placeholder.close()
            self._placeholder = None
        await self._listen(bound(self.host, self.port))

    async def _recover_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.recover()

    def refuse_soon(self, seconds: float | None) -> None:
        """For the control endpoint, which has to answer before the port closes."""

        async def after_the_answer() -> None:
            await asyncio.sleep(TURN_OVER / 4)
            await self.refuse(seconds)

        self._do_later(after_the_answer())

    def _do_later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def _abort_connections(self) -> None:
        for connection in self._server.connections if self._server else ():
            if connection.transport is not None:
                connection.transport.abort()

    def _take_fault(self, received: Received) -> Fault | None:
        if not is_inference(self.vendor, received):
            return None
        received = entered(self.vendor, received)
        for fault in self._next:
            if fault.hits(received.model):
                self._next.remove(fault)
                return fault
        return self.fault if self.fault and self.fault.hits(received.model) else None

    # -- one request -----------------------------------------------------------------------------------------

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        received = await receive(request, self._now())
        if received.path.startswith(control.PREFIX):
            return control.answer(self, received)
        self.requests.append(received)
        return await perform(request, received, self._steps(received))

    def _steps(self, received: Received) -> Iterable[Step]:
        found = list(leaks(self.vendor, received, self._office.accept_keys))
        self.leaks.extend(found)
        if self.latency:
            yield Wait(self.latency)
        customs = [leak for leak in found if leak.reason != STRANGE_KEY]  # a strange key gets the vendor's 401
        if customs and self._refuse_leaks:
            yield from play(refusal(self.vendor, not_for_us(customs[0]), "req_leak"))
            return
        fault = self._take_fault(received)
        answer = respond(self._office, received, fault)
        yield from play(answer, fault if answer.head.status == 200 else None)


def not_for_us(leak: Leak) -> Refused:
    return Refused(f"{leak.header}: this header should not have come here ({leak.reason})")


def by_name(name: str) -> Vendor:
    found = next((vendor for vendor in ALL if vendor.name == name), None)
    if found is None:
        raise ValueError(f"no simulated provider {name!r}; there are {', '.join(vendor.name for vendor in ALL)}")
    return found


def bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


async def receive(request: web.BaseRequest, now: float) -> Received:
    headers = tuple((name.decode().lower(), value.decode("latin-1")) for name, value in request.raw_headers)
    body = await request.content.read()
    received = Received(request.method, request.path, request.query_string, headers, body, now)
    with contextlib.suppress(ValueError):
        value = json.loads(body)
        received.json = value if isinstance(value, dict) else None
    return received


async def perform(request: web.BaseRequest, received: Received, steps: Iterable[Step]) -> web.StreamResponse:
    response = web.StreamResponse()
    try:
        for step in steps:
            response = await do(step, request, received, response)
        await response.write_eof()
        received.outcome = "answered"
    except (asyncio.CancelledError, ConnectionError):
        if received.outcome == "answering":
            received.outcome = "disconnected"
        raise
    return response


async def do(
    step: Step, request: web.BaseRequest, received: Received, response: web.StreamResponse
) -> web.StreamResponse:
    match step:
        case Head(status, headers):
            received.status = status
            response = web.StreamResponse(status=status, headers=headers)
            await response.prepare(request)
        case Send(data):
            await response.write(data)
        case Wait(seconds):
            await asyncio.sleep(seconds)
        case Silence():
            await asyncio.Event().wait()
        case Reset() | Close():
            received.outcome = "aborted"
            cut(request.transport, reset=isinstance(step, Reset))
            await asyncio.Event().wait()  # until the loss of the connection cancels us
    return response


def cut(transport: asyncio.Transport | None, *, reset: bool) -> None:
    if transport is None:
        return
    if not reset:
        transport.close()
        return
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
    transport.abort()
