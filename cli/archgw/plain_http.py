"""The gateway, asked with a socket alone: for what Claude Code waits for, where every import is felt."""

import os
import socket

USUAL = "http://127.0.0.1:12000"


def send(url: str, method: str, path: str, *, body: bytes = b"", patience: float) -> tuple[int, bytes] | None:
    """Status and body; None where nobody answers within `patience` seconds, or the address is none of a gateway's."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    host, _, port = authority.rpartition(":") if ":" in authority.rpartition("]")[2] else (authority, "", "80")
    if scheme != "http" or not port.isdigit():
        return None
    key = os.environ.get("ARCHGW_CLIENT_KEY", "").strip()
    admitted = f"x-arch-key: {key}\r\n" if key.isascii() and key.isprintable() and key else ""
    sent = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body else ""
    request = f"{method} {path} HTTP/1.1\r\nhost: {authority}\r\n{admitted}{sent}connection: close\r\n\r\n"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=patience) as connection:
            connection.sendall(request.encode() + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return None
    head, _, said = answer.partition(b"\r\n\r\n")
    status = head.partition(b"\r\n")[0].split(b" ")[1:2]
    return (int(status[0]), _whole(head, said)) if status and status[0].isdigit() else None


def _whole(head: bytes, body: bytes) -> bytes:
    """The body, out of its chunks where it comes in some."""
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        parts.append(body[:length])
        body = body[length + 2 :] if length else b""
    return b"".join(parts)
