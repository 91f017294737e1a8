"""The check of custom resources: it knows the kinds that we render, and finds what is wrong with them."""

from copy import deepcopy
from typing import Any

import pytest
from crds import valid

Json = dict[str, Any]

_PARENT = {"name": "edge", "sectionName": "https"}
_FILTER = {"name": "archgw.selection", "typed_config": {"@type": "type.googleapis.com/any.Thing", "deep": [{"er": 1}]}}
_SPECS: dict[tuple[str, str], Json] = {
    ("cilium.io/v2", "CiliumNetworkPolicy"): {
        "endpointSelector": {"matchExpressions": [{"key": "archgw", "operator": "Exists"}]},
        "egress": [
            {
                "toFQDNs": [{"matchName": "api.openai.com"}],
                "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}],
            }
        ],
    },
    ("external-secrets.io/v1", "ExternalSecret"): {
        "secretStoreRef": {"name": "store", "kind": "ClusterSecretStore"},
        "target": {"name": "archgw"},
        "data": [{"secretKey": "OPENAI_API_KEY", "remoteRef": {"key": "archgw/openai"}}],
    },
    ("gateway.envoyproxy.io/v1alpha1", "Backend"): {"endpoints": [{"fqdn": {"hostname": "a.example", "port": 443}}]},
    ("gateway.envoyproxy.io/v1alpha1", "EnvoyExtensionPolicy"): {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "archgw"}],
        "extProc": [
            {
                "backendRefs": [{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "archgw"}],
                "processingMode": {"request": {"body": "Buffered"}},
                "messageTimeout": "5s",
            }
        ],
    },
    ("gateway.envoyproxy.io/v1alpha1", "EnvoyPatchPolicy"): {
        "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"},
        "type": "JSONPatch",
        "jsonPatches": [
            {
                "type": "type.googleapis.com/envoy.config.listener.v3.Listener",
                "name": "tcp-443",
                "operation": {"op": "add", "jsonPath": "..http_filters[0]", "value": _FILTER},
            }
        ],
    },
    ("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy"): {
        "bootstrap": {"type": "JSONPatch", "jsonPatches": [{"op": "add", "path": "/a", "value": _FILTER}]},
        "provider": {
            "type": "Kubernetes",
            "kubernetes": {"envoyDeployment": {"pod": {"volumes": [{"name": "socket", "emptyDir": {}}]}}},
        },
    },
    ("gateway.envoyproxy.io/v1alpha1", "HTTPRouteFilter"): {"directResponse": {"statusCode": 404}},
    ("gateway.networking.k8s.io/v1", "Gateway"): {
        "gatewayClassName": "eg",
        "listeners": [{"name": "https", "port": 443, "protocol": "HTTPS"}],
    },
    ("gateway.networking.k8s.io/v1", "GatewayClass"): {"controllerName": "gateway.envoyproxy.io/controller"},
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): {
        "parentRefs": [_PARENT],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}],
                "backendRefs": [{"name": "archgw", "port": 12000}],
            }
        ],
    },
    ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"): {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "apps"}],
        "to": [{"group": "", "kind": "Service"}],
    },
    ("monitoring.coreos.com/v1", "PrometheusRule"): {
        "groups": [
            {"name": "archgw", "rules": [{"alert": "Down", "expr": "up == 0", "for": "5m", "labels": {"a": "b"}}]}
        ]
    },
    ("monitoring.coreos.com/v1", "ServiceMonitor"): {
        "selector": {"matchLabels": {"app.kubernetes.io/name": "archgw"}},
        "endpoints": [{"port": "http", "path": "/metrics", "interval": "15s"}],
    },
    ("networking.istio.io/v1", "DestinationRule"): {"host": "a.example", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}},
    ("networking.istio.io/v1", "Gateway"): {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["llm.example"]}],
    },
    ("networking.istio.io/v1", "ServiceEntry"): {
        "hosts": ["api.openai.com"],
        "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
        "resolution": "DNS",
    },
    ("networking.istio.io/v1", "VirtualService"): {
        "hosts": ["llm.example"],
        "http": [{"route": [{"destination": {"host": "archgw"}}]}],
    },
    ("networking.istio.io/v1alpha3", "EnvoyFilter"): {
        "workloadSelector": {"labels": {"istio": "ingressgateway"}},
        "configPatches": [{"applyTo": "HTTP_FILTER", "patch": {"operation": "INSERT_BEFORE", "value": _FILTER}}],
    },
}


