"""archgw.v1.Decisions: a decision asked for by gRPC, by whom and by whatever program it may be.

It is made as one that is asked for at the front listener: the call plays Envoy to a hop of its own.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Protocol

import grpc
from google.protobuf import json_format

from router_service import admission, decisions
from router_service.dialects import DIALECTS
from router_service.pb import ext_proc_pb2 as ext
from router_service.pb import router_pb2 as pb
from router_service.pb import router_pb2_grpc
from router_service.shell.hop import Envoy, Hop
from router_service.shell.logs import place

_log = logging.getLogger("archgw")
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


class Open(Protocol):
    """A hop of this role, whose other end is `envoy`."""

    def __call__(self, envoy: Envoy, *, role: str) -> Hop: ...


class DecisionsApi(router_pb2_grpc.DecisionsServicer):
    def __init__(self, open: Open) -> None:
        self._open = open

    async def Decide(self, request: pb.DecisionRequest, context: Any) -> pb.Decision:  # noqa: N802
        if request.dialect and request.dialect not in DIALECTS:
            words = f"dialect: expected {', '.join(DIALECTS)}, or nothing, found '{request.dialect[:60]}'"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, words)
        try:
            answer = await self._asked(_headers(request, dict(context.invocation_metadata() or ())), request.body)
        except Exception as error:
            # gRPC would tell the caller the error's own words, in which may stand what is nobody's business.
            words = f"{type(error).__name__} at {place(error)}"
            _log.error("a decision by gRPC: %s", words)
            await context.abort(grpc.StatusCode.INTERNAL, f"an error in archgw itself ({words})")
        if answer.status.code != 200:
            code = _CODES.get(answer.status.code, grpc.StatusCode.INTERNAL)
            await context.abort(code, _words(answer.body))
        return json_format.Parse(answer.body, pb.Decision())

    async def _asked(self, headers: Mapping[str, str], body: bytes) -> ext.ImmediateResponse:
        heard = _Envoy()
        hop = self._open(heard, role="call")
        try:
            head = ext.ProcessingRequest(request_headers=ext.HttpHeaders(end_of_stream=not body))
            for name, value in headers.items():
                head.request_headers.headers.headers.add(key=name, raw_value=value.encode())
            hop.hear(head)
            await hop.settled()
            if heard.answer is None:
                hop.hear(ext.ProcessingRequest(request_body=ext.HttpBody(body=body, end_of_stream=True)))
                await hop.settled()
        finally:
            hop.close()
        if heard.error:
            raise heard.error
        assert heard.answer is not None
        return heard.answer


class _Envoy:
    """Hears what a hop would have Envoy do; of interest is what it answers."""

    def __init__(self) -> None:
        self.answer: ext.ImmediateResponse | None = None
        self.error: Exception | None = None

    def write(self, message: bytes) -> None:
        told = ext.ProcessingResponse.FromString(message)
        if told.HasField("immediate_response"):
            self.answer = told.immediate_response

    async def drain(self) -> None:
        pass

    def busy(self, *, now: bool) -> None:
        pass

    def failed(self, error: Exception) -> None:
        self.error = error


def _headers(request: pb.DecisionRequest, metadata: Mapping[str, str | bytes]) -> dict[str, str]:
    """Those of the request, as if it had come to the front listener, and who asks, as that has said."""
    path = f"/routing{DIALECTS[request.dialect].paths[0]}" if request.dialect else decisions.PATH
    given = {name.lower(): value for name, value in request.headers.items() if not name.startswith(":")}
    caller = metadata.get(admission.CALLER)
    named = {} if caller is None else {admission.CALLER: str(caller)}
    kept = {name: value for name, value in given.items() if name != admission.CALLER}
    return kept | named | {":method": "POST", ":path": path, "content-length": str(len(request.body))}


def _words(error: bytes) -> str:
    """All dialects have them at the same place."""
    return str(json.loads(error)["error"]["message"])
