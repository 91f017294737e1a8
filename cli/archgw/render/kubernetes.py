"""Plan -> the folder `deploy/kubernetes`: a kustomize base, an overlay for each way to run it, components to add.

What is in a Secret is in none of it: keys are made beside it, by hand or by External Secrets.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from archgw.render import kubernetes_components, kubernetes_network, kubernetes_overlays
from archgw.render.config_text import with_section
from archgw.render.containers import check_alone
from archgw.render.envoy_pieces import Json
from archgw.render.kubernetes_overlays import LEDGER_URL, REDIS_URL, Simulated
from archgw.render.kubernetes_pod import CONFIG_MAP, KEYS, LABELS, NAME, deployment
from archgw.render.kubernetes_text import as_yaml, file_of
from router_service.config import Listener
from router_service.plan import Plan

ADDRESS = "0.0.0.0"  # of the pod, which a NetworkPolicy stands before


@dataclass(frozen=True, slots=True)
class Texts:
    """`pod`: the config as it is in a pod; `rules`: the alerts of Prometheus; `variables`: what a Secret is to hold."""

    pod: str
    rules: str
    variables: tuple[str, ...]


def render(plan: Plan, texts: Texts, simulated: Simulated | None) -> dict[str, str]:
    """Path -> text, of every file. `plan` is of `texts.pod`; without `simulated` there is no overlay `dev`.

    Raises ValueError where the config cannot be changed as text, containers.Several where a pod cannot be what it says.
    """
    check_alone(plan.workers)
    return {
        **_base(plan, texts),
        **kubernetes_overlays.single(plan),
        **kubernetes_overlays.ha(plan, texts.pod),
        **(kubernetes_overlays.dev(simulated) if simulated else {}),
        **kubernetes_components.components(plan, texts.rules),
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
    return f"# {why}\n{as_yaml({'listeners': {'egress_traffic': section}})}"


def in_pod(text: str, listener: Listener, *, guarded: bool) -> str:
    return with_section(text, "listeners", listeners(listener, guarded=guarded))


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
        "configMapGenerator": [{"name": CONFIG_MAP, "files": ["config.yaml"]}],
    }
    return {
        **{f"base/{name}.yaml": file_of(*documents) for name, documents in objects.items()},
        "base/kustomization.yaml": file_of(kustomization),
        "base/config.yaml": texts.pod,
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


def _secrets(variables: Iterable[str]) -> str:
    lines = [f"{name}=" for name in variables if name not in (REDIS_URL, LEDGER_URL)]
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
