"""Where a model is reached: an address that keys may be sent to, and none that gives away the machine's own."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from router_service.config.reading import Value

# Clouds tell a machine's own credentials there: whoever can name an address must not be led to it.
_METADATA = tuple(
    ip_network(net) for net in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254", "100.100.100.200", "168.63.129.16")
)
_METADATA_NAMES = ("metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal")
# Nobody can register such a name: RFC 6761, RFC 6762, and ICANN's resolution of July 2024 for .internal
_NOBODYS = (".localhost", ".local", ".internal")
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|\d+)(?:\.(?:0x[0-9a-f]*|\d+))*", re.I)


def read_address(value: Value) -> str:
    url = value.text() or ""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        usable = False
    if url and (not usable or re.search(r"[^!-~]", url)):
        value.wrong(f"expected an address such as http://localhost:8000/v1, found '{url}'")
        return ""
    if url and (parts.query or parts.fragment or "@" in parts.netloc):
        value.wrong("only scheme, host, port and path belong here", "the key goes under access_key")
    elif re.search(r"/(chat/completions|responses|messages)/?$", url):
        value.wrong("the address goes on to one endpoint", "leave off /chat/completions, /responses or /messages")
    elif trouble := _trouble(host_of(url)):
        value.wrong(trouble)
    return url.rstrip("/")


def is_server(url: str) -> bool:
    """Whether the URL of a Redis or a PostgreSQL is read alike by all: their clients split it by rules of their own."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port or an IPv6 address that is none
        return False
    user = parts.netloc.rpartition("@")[0]
    cut_short = "@" in parts.path or parts.fragment or re.match(r"[^=]*@", parts.query)
    return port != 0 and not cut_short and not ("@" in user and parts.scheme.startswith("postgres"))


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").removesuffix(".")


def is_bare(url: str) -> bool:
    """Whether what is sent there can be read on its way through other people's networks."""
    if urlsplit(url).scheme != "http":
        return False
    host = host_of(url)
    known = _ip(host)
    return known.is_global if known else not is_nobodys(host)


def is_local(host: str) -> bool:
    """Whether it is on this machine."""
    known = _ip(host)
    return known.is_loopback if known else host == "localhost"


def is_nobodys(host: str) -> bool:
    """Whether it is a name that no stranger can have: one without a dot, or of a domain that is nobody's."""
    return bool(host) and ("." not in host or host.endswith(_NOBODYS))


def _trouble(host: str) -> str:
    known = _ip(host)
    if known is None and _NUMBERS.fullmatch(host):
        return f"'{host}' is no IP address as they are written"
    if host in _METADATA_NAMES or (known and any(known in net for net in _METADATA)):
        return f"{host} is where a cloud tells a machine its own credentials, and no model"
    return ""


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        known = ip_address(host)
    except ValueError:
        return None
    return (known.ipv4_mapped if isinstance(known, IPv6Address) else None) or known
