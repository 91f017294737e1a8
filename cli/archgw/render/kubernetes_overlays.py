"""The ways to run the pod: one with a disk, replicas that share all that they know, and one without any key."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archgw.render import kubernetes_network
from archgw.render.config_text import with_url
from archgw.render.envoy_pieces import Json
from archgw.render.images import ROUTER_IMAGE
from archgw.render.kubernetes_pod import CONFIG_MAP, KEYS, LABELS, NAME, container, disk
from archgw.render.kubernetes_text import file_of
from router_service.plan import Plan

REDIS_URL, LEDGER_URL = "ARCHGW_REDIS_URL", "ARCHGW_LEDGER_URL"
FIRST_VENDOR = 12100  # the port of the first simulated one; the others follow it
_REPLICAS = (3, 12)


@dataclass(frozen=True, slots=True)
class Simulated:
    """The config with simulated vendors, in the order of their ports; `keys` are those that they take, by variable."""

    text: str
    vendors: tuple[str, ...]
    keys: Mapping[str, str]


def single(plan: Plan) -> dict[str, str]:
    """One pod and its disk. The one before has ended when the next begins: two would write into one SQLite."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{NAME}-data", "labels": LABELS},
        "spec": {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": disk(plan)}}},
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
        "overlays/single/pvc.yaml": file_of(claim),
        "overlays/single/on-disk.yaml": file_of(on_disk),
    }


def ha(plan: Plan, text: str) -> dict[str, str]:
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
    resources = {"hpa": [_autoscaler(plan)], "pdb": [_disruption()]}
    if not kubernetes_network.names_stores(plan):  # else the base lets them be reached
        resources["stores"] = [kubernetes_network.stores()]
    return {
        "overlays/ha/kustomization.yaml": _overlay(
            [f"{name}.yaml" for name in resources],
            patches=[{"path": "replicas.yaml"}],
            config=["config.yaml"],
        ),
        "overlays/ha/config.yaml": _shared(text),
        "overlays/ha/replicas.yaml": file_of(many),
        **{f"overlays/ha/{name}.yaml": file_of(*documents) for name, documents in resources.items()},
    }


def _shared(text: str) -> str:
    """The config of replicas: what any of them knows, all do."""
    return with_url(with_url(text, "state", f"${REDIS_URL}"), "ledger", f"${LEDGER_URL}")


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


def dev(simulated: Simulated) -> dict[str, str]:
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
            config=["config.yaml"],
            secretGenerator=[secret],
        ),
        "overlays/dev/vendors.yaml": file_of(_patch({"template": {"spec": {"initContainers": [vendors]}}})),
        "overlays/dev/config.yaml": simulated.text,
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
    return file_of(kustomization)


def _patch(spec: Json) -> Json:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": spec}
