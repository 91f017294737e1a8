"""Who may ask: whoever has a client's key; where clients need none, whoever is no web page of a stranger's.

A web page in the user's own browser reaches the loopback address, too. A browser says for whom it asks (`Origin`), and
by which name it has found us (`Host`): a stranger's page has a stranger's name in one of them, even where he lets his
name lead to 127.0.0.1. With keys neither is looked at, for a page has none.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from router_service.config import Client, Listener
from router_service.config.addresses import is_nobodys
from router_service.conversation import BadRequest

Headers = Mapping[str, str]
CALLER = "x-archgw-caller"  # what the front listener says of who asks by gRPC; a client's own does not get in
KEY = "x-arch-key"  # the client's key, where the usual headers hold another vendor's login
_KEYS = (KEY, "x-api-key", "authorization", "api-key")
_OPEN = ("/healthz",)  # tells that we are here, which whoever looks after the process needs to know
_REFUSED = 403  # on a 401 Claude Code 2.1 tries again for 25 seconds and more; a 403 it shows at once
# Claude Code 2.1 takes an error that names x-api-key for its own login's, and shows nothing else of it.
_HOW = f"send it as the API key or as {KEY}; archgw cli-agent takes it from ARCHGW_CLIENT_KEY"


@dataclass(frozen=True, slots=True)
class Caller:
    """By which name of the config a client is known (empty without keys), and its headers without its key."""

    name: str
    headers: Headers


Admit = Callable[[tuple[Client, ...], Listener, str, Headers, float], Caller]


class NotAdmitted(BadRequest):
    """Who may not ask, in words for him. Trying again does not help."""

    def __init__(self, words: str) -> None:
        super().__init__(words, status=_REFUSED, kind="permission_error")


def admit(clients: tuple[Client, ...], listener: Listener, path: str, headers: Headers, at: float) -> Caller:
    """Who asks. `at` is in seconds since the epoch. Raises NotAdmitted."""
    if not clients:
        if path not in _OPEN:
            _check_page(listener, headers)
        return Caller(
            "", {name: value for name, value in headers.items() if name != KEY} if KEY in headers else headers
        )
    known, kept = _shown(clients, headers)
    caller = _valid(known, kept, at)
    if caller.name or path in _OPEN:
        return caller
    if known:
        raise NotAdmitted("archgw: this client key has expired; ask whoever runs the gateway for a new one")
    given = any(name in headers for name in _KEYS)
    raise NotAdmitted(f"archgw: this is no client key that the gateway knows; {_HOW}" if given else _none_given())


def recognize(clients: tuple[Client, ...], listener: Listener, path: str, headers: Headers, at: float) -> Caller:
    """Who asks, where somebody else has let him in: by his client key, if he shows one that holds, else nobody."""
    return _valid(*_shown(clients, headers), at)


def introduced(clients: tuple[Client, ...], listener: Listener, path: str, headers: Headers, at: float) -> Caller:
    """Who asks as the front listener has it, which has let him in; without its word, as `recognize` has it."""
    caller = recognize(clients, listener, path, headers, at)
    named = caller.headers.get(CALLER)
    kept = {name: value for name, value in caller.headers.items() if name != CALLER}
    return Caller(caller.name if named is None else named, kept)


def _shown(clients: tuple[Client, ...], headers: Headers) -> tuple[list[Client], dict[str, str]]:
    """Whose keys are among the headers, and the headers without them."""
    found = {name: _known(clients, _bare(headers[name])) for name in _KEYS if name in headers}
    kept = {name: value for name, value in headers.items() if name != KEY and not found.get(name)}
    return [client for matches in found.values() for client in matches], kept


def _valid(known: Iterable[Client], kept: Headers, at: float) -> Caller:
    valid = (client.name for client in known if client.expires is None or at < client.expires)
    return Caller(next(valid, ""), kept)


def _none_given() -> str:
    return f"archgw: this gateway wants a client key; {_HOW}"


def _known(clients: Iterable[Client], key: str) -> list[Client]:
    """Whose key it is. All are compared, to the end, so that the time it takes tells nothing."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return [client for client in clients if hmac.compare_digest(client.digest, digest)]


def _bare(value: str) -> str:
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else value.strip()


def _check_page(listener: Listener, headers: Headers) -> None:
    authority = headers.get(":authority") or headers.get("host", "")
    host = _host(authority)
    if not (_is_ours(host) or host in listener.hosts):
        raise NotAdmitted(
            f"archgw: it is not known by the name '{host}'; ask by its address, or list the name in listeners."
            "egress_traffic.hosts"
        )
    origin = headers.get("origin", "").lower()
    if origin and origin not in (f"http://{authority.lower()}", f"https://{authority.lower()}", *listener.origins):
        raise NotAdmitted(
            f"archgw: web pages of {origin} may not ask; who trusts them lists them in listeners.egress_traffic.origins"
        )


@lru_cache(maxsize=256)  # clients have one name for us, and ask by it each time
def _host(authority: str) -> str:
    try:
        return (urlsplit(f"//{authority}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


@lru_cache(maxsize=256)
def _is_ours(host: str) -> bool:
    """An address, or a name that no stranger can have."""
    try:
        ip_address(host)
    except ValueError:
        return is_nobodys(host)
    return True
