"""Plan -> the folder `deploy/kubernetes`: a kustomize base, an overlay for each way to run it, components to add.

What is in a Secret is in none of it: keys are made beside it, by hand or by External Secrets.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from archgw.render import envoy, kubernetes_network
from archgw.render.config_text import with_section, with_url
from archgw.render.envoy_pieces import Json
from archgw.render.images import ROUTER_IMAGE
from archgw.render.kubernetes_pod import CONFIG_MAP, KEYS, LABELS, NAME, SOCKETS, container, deployment
from router_service.config import Listener
from router_service.plan import Plan

ADDRESS = "0.0.0.0"  # of the pod, which a NetworkPolicy stands before
REDIS_URL, LEDGER_URL = "ARCHGW_REDIS_URL", "ARCHGW_LEDGER_URL"
METRICS_KEY = "archgw-metrics"  # the Secret with Prometheus' own client key, where clients need one
FIRST_VENDOR = 12100  # the port of the first simulated one; the others follow it
_HEADER = "# Rendered by `archgw render kubernetes` out of config.yaml: change that, not this.\n"
_REPLICAS = (3, 12)
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Texts:
    """`pod`: the config as it is in a pod; `rules`: the alerts of Prometheus; `variables`: what a Secret is to hold."""

    pod: str
    rules: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Simulated:
    """The config with simulated vendors, in the order of their ports; `keys` are those that they take, by variable."""

    plan: Plan
    text: str
    vendors: tuple[str, ...]
    keys: Mapping[str, str]


def render(plan: Plan, texts: Texts, simulated: Simulated | None) -> dict[str, str]:
    """Path -> text, of every file. `plan` is of `texts.pod`; without `simulated` there is no overlay `dev`."""
    return {
        **_base(plan, texts),
        **_single(plan),
        **_ha(plan, texts),
        **(_dev(simulated) if simulated else {}),
        **_components(plan, texts),
        "secrets.env.example": _secrets(texts.variables),
        ".gitignore": "secrets.env\n",
    }


def listeners(listener: Listener, *, guarded: bool) -> str:
    """The section for a pod: reachable, and known by the names of its Service. `guarded`: clients have keys."""
    names = [NAME, f"{NAME}.{NAME}", f"{NAME}.{NAME}.svc", f"{NAME}.{NAME}.svc.cluster.local"]
    section: Json = {
        "address": ADDRESS,
        "port": listener.port,
        "timeout": f"{listener.timeout:g}s",
        "hosts": list(dict.fromkeys((*listener.hosts, *names))),
    }
    if listener.origins:
        section["origins"] = list(listener.origins)
    if not guarded:
        section["open"] = True
    why = "In a pod: reachable from outside, and by the names of its Service."
    if not guarded:
        why += " Whoever the NetworkPolicy lets in may ask;\n# with `clients`, only who has a key."
    return f"# {why}\n{_yaml({'listeners': {'egress_traffic': section}})}"


def in_pod(text: str, listener: Listener, *, guarded: bool) -> str:
    return with_section(text, "listeners", listeners(listener, guarded=guarded))


def shared(text: str) -> str:
    """The config of replicas: what any of them knows, all do."""
    return with_url(with_url(text, "state", f"${REDIS_URL}"), "ledger", f"${LEDGER_URL}")


# -- base ------------------------------------------------------------------------------------------------------


def _base(plan: Plan, texts: Texts) -> dict[str, str]:
    objects = {
        "namespace": [_namespace()],
        "serviceaccount": [_account()],
        "deployment": [deployment(plan)],
        "service": [_service(plan)],
        "networkpolicy": kubernetes_network.policies(plan),
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAME,
        "resources": [f"{name}.yaml" for name in objects],
        # The name ends with a hash of what is in it: another config is another name, and rolls the pods.
        "configMapGenerator": [{"name": CONFIG_MAP, "files": ["config.yaml", "envoy.json"]}],
    }
    return {
        **{f"base/{name}.yaml": _file(*documents) for name, documents in objects.items()},
        "base/kustomization.yaml": _file(kustomization),
        "base/config.yaml": texts.pod,
        "base/envoy.json": _envoy(plan),
    }


def _namespace() -> Json:
    enforced = {f"pod-security.kubernetes.io/{what}": "restricted" for what in ("enforce", "warn", "audit")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME, "labels": {**LABELS, **enforced}}}


def _account() -> Json:
    """One that may nothing, and whose token nobody is given."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "labels": LABELS},
        "automountServiceAccountToken": False,
    }


