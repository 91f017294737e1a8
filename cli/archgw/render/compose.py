"""Plan -> docker-compose.yaml: the router, Envoy and the dashboard, and by profile what several of them share.

Compose lets a service whose root is read-only have configs and secrets from files alone (5.5; older ones fail without a
word of why), and a secret that is not there is an error. So keys are a folder of files: one that is missing is a key
that is not set. What no container may is the same everywhere: `hardened`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import indent
from urllib.parse import urlsplit

import yaml

from archgw.render import compose_profiles
from archgw.render.compose_profiles import INSIDE, hardened
from archgw.render.containers import (
    CONFIG,
    DATA,
    PROBE,
    SECRETS,
    SOCKETS,
    THIS_MACHINE,
    TMP,
    USER,
    check_alone,
    envoy,
)
from archgw.render.envoy_pieces import Json
from archgw.render.images import ENVOY_IMAGE, ROUTER_IMAGE
from router_service.plan import Plan

PROJECT = "archgw"  # what Compose calls all of it
_RENDERED = "/run/envoy"  # what `render` has written, in the router and in Envoy
_MACHINE = [f"{THIS_MACHINE}:host-gateway"]
_HEADER = """\
# The gateway in containers: `docker compose up -d --wait`. docs/containers.md tells the rest.
# Printed by `archgw render compose`: change the config, not this. What is to be otherwise here alone belongs in a
# docker-compose.override.yaml.
"""
_OF_ENVOY = """\
Where clients ask. A provider that the config has at localhost is asked at host.docker.internal, which is this
machine: it has to listen to more than its loopback address (Ollama: OLLAMA_HOST=0.0.0.0)."""
_READY = (  # Envoy's image has bash, and no curl
    "exec 3<>/dev/tcp/127.0.0.1/{port}"
    " && printf '%s\\r\\n' 'GET /healthz HTTP/1.1' 'host: localhost' 'connection: close' '' >&3"
    ' && read -r _ status _ <&3 && [ "$$status" = 200 ]'
)


@dataclass(frozen=True, slots=True)
class Files:
    """Paths as the compose file sees them. `checkout` holds the sources, to build the router's image and for what the
    profiles read; where it is empty, the image is pulled.
    """

    config: str = "./config.yaml"
    checkout: str = "."


def text(plan: Plan, files: Files) -> str:
    """YAML, a comment before each part. Raises containers.Several."""
    check_alone(plan.workers)
    services = [indent(_part(*part), "  ") for part in _services(plan, files)]
    head = [_HEADER, _yaml({"name": PROJECT}), "services:\n" + "\n".join(services)]
    return "\n".join([*head, *(_part(*part) for part in _shared(plan, files))])


def wanted(plan: Plan) -> tuple[str, ...]:
    """The profiles whose services the config names by their names."""
    return tuple(name for name in compose_profiles.NAMED if _names(plan, name))


def url(plan: Plan) -> str:
    """Where clients ask, on the machine that runs the containers."""
    return f"http://{_host(plan)}:{plan.listener.port}"


def dashboard_url(plan: Plan) -> str:
    return f"http://127.0.0.1:{plan.dashboard.port}" if plan.dashboard.enabled else ""


def _services(plan: Plan, files: Files) -> Iterable[tuple[str, Json]]:
    yield "Tells Envoy what the config comes to with the keys that are there, and ends.", {"render": _render(files)}
    yield "Chooses a model for each request. Its image has the router model inside.", {"router": _router(plan, files)}
    yield _OF_ENVOY, {"envoy": _envoy(plan, files)}
    if plan.dashboard.enabled:
        asked = "`docker compose exec router archgw dashboard` tells its address with its key."
        yield asked, {"dashboard": _dashboard(plan, files)}
    yield from compose_profiles.services(files.checkout)


def _render(files: Files) -> Json:
    """Which models have a key decides what chains there are, and both sides have to know the same."""
    written = ["--output", f"{DATA}/envoy.json", "--rendered", f"{DATA}/rendered.json"]
    return {
        **_image(files),
        **hardened(f"{USER}:{USER}", memory="512M"),
        "restart": "no",
        "entrypoint": ["archgw", "render", "envoy", "--in-container", *written],
        "network_mode": "none",
        "configs": [{"source": "config", "target": CONFIG}],
        "volumes": [f"envoy:{DATA}", _secrets()],
        "tmpfs": [TMP],
        "healthcheck": {"disable": True},
    }


def _router(plan: Plan, files: Files) -> Json:
    return {
        **_image(files),
        **hardened(f"{USER}:{USER}", memory="1G"),
        "command": ["--rendered", f"{_RENDERED}/rendered.json"],
        "environment": {"ARCHGW_URL": url(plan), "ARCHGW_DASHBOARD_URL": dashboard_url(plan)},
        "extra_hosts": list(_MACHINE),
        "networks": ["default", INSIDE],
        "configs": [{"source": "config", "target": CONFIG}],
        "volumes": [f"sockets:{SOCKETS}", f"data:{DATA}", f"envoy:{_RENDERED}:ro", _secrets()],
        "tmpfs": [TMP],
        "depends_on": _rendered() | _shared_state(plan),
        "healthcheck": _healthcheck("CMD", *PROBE),
    }


def _envoy(plan: Plan, files: Files) -> Json:
    port = plan.listener.port
    return {
        "image": f"${{ENVOY_IMAGE:-{ENVOY_IMAGE}}}",
        **hardened(f"{USER}:{USER}", memory="512M"),
        "entrypoint": envoy(f"{_RENDERED}/envoy.json", threads=4),
        "depends_on": _rendered() | {"router": {"condition": "service_healthy"}},
        "ports": [f"{_host(plan)}:{port}:{port}"],
        "extra_hosts": list(_MACHINE),
        "volumes": [f"sockets:{SOCKETS}", f"envoy:{_RENDERED}:ro"],
        "healthcheck": _healthcheck("CMD", "bash", "-c", _READY.format(port=port)),
    }


def _dashboard(plan: Plan, files: Files) -> Json:
    port = plan.dashboard.port
    shared = plan.ledger.url not in ("sqlite", "none")  # one that is not set here is `$NAME`
    command = ["python", "-m", "archgw.dashboard", "--home", DATA, "--config", CONFIG, "--port", str(port)]
    fetch = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=3)"
    return {
        **_image(files),
        **hardened(f"{USER}:{USER}", memory="512M"),
        "entrypoint": command,
        "environment": {"ARCHGW_URL": url(plan), "ARCHGW_DASHBOARD_URL": dashboard_url(plan)},
        "ports": [f"127.0.0.1:{port}:{port}"],
        "networks": ["default", INSIDE],
        "configs": [{"source": "config", "target": CONFIG}],
        "volumes": [f"sockets:{SOCKETS}", f"data:{DATA}", *([_secrets()] if shared else [])],
        "tmpfs": [TMP],
        "depends_on": {"router": {"condition": "service_healthy"}},
        "healthcheck": _healthcheck("CMD", "python", "-c", fetch),
    }


def _rendered() -> Json:
    return {"render": {"condition": "service_completed_successfully"}}


def _shared_state(plan: Plan) -> Json:
    """What the config names of it. The collector says nothing of its health, and nobody waits for it."""
    names = [name for name in wanted(plan) if name != "otel"]
    return {name: {"condition": "service_healthy", "required": False} for name in names}


def _image(files: Files) -> Json:
    build = (
        {"build": {"context": _literally(files.checkout), "dockerfile": "deploy/Dockerfile"}} if files.checkout else {}
    )
    return {"image": f"${{ROUTER_IMAGE:-{ROUTER_IMAGE}}}", **build}


def _literally(path: str) -> str:
    """Compose takes a dollar for the beginning of a variable."""
    return path.replace("$", "$$")


def _secrets() -> Json:
    return {
        "type": "bind",
        "source": "${ARCHGW_SECRETS:-./secrets}",
        "target": SECRETS,
        "read_only": True,
        "bind": {"create_host_path": False},
    }


def _healthcheck(*test: str) -> Json:
    return {
        "test": list(test),
        "interval": "30s",
        "timeout": "10s",
        "retries": 3,
        "start_period": "60s",
        "start_interval": "2s",
    }


def _shared(plan: Plan, files: Files) -> Iterable[tuple[str, Json]]:
    networks = {"default": {}, INSIDE: {"internal": True}}
    yield "Nobody reaches the databases but who needs them, and they reach nobody.", {"networks": networks}
    yield (
        "",
        {
            "configs": {"config": {"file": _literally(files.config)}}
            | compose_profiles.configs(_literally(files.checkout))
        },
    )
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"uid={USER},gid={USER},mode=0700,size=1m"}
    volumes = {"sockets": {"driver_opts": options}, "envoy": {}, "data": {}} | compose_profiles.volumes(files.checkout)
    outlives = (
        "Sockets are in memory. `data` is what outlives the containers: sessions, the ledger, the cache of answers."
    )
    yield outlives, {"volumes": volumes}
    yield "Read only where the profile is asked for.", {"secrets": compose_profiles.secrets()}


def _names(plan: Plan, service: str) -> bool:
    model = plan.routing.model
    urls = (plan.state.url, plan.ledger.url, plan.telemetry.otlp, getattr(model, "base_url", ""))
    return any(urlsplit(one).hostname == service for one in urls if "://" in one)


def _host(plan: Plan) -> str:
    address = plan.listener.address
    return f"[{address}]" if ":" in address else address


def _part(words: str, value: Json) -> str:
    return "".join(f"# {line}\n" for line in words.splitlines()) + _yaml(value)


def _yaml(value: Json) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000)