def made(version: str, kind: str) -> Json:
    metadata = {"name": "archgw", "labels": {"what": "ever"}, "annotations": {"a.example/b": "c"}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": deepcopy(_SPECS[version, kind])}


def changed(document: Json, place: str, value: Any) -> Json:
    """With another value there; without the field, where that is None."""
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    at: Any = document
    for step in steps:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return document


@pytest.mark.parametrize(("version", "kind"), _SPECS)
def test_one_that_is_right_passes_and_a_field_of_nobodys_does_not(version: str, kind: str) -> None:
    document = made(version, kind)
    assert valid(document) == []
    assert valid(document | {"speck": {}}) == ["speck: the schema knows no such field"]
    assert valid(changed(document, "spec.unheardOf", 1)) == ["spec.unheardOf: the schema knows no such field"]


FIELD, TYPE, REQUIRED = "the schema knows no such field", "must be", "must have required property"
_CILIUM = ("cilium.io/v2", "CiliumNetworkPolicy")
_EXTERNAL = ("external-secrets.io/v1", "ExternalSecret")
_PATCH = ("gateway.envoyproxy.io/v1alpha1", "EnvoyPatchPolicy")
_ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")
_MONITOR = ("monitoring.coreos.com/v1", "ServiceMonitor")
_ISTIO = ("networking.istio.io/v1", "ServiceEntry")


@pytest.mark.parametrize(
    ("which", "place", "value", "found"),
    [
        (_CILIUM, "spec.egress.0.toFQDNs.0.matchPatern", "*", FIELD),
        (_CILIUM, "spec.egress.0.toPorts.0.ports.0.port", 443, f"{TYPE} string"),
        (_CILIUM, "spec.endpointSelector.matchExpressions.0.key", None, REQUIRED),
        (_EXTERNAL, "spec.target.nmae", "archgw", FIELD),
        (_EXTERNAL, "spec.target", [], f"{TYPE} object"),
        (_EXTERNAL, "spec.data.0.remoteRef.key", None, REQUIRED),
        (_PATCH, "spec.jsonPatches.0.operation.jsonpath", "..a", FIELD),
        (_PATCH, "spec.priority", "first", f"{TYPE} integer"),
        (_PATCH, "spec.jsonPatches.0.operation.op", None, REQUIRED),
        (_ROUTE, "spec.rules.0.backendRef", [], FIELD),
        (_ROUTE, "spec.rules.0.backendRefs.0.port", "12000", f"{TYPE} integer"),
        (_ROUTE, "spec.rules.0.backendRefs.0.name", None, REQUIRED),
        (_ROUTE, "spec.rules.0.matches.0.path.type", "Prefix", "must be equal to one of the allowed values"),
        (_MONITOR, "spec.endpoints.0.intervall", "15s", FIELD),
        (_MONITOR, "spec.endpoints", {}, f"{TYPE} array"),
        (_MONITOR, "spec.selector", None, REQUIRED),
        (_ISTIO, "spec.ports.0.protcol", "TLS", FIELD),
        (_ISTIO, "spec.hosts", "api.openai.com", f"{TYPE} array"),
        (_ISTIO, "spec.hosts", None, REQUIRED),
        (_ISTIO, "metadata.annotation", {}, FIELD),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_where_it_is(which: tuple[str, str], place: str, value: Any, found: str) -> None:
    at = place if value is not None else place.rpartition(".")[0]
    mistakes = valid(changed(made(*which), place, value))
    assert any(one.startswith(f"{at}: {found}") for one in mistakes), mistakes


def test_what_a_schema_leaves_free_is_free_and_nothing_is_null_elsewhere() -> None:
    free = changed(made(*_PATCH), "spec.jsonPatches.0.operation.value", {"any": [{"thing": None}]})
    assert valid(free) == []
    monitor = made(*_MONITOR)
    monitor["spec"]["endpoints"][0]["path"] = None
    assert valid(monitor) == ["spec.endpoints.0.path: null"]


@pytest.mark.parametrize(
    ("version", "kind"),
    [("apps/v1", "Deployment"), ("networking.istio.io/v1", "EnvoyFilter"), ("cilium.io/v3", "CiliumNetworkPolicy")],
)
def test_a_kind_of_which_there_is_no_schema_is_not_passed_over(version: str, kind: str) -> None:
    with pytest.raises(FileNotFoundError, match=version):
        valid({"apiVersion": version, "kind": kind, "metadata": {"name": "archgw"}, "spec": {}})
