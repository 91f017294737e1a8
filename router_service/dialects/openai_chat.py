"""OpenAI Chat Completions, as most vendors speak it: the dialect put together from its pieces."""

from router_service.dialects.dialect import Addressee, Counter, Reader, Writer
from router_service.dialects.openai import adapt, render, reply, request, stream, writer
from router_service.dialects.parts import errors


class OpenAIChat:
    name = request.NAME
    paths: tuple[str, ...] = ("/v1/chat/completions",)
    upstream_path = "/chat/completions"

    headers: tuple[tuple[str, str], ...] = ()
    states: tuple[bytes, ...] = (b'"finish_reason"',)
    counter: Counter | None = None

    sealed = staticmethod(reply.sealed)
    parse_request = staticmethod(request.parse_request)
    render_request = staticmethod(render.render_request)
    takes = staticmethod(adapt.takes)
    adapt = staticmethod(adapt.adapt)
    parse_reply = staticmethod(reply.parse_reply)
    render_reply = staticmethod(reply.render_reply)
    parse_error = staticmethod(errors.parse_error)
    render_error = staticmethod(writer.render_error)
    render_error_event = staticmethod(writer.render_error_event)

    def reader(self) -> Reader:
        return stream.Reader()

    def writer(self, to: Addressee) -> Writer:
        return writer.Writer(to)
