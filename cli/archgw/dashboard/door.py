"""Who may ask the dashboard: this machine's browsers, by this address, and for what the ledger holds with its key.

The key travels in a header that a page of another origin cannot send, so nothing is done in the name of who merely has
a browser open: docs/decisions/0010-dashboard.md.
"""

import hmac
import json
import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router_service.shell.logs import place

_log = logging.getLogger("archgw.dashboard")
_LARGEST = 1_000  # bytes of what is sent to us
_POLICY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}


class Door:
    """Before everything else. What is below `/api/` wants the key; the page itself holds nothing of anybody's."""

    def __init__(self, app: ASGIApp, *, port: int, key: str) -> None:
        self._app, self._key = app, key
        names = ("127.0.0.1", "localhost", "[::1]")
        self._hosts = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _POLICY.items():
                    headers[name] = value
                if scope["path"].startswith("/api/"):
                    headers["cache-control"] = "no-store"
            await send(message)

        refused = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refused:
            await _refuse(guarded, *refused)
            return
        try:
            await self._app(scope, receive, guarded)
        except Exception as error:  # of our own: its kind and its place, for its words may be anybody's
            kind = type(error).__name__
            _log.error("%s at %s", kind, place(error))
            if not begun:
                await _refuse(guarded, 500, f"an error in archgw itself ({kind})", mend="archgw logs")

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        """A status, and why; None where nothing speaks against it."""
        if headers.get("host", "") not in self._hosts:
            return 421, "this is the dashboard of the machine's own archgw; it is not known by that name"
        if headers.get("origin", next(iter(self._origins))) not in self._origins:
            return 403, "no other page may ask"
        if not path.startswith("/api/"):
            return None
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            return 401, "the key is wrong or missing; `archgw dashboard` tells the address that has it"
        if method == "POST" and not _is_small_json(headers):
            return 415, "send a little JSON"
        return None


def _is_small_json(headers: Headers) -> bool:
    length = headers.get("content-length", "")
    return headers.get("content-type") == "application/json" and length.isdecimal() and int(length) <= _LARGEST


async def _refuse(send: Send, status: int, why: str, *, mend: str = "") -> None:
    body = json.dumps({"error": why, "mend": mend}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
