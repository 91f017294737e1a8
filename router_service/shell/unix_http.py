"""HTTP over a unix socket: Envoy's own page, and the supervisor's. Only the owner of the home can open them."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any


def ask(at: Path, path: str, *, method: str = "GET", body: Any = None, timeout: float = 5.0) -> tuple[int, bytes]:
    """Status and body of the answer; `body` is sent as JSON. Raises OSError when nobody answers."""
    connection = _Connection(at, timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        reply = connection.getresponse()
        return reply.status, reply.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, at: Path, timeout: float) -> None:
        super().__init__("archgw", timeout=timeout)
        self._at = at

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._at))
