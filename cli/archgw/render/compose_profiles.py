"""What docker-compose.yaml holds besides, each by a profile of its name: Redis, PostgreSQL, figures, a collector."""

from collections.abc import Iterable
from copy import deepcopy

from archgw.render.containers import TMP
from archgw.render.envoy_pieces import Json

INSIDE = "inside"
NAMED = ("redis", "postgresql", "otel")  # services that a config may name; `prometheus` asks the gateway, not it them
_PASSWORD = "PGPASSWORD"  # noqa: S105 - a name, of the file and of the variable in which PostgreSQL's clients look
_LOG = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
_FILES = {
    "prometheus": "deploy/compose/prometheus.yml",
    "rules": "deploy/prometheus/archgw.rules.yml",
    "datasource": "deploy/compose/grafana-datasource.yml",
    "dashboards": "deploy/compose/grafana-dashboards.yml",
    "dashboard": "deploy/grafana/archgw.json",
    "otel": "deploy/compose/otel.yml",
}


def hardened(user: str, *, memory: str, ends_within: str = "10s") -> Json:
    """What no container of ours may: be root, write outside its volumes, gain a right, or take the machine's memory."""
    return deepcopy(
        {
            "user": user,
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "restart": "unless-stopped",
            "stop_grace_period": ends_within,
            "deploy": {"resources": {"limits": {"memory": memory, "pids": 512}}},
            "logging": _LOG,
        }
    )


def services(checkout: str) -> Iterable[tuple[str, Json]]:
    """Those that read files of the sources are there where these are."""
    shared = {"redis": _redis()}
    yield "state: {url: redis://redis:6379} keeps sessions and budgets here, for as many routers as there are.", shared
    books = {"postgresql": _postgresql()}
    setting = "ledger: {url: postgresql://archgw@postgresql/archgw}"
    words = f"{setting} keeps the ledger here. The file {_PASSWORD},\nbeside those of the keys, holds its password."
    yield words, books
    if checkout:
        figures = {"prometheus": _prometheus(), "grafana": _grafana()}
        yield "Figures and alerts, and Grafana with the dashboard of them: http://127.0.0.1:3000", figures
        collector = {"otel": _otel()}
        yield (
            "telemetry: {otlp: http://otel:4318} tells this collector; its config says where it goes on to.",
            collector,
        )


def configs(checkout: str) -> Json:
    return {name: {"file": f"{checkout}/{file}"} for name, file in _FILES.items()} if checkout else {}


def volumes(checkout: str) -> Json:
    names = ("redis", "postgresql", *(("prometheus", "grafana") if checkout else ()))
    return {name: {} for name in names}


def secrets() -> Json:
    return {_PASSWORD: {"file": f"${{ARCHGW_SECRETS:-./secrets}}/{_PASSWORD}"}}


def _redis() -> Json:
    return {
        "profiles": ["redis"],
        "image": "redis:7.2.7-bookworm",
        **hardened("999:999", memory="256M"),
        "command": ["redis-server", "--appendonly", "yes", "--maxmemory", "200mb"],
        "networks": [INSIDE],
        "volumes": ["redis:/data"],
        "healthcheck": _healthcheck("CMD", "redis-cli", "ping"),
    }


def _postgresql() -> Json:
    return {
        "profiles": ["postgresql"],
        "image": "postgres:17.5-bookworm",
        **hardened("999:999", memory="512M", ends_within="30s"),
        "environment": {
            "POSTGRES_USER": "archgw",
            "POSTGRES_DB": "archgw",
            "POSTGRES_PASSWORD_FILE": f"/run/secrets/{_PASSWORD}",
        },
        "networks": [INSIDE],
        "secrets": [_PASSWORD],
        "volumes": ["postgresql:/var/lib/postgresql/data"],
        "tmpfs": [TMP, "/var/run/postgresql:uid=999,gid=999,mode=0775,size=1m"],
        "shm_size": "128m",
        "healthcheck": _healthcheck("CMD", "pg_isready", "--username", "archgw", "--dbname", "archgw"),
    }


def _prometheus() -> Json:
    return {
        "profiles": ["prometheus"],
        "image": "prom/prometheus:v3.4.1",
        **hardened("65534:65534", memory="512M"),
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=30d",
        ],
        "configs": [
            {"source": "prometheus", "target": "/etc/prometheus/prometheus.yml"},
            {"source": "rules", "target": "/etc/prometheus/archgw.rules.yml"},
        ],
        "volumes": ["prometheus:/prometheus"],
        "depends_on": {"envoy": {"condition": "service_healthy"}},
        "healthcheck": _healthcheck("CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9090/-/ready"),
    }


def _grafana() -> Json:
    provisioning = "/etc/grafana/provisioning"
    return {
        "profiles": ["prometheus"],
        "image": "grafana/grafana:12.0.1",
        **hardened("472:0", memory="512M"),
        # On loopback, to look at and no more: so there is no password to keep.
        "environment": {
            "GF_AUTH_ANONYMOUS_ENABLED": "true",
            "GF_AUTH_DISABLE_LOGIN_FORM": "true",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_PLUGINS_PREINSTALL_DISABLED": "true",
        },
        "ports": ["127.0.0.1:3000:3000"],
        "configs": [
            {"source": "datasource", "target": f"{provisioning}/datasources/archgw.yml"},
            {"source": "dashboards", "target": f"{provisioning}/dashboards/archgw.yml"},
            {"source": "dashboard", "target": "/etc/grafana/archgw/archgw.json"},
        ],
        "volumes": ["grafana:/var/lib/grafana"],
        "tmpfs": [TMP],
        "depends_on": {"prometheus": {"condition": "service_healthy"}},
        "healthcheck": _healthcheck("CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:3000/api/health"),
    }


def _otel() -> Json:
    return {
        "profiles": ["otel"],
        "image": "otel/opentelemetry-collector:0.127.0",  # of its binary alone: nothing in it could look at its health
        **hardened("10001:10001", memory="256M"),
        "command": ["--config=/etc/otelcol/config.yaml"],
        "configs": [{"source": "otel", "target": "/etc/otelcol/config.yaml"}],
        "networks": ["default", INSIDE],
    }


def _healthcheck(*test: str) -> Json:
    return {"test": list(test), "interval": "10s", "timeout": "5s", "retries": 3, "start_period": "30s"}
