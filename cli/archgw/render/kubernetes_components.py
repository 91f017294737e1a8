"""What only some clusters have the kinds for, a component of kustomize each."""

import math
import re

import yaml

from archgw.render import kubernetes_network
from archgw.render.envoy_pieces import Json
from archgw.render.kubernetes_pod import KEYS, LABELS, NAME
from archgw.render.kubernetes_text import file_of
from router_service.paths import SESSION
from router_service.plan import Plan

_TERMINATING = "__meta_kubernetes_endpointslice_endpoint_conditions_terminating"
_KUBECTL, _POD = f"kubectl -n {NAME}", "{{ $labels.pod }}"
_ON_A_MACHINE = "On that machine: archgw status, then archgw logs."
_COMMANDS = re.compile(r"archgw (status|why last)\b")
_GONE: Json = {
    "alert": "ArchgwGone",
    "expr": 'absent(up{job="archgw"} == 1)',
    "for": "5m",
    "labels": {"severity": "critical"},
    "annotations": {
        "summary": "No pod of archgw answers",
        "description": f"{_KUBECTL} get pods, then describe one that does not start: a Secret may be missing.",
    },
}
METRICS_KEY = "archgw-metrics"  # the Secret with Prometheus' own client key, where clients need one


def components(plan: Plan, alerts: str) -> dict[str, str]:
    """What only some clusters have the kinds for."""
    rules = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": _metadata(),
        "spec": {"groups": _of_pods(yaml.safe_load(alerts)["groups"])},
    }
    with_names = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": kubernetes_network.VENDORS, "namespace": NAME},
        "$patch": "delete",
    }
    return {
        **_component("monitoring", servicemonitor=_monitor(plan), prometheusrule=rules),
        "components/monitoring/adapter-values.yaml": file_of(_adapter()),
        **_component("gateway-api", httproute=_route(plan)),
        **_component("external-secrets", externalsecret=_external()),
        **_component("cilium", ciliumnetworkpolicy=kubernetes_network.cilium(plan), patch=with_names),
    }


def _component(name: str, patch: Json | None = None, **resources: Json) -> dict[str, str]:
    kustomization: Json = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": [f"{file}.yaml" for file in resources],
    }
    files = {f"components/{name}/{file}.yaml": file_of(document) for file, document in resources.items()}
    if patch:
        kustomization["patches"] = [{"path": "instead.yaml"}]
        files[f"components/{name}/instead.yaml"] = file_of(patch)
    return {f"components/{name}/kustomization.yaml": file_of(kustomization), **files}


def _metadata(name: str = NAME) -> Json:
    """With the namespace: a component is added beside an overlay, whose own is for what is in there."""
    return {"name": name, "namespace": NAME, "labels": LABELS}


def _of_pods(groups: list[Json]) -> list[Json]:
    """Pods come and go: one that is away is the cluster's to start again, and that none is there no series tells."""
    rules = [rule if rule["alert"] != "ArchgwAway" else _away(rule) for group in groups for rule in group["rules"]]
    return [{"name": NAME, "rules": [_GONE, *(_told_in_pods(rule) for rule in rules)]}]


def _away(rule: Json) -> Json:
    return rule | {"for": "5m", "labels": {"severity": "warning"}}


def _told_in_pods(rule: Json) -> Json:
    described = rule["annotations"]["description"].replace(_ON_A_MACHINE, f"{_KUBECTL} describe pod {_POD}")
    described = _COMMANDS.sub(rf"{_KUBECTL} exec {_POD} -c router -- \g<0>", described)
    return rule | {"annotations": rule["annotations"] | {"description": described}}


def _monitor(plan: Plan) -> Json:
    # One that drains has shut its port, which is no alarm.
    leaving = {"sourceLabels": [_TERMINATING], "regex": "true", "action": "drop"}
    endpoint: Json = {"port": "http", "path": "/archgw/metrics", "interval": "15s", "relabelings": [leaving]}
    if plan.clients:
        endpoint["authorization"] = {"type": "Bearer", "credentials": {"name": METRICS_KEY, "key": "key"}}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": _metadata(),
        "spec": {"selector": {"matchLabels": LABELS}, "endpoints": [endpoint]},
    }


def _adapter() -> Json:
    """Values of the chart of the Prometheus adapter: the autoscaler asks it for the figure by this name."""
    name = "archgw_requests_under_way"
    rule = {
        "seriesQuery": f'{name}{{namespace!="",pod!=""}}',
        "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
        "name": {"as": name},
        "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
    }
    return {"rules": {"custom": [rule]}}


def _route(plan: Plan) -> Json:
    """No retry and no shorter timeout than the gateway's own: it tries again itself, and knows with whom."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _metadata(),
        "spec": {
            "parentRefs": [{"name": "gateway", "namespace": "gateway"}],
            "hostnames": ["llm.example.com"],
            "rules": [
                {
                    "matches": [
                        {"path": {"type": "PathPrefix", "value": path}} for path in ("/v1/", "/routing/v1/", SESSION)
                    ],
                    "backendRefs": [{"name": NAME, "port": plan.listener.port}],
                    "timeouts": {"request": f"{math.ceil(plan.listener.timeout) + 10}s"},
                }
            ],
        },
    }


def _external() -> Json:
    """All that the store keeps under `archgw`, a property for each variable."""
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": _metadata(KEYS),
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "secrets"},
            "target": {"name": KEYS, "creationPolicy": "Owner"},
            "dataFrom": [{"extract": {"key": NAME}}],
        },
    }
