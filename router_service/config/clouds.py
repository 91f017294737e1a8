"""Where a cloud's own credentials stand in for a key: what the machine has of them, and what they prove."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from router_service.providers.provider import Cloud

# bedrock-runtime.eu-west-1.amazonaws.com, vpce-1.bedrock-runtime-fips.us-east-1.vpce.amazonaws.com,
# bedrock-mantle.us-east-1.api.aws
_AWS_HOST = re.compile(r"(?:^|\.)(bedrock-mantle|bedrock-runtime)(?:-fips)?\.([a-z]+-[a-z0-9-]+-\d)\.")


@dataclass(frozen=True, slots=True)
class Clouds:
    """By their names: whose credentials are to be `found` on this machine, and whose library is `lacking`; that of
    `telemetry.otlp` may be, too.
    """

    found: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()

    def usable(self, cloud: Cloud) -> bool:
        return cloud.name in self.found - self.lacking

    def instead(self, cloud: Cloud) -> str:
        """Why its credentials cannot stand in for the key, in words that follow those about the key."""
        if cloud.name in self.lacking and cloud.name in self.found:
            return f" (your {cloud.credentials} would do, with a library: pip install 'archgw[{cloud.extra}]')"
        return f", nor are there {cloud.credentials}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose credentials prove a request; and, where they sign it, for which `service` in which `region`."""

    cloud: str
    service: str = ""
    region: str = ""


def identity(cloud: Cloud, base_url: str, region: str) -> Identity:
    """`region` holds where the address does not tell its own."""
    if not cloud.service:
        return Identity(cloud.name)
    found = _AWS_HOST.search(urlsplit(base_url).hostname or "")
    mantle = found is not None and found[1] == "bedrock-mantle"
    return Identity(cloud.name, "bedrock-mantle" if mantle else cloud.service, found[2] if found else region)


def tells_region(base_url: str) -> bool:
    return _AWS_HOST.search(urlsplit(base_url).hostname or "") is not None