def _service(plan: Plan) -> Json:
    port = {"name": "http", "port": plan.listener.port, "targetPort": "http", "appProtocol": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {"type": "ClusterIP", "selector": LABELS, "ports": [port]},
    }


def _envoy(plan: Plan) -> str:
    place = envoy.Place(router_socket=f"{SOCKETS}/router.sock", admin_socket=f"{SOCKETS}/admin.sock")
    return json.dumps(envoy.render(plan, place), indent=1) + "\n"


# -- overlays --------------------------------------------------------------------------------------------------


def _single(plan: Plan) -> dict[str, str]:
    """One pod and its disk. The one before has ended when the next begins: two would write into one SQLite."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{NAME}-data", "labels": LABELS},
        "spec": {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": _disk(plan)}}},
    }
    on_disk = _patch(
        {
            "strategy": {"type": "Recreate", "rollingUpdate": None},
            "template": {
                "spec": {
                    "volumes": [
                        {
                            "name": "data",
                            "emptyDir": None,
                            "persistentVolumeClaim": {"claimName": f"{NAME}-data"},
                        }
                    ]
                }
            },
        }
    )
    return {
        "overlays/single/kustomization.yaml": _overlay(["pvc.yaml"], patches=[{"path": "on-disk.yaml"}]),
        "overlays/single/pvc.yaml": _file(claim),
        "overlays/single/on-disk.yaml": _file(on_disk),
    }


def _disk(plan: Plan) -> str:
    """The ledger with its journal, the cache, and sessions."""
    return f"{math.ceil((1.5 * plan.ledger.at_most + plan.cache.at_most) / _GIB) + 1}Gi"


def _ha(plan: Plan, texts: Texts) -> dict[str, str]:
    """Replicas that share all that they know. How many there are is the autoscaler's word, not the Deployment's."""
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": LABELS},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    many = _patch({"replicas": None, "template": {"spec": {"topologySpreadConstraints": spread}}})
    resources = {"hpa": [_autoscaler(plan)], "pdb": [_disruption()], "stores": [kubernetes_network.stores()]}
    return {
        "overlays/ha/kustomization.yaml": _overlay(
            [f"{name}.yaml" for name in resources],
            patches=[{"path": "replicas.yaml"}],
            config=["config.yaml"],
        ),
        "overlays/ha/config.yaml": shared(texts.pod),
        "overlays/ha/replicas.yaml": _file(many),
        **{f"overlays/ha/{name}.yaml": _file(*documents) for name, documents in resources.items()},
    }


def _autoscaler(plan: Plan) -> Json:
    """On what the processor does, and on requests under way, most of which wait for a model and cost memory alone."""
    least, most = _REPLICAS
    under_way = {"type": "AverageValue", "averageValue": str(max(1, plan.limits.requests // 5))}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                },
                {"type": "Pods", "pods": {"metric": {"name": "archgw_requests_under_way"}, "target": under_way}},
            ],
            # A pod that goes lets its requests end, which takes minutes: not for a lull.
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": 600,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                }
            },
        },
    }


def _disruption() -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": LABELS},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _dev(simulated: Simulated) -> dict[str, str]:
    """Simulated vendors in the pod itself, so that it runs without a key. What they take for one is no secret."""
    vendors = container(
        "vendors",
        ROUTER_IMAGE,
        ["python", "-m", "archgw", "simulate", *simulated.vendors, "--port", str(FIRST_VENDOR)],
        {"tmp": {"mountPath": "/tmp"}},  # noqa: S108
        {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        restartPolicy="Always",
        env=[{"name": "HOME", "value": "/tmp"}],  # noqa: S108
    )
    secret = {"name": KEYS, "literals": [f"{name}={value}" for name, value in sorted(simulated.keys.items())]}
    return {
        "overlays/dev/kustomization.yaml": _overlay(
            [],
            patches=[{"path": "vendors.yaml"}],
            config=["config.yaml", "envoy.json"],
            secretGenerator=[secret],
        ),
        "overlays/dev/vendors.yaml": _file(_patch({"template": {"spec": {"initContainers": [vendors]}}})),
        "overlays/dev/config.yaml": simulated.text,
        "overlays/dev/envoy.json": _envoy(simulated.plan),
    }


def _overlay(resources: list[str], *, config: Iterable[str] = (), **more: Any) -> str:
    generated = [{"name": CONFIG_MAP, "behavior": "merge", "files": list(config)}]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAME,
        "resources": ["../../base", *resources],
        **({"configMapGenerator": generated} if config else {}),
        **more,
    }
    return _file(kustomization)


def _patch(spec: Json) -> Json:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": spec}


# -- components ------------------------------------------------------------------------------------------------


def _components(plan: Plan, texts: Texts) -> dict[str, str]:
    """What only some clusters have the kinds for."""
    rules = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {"groups": yaml.safe_load(texts.rules)["groups"]},
    }
    with_names = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": kubernetes_network.VENDORS},
        "$patch": "delete",
    }
    return {
        **_component("monitoring", servicemonitor=_monitor(plan), prometheusrule=rules),
        "components/monitoring/adapter-values.yaml": _file(_adapter()),
        **_component("gateway-api", httproute=_route(plan)),
        **_component("external-secrets", externalsecret=_external(texts.variables)),
        **_component("cilium", ciliumnetworkpolicy=kubernetes_network.cilium(plan), patch=with_names),
    }


def _component(name: str, patch: Json | None = None, **resources: Json) -> dict[str, str]:
    kustomization: Json = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": [f"{file}.yaml" for file in resources],
    }
    files = {f"components/{name}/{file}.yaml": _file(document) for file, document in resources.items()}
    if patch:
        kustomization["patches"] = [{"path": "instead.yaml"}]
        files[f"components/{name}/instead.yaml"] = _file(patch)
    return {f"components/{name}/kustomization.yaml": _file(kustomization), **files}


def _monitor(plan: Plan) -> Json:
    endpoint: Json = {"port": "http", "path": "/archgw/metrics", "interval": "15s"}
    if plan.clients:
        endpoint["authorization"] = {"type": "Bearer", "credentials": {"name": METRICS_KEY, "key": "key"}}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": NAME, "labels": LABELS},
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
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "parentRefs": [{"name": "gateway", "namespace": "gateway"}],
            "hostnames": ["llm.example.com"],
            "rules": [
                {
                    "matches": [
                        {"path": {"type": "PathPrefix", "value": path}} for path in ("/v1/", "/archgw/sessions/")
                    ],
                    "backendRefs": [{"name": NAME, "port": plan.listener.port}],
                    "timeouts": {"request": f"{math.ceil(plan.listener.timeout) + 10}s"},
                }
            ],
        },
    }


def _external(variables: Iterable[str]) -> Json:
    """A key of the store `archgw` for each variable."""
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": KEYS, "labels": LABELS},
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "secrets"},
            "target": {"name": KEYS, "creationPolicy": "Owner"},
            "data": [{"secretKey": name, "remoteRef": {"key": NAME, "property": name}} for name in variables],
        },
    }


def _secrets(variables: Iterable[str]) -> str:
    lines = [f"{name}=" for name in variables]
    return "\n".join(
        [
            "# Copy it to secrets.env, which git passes over, fill in what you have, and leave out the others. Then:",
            f"#   kubectl -n {NAME} create secret generic {KEYS} --from-env-file=secrets.env",
            *lines,
            "# For overlays/ha:",
            f"{REDIS_URL}=",
            f"{LEDGER_URL}=",
            "",
        ]
    )


# -- text ------------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Text of several lines as it reads, and no anchors for what occurs twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _yaml(document: Json) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _file(*documents: Json) -> str:
    return _HEADER + "---\n".join(map(_yaml, documents))
