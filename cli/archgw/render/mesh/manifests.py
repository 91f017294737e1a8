"""Manifests of Kubernetes: as text, and the pieces that several targets have in common."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from archgw.render.envoy_pieces import Json, is_ip
from archgw.render.images import ROUTER_IMAGE
from router_service.plan import Address, Plan

LABELS = {"app.kubernetes.io/name": "archgw"}
_RUN, _DATA, _CONFIG = "/run/archgw", "/var/lib/archgw", "/etc/archgw"
_KEYS = "/run/archgw-keys"  # in /run/secrets Kubernetes puts its own token, which a volume there would not let it
_TMP = "/tmp"  # noqa: S108 - of a container of its own
# What YAML 1.1 takes for yes and no; PyYAML writes some of it bare.
_TRUTHS = re.compile(r"(?i)^(y|n|yes|no|on|off|true|false)$")


@dataclass(frozen=True, slots=True)
class Site:
    """Where it goes: the host at which models are asked for, the namespace, and whose user the sockets are."""

    host: str = "llm.example.com"
    namespace: str = "archgw"
    user: int = 65532


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, data: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style='"' if _TRUTHS.match(data) else None)


_Dumper.add_representer(str, _text)


def text(title: str, documents: Iterable[Json]) -> str:
    """`title` says in a comment what it is."""
    body = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118)
    return f"# {title}\n---\n{body}"


def resource(api: str, kind: str, name: str, site: Site, spec: Json) -> Json:
    metadata = {"name": name, "namespace": site.namespace, "labels": LABELS}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def router_container(site: Site) -> Json:
    """The router service beside somebody's Envoy, as a sidecar that is there before him and ends after him (Kubernetes
    1.29). Never over a port: its answers carry vendors' keys."""
    socket = f"{_RUN}/router.sock"
    probe = {"exec": {"command": ["python", "-m", "router_service.shell.probe", socket]}}
    stores = [(f"--{name}", f"{_DATA}/{name}.sqlite") for name in ("state", "ledger", "cache")]
    return {
        "name": "archgw-router",
        "image": ROUTER_IMAGE,
        "restartPolicy": "Always",
        "command": ["python", "-m", "router_service"],
        "args": [
            "--config",
            f"{_CONFIG}/config.yaml",
            "--all-keys",
            "--socket",
            socket,
            *(word for pair in stores for word in pair),
        ],
        "env": [{"name": "ARCHGW_SECRETS", "value": _KEYS}],
        "startupProbe": probe | {"periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 60},
        "livenessProbe": probe | {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "securityContext": {
            "runAsUser": site.user,
            "runAsGroup": site.user,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            socket_mount(),
            {"name": "archgw-data", "mountPath": _DATA},
            {"name": "archgw-tmp", "mountPath": _TMP},
            {"name": "archgw-config", "mountPath": _CONFIG, "readOnly": True},
            {"name": "archgw-keys", "mountPath": _KEYS, "readOnly": True},
        ],
    }


def socket_mount() -> Json:
    """What Envoy's own container needs of it."""
    return {"name": "archgw-socket", "mountPath": _RUN}


def volumes() -> list[Json]:
    return [
        {"name": "archgw-socket", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "archgw-data", "emptyDir": {}},
        {"name": "archgw-tmp", "emptyDir": {}},
        {"name": "archgw-config", "configMap": {"name": "archgw-config"}},
        {"name": "archgw-keys", "secret": {"secretName": "archgw-keys"}},
    ]


def vendors(plan: Plan) -> list[Address]:
    """Where models are, one for each host and port; addresses and names without a dot are of the user's own network."""
    found = {(one.address.host, one.address.port): one.address for one in plan.candidates}
    return [address for (host, _), address in sorted(found.items()) if "." in host and not is_ip(host)]


def duration(seconds: float) -> str:
    """As the Gateway API writes it: whole units alone."""
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{int(seconds * 1000)}ms"
