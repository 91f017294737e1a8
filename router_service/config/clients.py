"""Who may ask: each client's name, and the hash of its key. The key itself stands nowhere."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from router_service.config.reading import Value

FIELDS = ("name", "key", "expires")
_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_MAKE_ONE = "make one: archgw client-key"


@dataclass(frozen=True, slots=True)
class Client:
    """One key of a client's: the SHA-256 of it, in hex. A client has several while it changes them.

    `expires` is when it is no longer taken, in seconds since the epoch; None for never.

    A plain hash is enough, for a key is 256 random bits: nobody guesses it, however fast he can hash. A slow hash, as
    for passwords, would cost every request what it costs a guesser.
    """

    name: str
    digest: str = field(repr=False)
    expires: float | None = None


def clients(value: Value | None) -> tuple[Client, ...]:
    """`clients: [{name: laptop, key: "sha256:..."}]`."""
    if value is None:
        return ()
    if value.empty:
        value.wrong("nobody is listed", f"leave clients out, or {_MAKE_ONE}")
        return ()
    read = [_client(item) for item in value.items()]
    found = [client for client in read if client]
    for item, client in zip(value.items(), read, strict=True):
        if client and client.digest in [other.digest for other in found[: found.index(client)]]:
            item.wrong("a key that stands here twice", "each client, and each key, has an item of its own")
    return tuple(found)


def _client(item: Value) -> Client | None:
    fields = item.fields(FIELDS)
    for lacking in [key for key in ("name", "key") if item.is_mapping and key not in fields]:
        item.wrong(f"no {lacking}", _MAKE_ONE)
    name = _name(fields["name"]) if "name" in fields else None
    digest = _digest(fields["key"]) if "key" in fields else None
    expires = _end_of_day(fields["expires"]) if "expires" in fields else None
    return Client(name, digest, expires) if name and digest else None


def _name(value: Value) -> str | None:
    name = value.text()
    if name and not _NAME.fullmatch(name):
        value.wrong(f"expected a name, found '{name}'", "up to 63 letters, digits, dots, hyphens, underscores and @")
        return None
    return name


def _digest(value: Value) -> str | None:
    """Never shows what stands there: it may be the key."""
    text = value.text()
    found = _HASH.fullmatch(text) if text else None
    if text and not found:
        value.wrong("expected sha256: and 64 hex digits", f"the hash of a key belongs here, not the key; {_MAKE_ONE}")
    return found[1].lower() if found else None


def _end_of_day(value: Value) -> float | None:
    """The last moment of a day in UTC: until then the key is taken."""
    try:
        day = datetime.strptime(value.written, "%Y-%m-%d").replace(tzinfo=UTC)
        return (day + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError):
        value.wrong("expected the last day on which the key is taken, such as 2027-01-31")
    return None
