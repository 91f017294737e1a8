"""The HTTP endpoints by which another process tells a simulated provider to fail, and asks what it received."""

from typing import TYPE_CHECKING, Any

from aiohttp import web

from archgw.simulate.faults import FAULTS, Fault
from archgw.simulate.received import KEY_HEADERS, Received

if TYPE_CHECKING:
    from archgw.simulate.server import Simulator

Json = dict[str, Any]
PREFIX = "/_simulate"


def answer(sim: "Simulator", received: Received) -> web.Response:
    route = ROUTES.get((received.method, received.path[len(PREFIX) :]))
    if route is None:
        known = [f"{method} {PREFIX}{path}" for method, path in ROUTES]
        return web.json_response({"error": f"there is only {', '.join(known)}"}, status=404)
    try:
        return web.json_response(route(sim, received))
    except (ValueError, TypeError) as error:
        return web.json_response({"error": str(error), "faults": ["refuse", *FAULTS]}, status=400)


def set_fault(sim: "Simulator", received: Received) -> Json:
    """`times` of 0 or none: until cleared. `refuse` shuts the port, for `delay_ms` if given."""
    if received.json is None:
        raise ValueError("send a JSON object such as {kind: status, status: 503, times: 2}")
    wanted = dict(received.json)
    times = int(wanted.pop("times", 0))
    if wanted.get("kind") == "refuse":
        milliseconds = wanted.get("delay_ms")
        sim.refuse_soon(None if milliseconds is None else milliseconds / 1000)
        return {"fault": "refuse"}
    fault = Fault.parse(wanted)
    if times:
        sim.fail_next(fault, times)
    else:
        sim.fault = fault
    return {"fault": fault.kind, "times": times or "until cleared"}


def clear_fault(sim: "Simulator", _: Received) -> Json:
    sim.clear()
    return {"fault": None}


def requests(sim: "Simulator", _: Received) -> Json:
    return {
        "requests": [shown(received) for received in sim.requests],
        "leaks": [leak.header for leak in sim.leaks],
    }


def clear_requests(sim: "Simulator", _: Received) -> Json:
    sim.requests.clear()
    sim.leaks.clear()
    return requests(sim, _)


def shown(received: Received) -> Json:
    """Without the keys: only their last four letters."""
    return {
        "method": received.method,
        "path": received.path,
        "query": received.query,
        "headers": [[name, masked(value) if name in SECRETS else value] for name, value in received.headers],
        "body": received.json if received.json is not None else received.body.decode("utf-8", "replace"),
        "time": received.time,
        "status": received.status,
        "outcome": received.outcome,
    }


SECRETS = (*KEY_HEADERS, "x-amz-security-token")


def masked(key: str) -> str:
    return f"...{key[-4:]}" if len(key) > 12 else "..."


ROUTES = {
    ("POST", "/fault"): set_fault,
    ("DELETE", "/fault"): clear_fault,
    ("GET", "/requests"): requests,
    ("DELETE", "/requests"): clear_requests,
}
