"""Anthropic Messages, as Claude Code speaks it: the dialect put together from its pieces."""

from router_service.dialects.anthropic import adapt, render, reply, request, stream, writer
from router_service.dialects.dialect import Addressee, Counter, Reader, Writer
from router_service.dialects.parts import errors


class AnthropicMessages:
    name = request.NAME
    paths: tuple[str, ...] = ("/v1/messages",)
    upstream_path = "/messages"

    headers: tuple[tuple[str, str], ...] = (("anthropic-version", "2023-06-01"),)
    states: tuple[bytes, ...] = (b'"signature', b'"redacted_thinking"')
    counter: Counter | None = Counter("/v1/messages/count_tokens", "/messages/count_tokens", request.COUNTED)

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
