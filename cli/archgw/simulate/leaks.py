"""The customs: a header that was meant for the gateway or for another vendor should never arrive."""

from collections.abc import Iterator
from dataclasses import dataclass

from archgw.simulate.received import KEY_HEADERS, Received, bare
from archgw.simulate.sigv4 import is_signed
from archgw.simulate.vendors import ALL, Vendor


@dataclass(frozen=True, slots=True)
class Leak:
    """A header that this vendor should never have seen."""

    header: str
    value: str
    reason: str
    path: str


GATEWAY_PREFIXES = ("x-arch", "x-envoy", "x-forwarded", "x-claude-")
GATEWAY_HEADERS = ("cookie", "forwarded", "proxy-authorization")
FOREIGN = {
    "anthropic_messages": ("openai-", "x-goog-", "api-key"),
    "openai_chat": ("anthropic-", "x-api-key", "x-goog-api-key"),
    "openai_responses": ("anthropic-", "x-api-key", "x-goog-api-key"),
}


SESSIONS = {other.affinity for other in ALL if "-" in other.affinity}


def leaks(vendor: Vendor, received: Received, accept_keys: frozenset[str] | None) -> Iterator[Leak]:
    for name, value in received.headers:
        if reason := leak_of(vendor, name, value, accept_keys):
            yield Leak(name, value, reason, received.path)


def leak_of(vendor: Vendor, name: str, value: str, accept_keys: frozenset[str] | None) -> str:
    if name.startswith(GATEWAY_PREFIXES) or name in GATEWAY_HEADERS:
        return "meant for the gateway"
    if name.startswith(FOREIGN[vendor.dialect]) and name != vendor.keys:
        return f"foreign to {vendor.name}"
    if name in SESSIONS and name != vendor.affinity:
        return f"a session that is no business of {vendor.name}"
    if (name.startswith("x-amz-") or is_signed(value)) and not vendor.signed_for:
        return "a signature for AWS"
    if name not in KEY_HEADERS or is_signed(value):
        return ""
    owner = owner_of(bare(value))
    if owner not in ("", vendor.name):
        return f"a key of {owner}"
    return "" if accept_keys is None or bare(value) in accept_keys else STRANGE_KEY


STRANGE_KEY = "not one of the accepted keys"


def owner_of(key: str) -> str:
    return next((vendor.name for vendor in ALL if vendor.key_prefixes and key.startswith(vendor.key_prefixes)), "")
