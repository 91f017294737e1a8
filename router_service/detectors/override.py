"""The user names another model after one was chosen for him."""

from router_service.detectors.detector import Next


def finds(given: Next) -> int | None:
    return 0 if given.overridden and given.intent.kind == "user turn" else None
