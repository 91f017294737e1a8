"""Manifests of custom resources by the schemas that are published for their kinds: those that npm has packages of."""

import atexit
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from programs import folder_from_npm, node

FAMILY = "@kubernetes-models"
GROUPS = {
    "cilium.io": "cilium",
    "external-secrets.io": "external-secrets",
    "gateway.envoyproxy.io": "envoy-gateway",
    "gateway.networking.k8s.io": "gateway-api",
    "monitoring.coreos.com": "prometheus-operator",
    "networking.istio.io": "istio",
}
PACKAGES = (
    f"{FAMILY}/cilium@4.0.0",
    f"{FAMILY}/envoy-gateway@2.0.0",
    f"{FAMILY}/external-secrets@2.0.0",
    f"{FAMILY}/gateway-api@2.0.0",
    f"{FAMILY}/istio@3.0.1",  # Istio 1.29.2
    f"{FAMILY}/prometheus-operator@6.0.0",
    f"{FAMILY}/apimachinery@3.0.2",  # what they stand on
    f"{FAMILY}/base@6.0.1",
    f"{FAMILY}/validate@5.0.2",
    "kubernetes-models@5.1.0",
)


def valid(document: dict[str, Any]) -> list[str]:
    """What is wrong with it, each with its place; a field that its schema does not know is wrong.

    What a schema says in CEL is not checked. Raises FileNotFoundError for a kind that no package carries.
    Skips the test where there is no npm.
    """
    group, _, version = document["apiVersion"].rpartition("/")
    kind = document["kind"]
    if group not in GROUPS:
        raise FileNotFoundError(f"no package has the schemas of {document['apiVersion']}")
    packages = folder_from_npm("kubernetes-models", *PACKAGES)
    model = Path(FAMILY) / GROUPS[group] / group / version / f"{kind}.js"
    if not (packages / model).exists():
        raise FileNotFoundError(f"{FAMILY}/{GROUPS[group]} has no schema of {document['apiVersion']} {kind}")
    found: list[str] = _asked({"model": str(model), "kind": kind, "document": document})["mistakes"]
    return found


def _asked(question: dict[str, Any]) -> Any:
    process = _validator()
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, "crds.mjs ended: what it says is on stderr"
    return json.loads(answer)


@cache
def _validator() -> subprocess.Popen[str]:
    """One for all documents: to load the schemas takes far longer than to ask them."""
    script = Path(__file__).with_suffix(".mjs")
    packages = folder_from_npm("kubernetes-models", *PACKAGES)
    command = [str(Path(node()) / "node"), str(script), str(packages)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)
    return process
