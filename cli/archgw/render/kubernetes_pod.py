"""The pod: the router service and Envoy side by side, which share a folder for their sockets, and how they end.

The router is a sidecar (an init container that goes on): its startup probe passes before Envoy starts, and it is told
to end after Envoy has. Envoy's own hook waits until nothing is under way; see `router_service.shell.drain`.
"""

import math
from pathlib import PurePosixPath

from archgw.render import containers
from archgw.render.containers import DATA, ROUTER_SOCKET, SOCKETS, USER
from archgw.render.envoy_pieces import Json
from archgw.render.images import ENVOY_IMAGE, ROUTER_IMAGE
from router_service.plan import Plan

NAME = "archgw"
LABELS = {"app.kubernetes.io/name": NAME}
KEYS = "archgw-keys"  # the Secret: a key for each variable
CONFIG_MAP = "archgw-config"
CONFIG = str(PurePosixPath(containers.CONFIG).parent)
SECRETS = "/run/archgw-keys"  # not where clouds mount the pod's identity
_ENVOY_CONFIG, _RENDERED = f"{SOCKETS}/envoy.json", f"{SOCKETS}/rendered.json"
DRAIN_TIME = 10  # seconds in which whoever sends requests here learns that the pod is about to end
_GIB = 2**30
_AFTERWARDS = 15  # seconds in which the router service, told to end, writes what it still knows

# For 200 agents at once, as measured: deploy/kubernetes/README.md has the figures. The limits of memory leave room for
# what `limits` lets in; there is none of CPU, for what a node has to spare is best spent on answers that wait.
ROUTER_RESOURCES = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}
ENVOY_RESOURCES = {"requests": {"cpu": "200m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}


def deployment(plan: Plan) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": LABELS}, "spec": _pod(plan)},
        },
    }


def container(name: str, image: str, command: list[str], mounts: Json, resources: Json, **more: object) -> Json:
    """One that may nothing that it does not need: Pod Security's `restricted`, and no writable file but its mounts'."""
    return {
        "name": name,
        "image": image,
        "command": command,
        **more,
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": name, **mount} for name, mount in mounts.items()],
    }


def disk(plan: Plan) -> str:
    """The ledger with its journal, the cache, and sessions: a pod that comes to keep more than it may is evicted."""
    return f"{math.ceil((1.5 * plan.ledger.at_most + plan.cache.at_most) / _GIB) + 1}Gi"


def _pod(plan: Plan) -> Json:
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # else a Service's address comes as ARCHGW_PORT, and so on
        "terminationGracePeriodSeconds": _drained_within(plan) + _AFTERWARDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_render(plan), _router(plan)],
        "containers": [_envoy(plan)],
        "volumes": [
            {"name": "config", "configMap": {"name": CONFIG_MAP}},
            {"name": "keys", "secret": {"secretName": KEYS, "defaultMode": 0o440}},
            {"name": "sockets", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            {"name": "data", "emptyDir": {"sizeLimit": disk(plan)}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }


def _render(plan: Plan) -> Json:
    """What Envoy is fed, for the keys that this pod has: the router service knows no others."""
    command = [
        "python", "-m", "archgw", "render", "envoy", containers.CONFIG, "--only-usable",
        "--router-socket", ROUTER_SOCKET,
        "--admin-socket", containers.ADMIN_SOCKET,
        "--output", _ENVOY_CONFIG,
        "--rendered", _RENDERED,
    ]  # fmt: skip
    return container(
        "render",
        ROUTER_IMAGE,
        command,
        {
            "config": {"mountPath": CONFIG, "readOnly": True},
            "keys": {"mountPath": SECRETS, "readOnly": True},
            "sockets": {"mountPath": SOCKETS},
            "tmp": {"mountPath": "/tmp"},  # noqa: S108 - a folder of the pod's own
        },
        {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        env=_environment(plan),
    )


def _router(plan: Plan) -> Json:
    command = [*containers.ROUTER, "--drain-time", str(DRAIN_TIME), "--rendered", _RENDERED]
    well = {"exec": {"command": list(containers.PROBE)}, "timeoutSeconds": 10}
    return container(
        "router",
        ROUTER_IMAGE,
        command,
        {
            "config": {"mountPath": CONFIG, "readOnly": True},
            "keys": {"mountPath": SECRETS, "readOnly": True},
            "sockets": {"mountPath": SOCKETS},
            "data": {"mountPath": DATA},
            "tmp": {"mountPath": "/tmp"},  # noqa: S108 - a folder of the pod's own
        },
        ROUTER_RESOURCES,
        restartPolicy="Always",
        env=_environment(plan),
        # The router model is loaded: until then Envoy is not started.
        startupProbe=well | {"periodSeconds": 2, "failureThreshold": 60},
        # Of the service itself: nothing that is elsewhere, such as Redis, makes it unwell. It costs a Python's start.
        livenessProbe=well | {"periodSeconds": 30, "failureThreshold": 3},
    )


def _environment(plan: Plan) -> list[Json]:
    given = {
        "ARCHGW_SECRETS": SECRETS,
        "ARCHGW_URL": f"http://127.0.0.1:{plan.listener.port}",  # for commands in there
        "HOME": "/tmp",  # noqa: S108
        "OPENBLAS_NUM_THREADS": "1",  # numpy would spin on every core while Envoy wants them
    }
    return [{"name": name, "value": value} for name, value in given.items()]


def _envoy(plan: Plan) -> Json:
    draining = ("--drain-time-s", str(DRAIN_TIME), "--drain-strategy", "immediate")
    command = containers.envoy(_ENVOY_CONFIG, threads=2, more=draining)
    return container(
        "envoy",
        ENVOY_IMAGE,
        command,
        {
            "sockets": {"mountPath": SOCKETS},
            "tmp": {"mountPath": "/tmp"},  # noqa: S108
        },
        ENVOY_RESOURCES,
        ports=[{"name": "http", "containerPort": plan.listener.port}],
        # Through both: Envoy asks the router service about every request.
        readinessProbe={
            "httpGet": {"path": "/healthz", "port": "http"},
            "periodSeconds": 5,
            "timeoutSeconds": 3,
            "failureThreshold": 2,
        },
        # Of Envoy alone: a router service that is being started again is no reason to cut what Envoy carries. One that
        # hangs is ended without its hook's patience.
        livenessProbe={
            "tcpSocket": {"port": "http"},
            "periodSeconds": 10,
            "timeoutSeconds": 3,
            "failureThreshold": 3,
            "terminationGracePeriodSeconds": 30,
        },
        lifecycle={"preStop": {"exec": {"command": ["bash", "-c", _until_drained(plan)]}}},
    )


def _until_drained(plan: Plan) -> str:
    """Its image has a shell, and nothing that speaks to a unix socket. It goes on asking: see shell/drain.py."""
    return (
        f"cd {SOCKETS} && rm -f drained\n"
        f"until [ -e drained ] || [ $SECONDS -ge {_drained_within(plan)} ]; do : > drain; sleep 0.2; done\n"
        "rm -f drain\n"
    )


def _drained_within(plan: Plan) -> int:
    """Seconds: a request that came in the last moment may take as long as any."""
    return DRAIN_TIME + math.ceil(plan.listener.timeout) + 5
