"""One connection manager of theirs: whether ours stands rightly in it, and what else stands there."""

from collections.abc import Iterator

from archgw.mesh_check import routes
from archgw.mesh_check.finding import Finding, is_ours, metadata, seconds, switched_off
from archgw.render.envoy_pieces import Json
from archgw.render.mesh.foreign import Foreign, Manager, expression, get, kind
from archgw.render.mesh.fragments import Fragments
from router_service.plan import Plan

_SMALL_WINDOW = 64 * 1024  # bytes: below this a stream moves in crumbs
_UPLOAD = 60.0  # seconds that a long conversation may take to be sent over a thin line
_BUFFERED = ("BUFFERED", "BUFFERED_PARTIAL")


def findings(one: Manager, theirs: Foreign, ours: Fragments, plan: Plan, *, wired: bool) -> Iterator[Finding]:
    """`wired`: our filters stand in it; what they need around them is looked for there alone."""
    if wired:
        yield from _places(one, ours)
        yield from _replies(one, ours)
    yield from _others(one, ours, plan)
    yield from _timers(one, ours, plan)
    yield from routes.findings(one, theirs, ours, plan)


def _places(one: Manager, ours: Fragments) -> Iterator[Finding]:
    names = [str(get(filter, "name")) for filter in one.filters]
    for wanted in ours.filters:
        if wanted["name"] not in names:
            yield Finding("missing", f"{one.name}: the filter {wanted['name']}", "add it from manager.json")
            continue
        there = one.filters[names.index(wanted["name"])]
        if not get(there, "disabled"):
            yield Finding(
                "clash",
                f"{one.name}: the filter {wanted['name']} is on for every request",
                "set disabled: true on it; our routes switch it on for themselves",
            )
        if list(metadata(there, "x-archgw-prefix")) != list(metadata(wanted, "x-archgw-prefix")):
            yield Finding("clash", f"{one.name}: the filter {wanted['name']} has another prefix", "render it anew")
    at = [names.index(wanted["name"]) for wanted in ours.filters if wanted["name"] in names]
    if at != sorted(at):
        yield Finding("clash", f"{one.name}: our filters stand in the wrong order", "as in manager.json")
    for filter in one.filters[max(at, default=0) + 1 :]:
        off = get(filter, "disabled") or _off(str(get(filter, "name")), one, ours)
        if kind(filter) != "Router" and not is_ours(filter, ours) and not off:
            yield Finding(
                "clash",
                f"{one.name}: {get(filter, 'name')} stands behind ours",
                "move it before archgw's: behind, it sees 16 bytes in place of the request, and whom it refuses was"
                " routed already",
            )


def _replies(one: Manager, ours: Fragments) -> Iterator[Finding]:
    said = get(one.config, "local_reply_config") or {}
    mappers = get(said, "mappers") or []
    if mappers and expression(mappers[0]) == expression(ours.replies[0]):
        return
    if mappers or get(said, "body_format"):
        yield Finding(
            "clash",
            f"{one.name}: its local_reply_config rewrites our answers, errors of vendors among them",
            "put the mappers of manager.json before its own",
        )
    else:
        yield Finding(
            "note",
            f"{one.name}: what Envoy itself says on our routes is no JSON that clients can read",
            "add its mappers from manager.json",
        )


def _others(one: Manager, ours: Fragments, plan: Plan) -> Iterator[Finding]:
    """Filters of theirs that touch bodies."""
    for filter in one.filters:
        if is_ours(filter, ours) or get(filter, "disabled") or _off(str(get(filter, "name")), one, ours):
            continue
        name, config = f"{one.name}: {get(filter, 'name')}", get(filter, "typed_config") or {}
        off = "switch it off where our routes are (typed_per_filter_config of their virtual host)"
        match kind(filter):
            case "Buffer" if int(get(config, "max_request_bytes") or 0) < plan.limits.body:
                limit = f"{plan.limits.body:,}"
                yield Finding("clash", f"{name} refuses requests that are longer than it buffers", f"{off}, or {limit}")
            case "Compressor":
                yield Finding("note", f"{name} may compress answers", f"{off} if streams come late or in lumps")
            case "Decompressor":
                yield Finding("note", f"{name} asks providers for compressed answers that nobody wants", off)
            case "ExternalProcessor":
                yield from _processor(name, get(config, "processing_mode") or {}, off)


def _off(name: str, one: Manager, ours: Fragments) -> bool:
    """Whether a filter of theirs is switched off wherever our routes are."""
    wired = routes.hosts(one, ours)
    return bool(wired) and all(
        switched_off(name, [route for route in get(host, "routes") or [] if is_ours(route, ours)], host)
        for host in wired
    )


def _processor(name: str, mode: Json, off: str) -> Iterator[Finding]:
    if get(mode, "response_body_mode") in _BUFFERED:
        yield Finding("clash", f"{name} holds each answer to its end, so that nothing streams", off)
    elif get(mode, "request_body_mode") not in (None, "NONE"):
        yield Finding("note", f"{name} is shown every prompt", f"{off} if it need not be")


def _unbounded(one: Manager, ours: Fragments) -> bool:
    """Whether our routes, which have bounds of their own, are freed of the manager's."""
    found = [route for host in routes.hosts(one, ours) for route in get(host, "routes") or [] if is_ours(route, ours)]
    bounds = [get(get(get(route, "route"), "max_stream_duration"), "max_stream_duration") for route in found]
    return all(bound is not None and not seconds(bound) for bound in bounds)


def _timers(one: Manager, ours: Fragments, plan: Plan) -> Iterator[Finding]:
    longest = seconds(get(get(one.config, "common_http_protocol_options"), "max_stream_duration"))
    if longest and longest < plan.listener.timeout and not _unbounded(one, ours):
        yield Finding(
            "clash",
            f"{one.name}: max_stream_duration cuts every stream after {longest:g} s",
            f"our routes say max_stream_duration: 0s, as in routes.json; or raise it to {plan.listener.timeout:g}s",
        )
    upload = seconds(get(one.config, "request_timeout"))
    if upload and upload < _UPLOAD:
        yield Finding(
            "note",
            f"{one.name}: request_timeout gives a request {upload:g} s to arrive",
            "a long conversation over a thin line takes longer",
        )
    window = get(one.listener, "per_connection_buffer_limit_bytes")
    if window is not None and int(window) < _SMALL_WINDOW:
        yield Finding(
            "note", f"{one.name}: per_connection_buffer_limit_bytes is {int(window):,}", "1048576 is Envoy's own"
        )
