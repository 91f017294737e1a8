"""OpenAI Responses, as Codex and the newer SDKs speak it: the dialect put together from its pieces.

Stateless: what a conversation consists of comes with every request.
"""

from router_service.dialects.dialect import Addressee, Counter, Reader, Writer
from router_service.dialects.openai.writer import render_error
from router_service.dialects.parts import errors
from router_service.dialects.responses import adapt, render, reply, request, stream, writer


class OpenAIResponses:
    name = request.NAME
    paths: tuple[str, ...] = ("/v1/responses",)
    upstream_path = "/responses"

    headers: tuple[tuple[str, str], ...] = ()
    states: tuple[bytes, ...] = (b'"encrypted_content"',)
    counter: Counter | None = Counter(
        "/v1/responses/input_tokens",
        "/responses/input_tokens",
        request.COUNTED,
        beside=(("object", "response.input_tokens"),),
    )

    sealed = staticmethod(reply.sealed)
    parse_request = staticmethod(request.parse_request)
    render_request = staticmethod(render.render_request)
    takes = staticmethod(adapt.takes)
    adapt = staticmethod(adapt.adapt)
    parse_reply = staticmethod(reply.parse_reply)
    render_reply = staticmethod(reply.render_reply)
    parse_error = staticmethod(errors.parse_error)
    render_error = staticmethod(render_error)
    render_error_event = staticmethod(writer.render_error_event)

    def reader(self) -> Reader:
        return stream.Reader()

    def writer(self, to: Addressee) -> Writer:
        return writer.Writer(to)
