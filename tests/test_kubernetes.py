"""What is rendered for Kubernetes: checked against the schemas of its versions, and by what it promises."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import crds
import kubernetes_validate
import pytest
import yaml
from archgw.machine import refusal
from archgw.render import kubernetes
from terminal import Shell, told

from router_service.config import parse
from router_service.decisions import PATHS as DECISIONS
from router_service.dialects import DIALECTS
from router_service.feedback import PATH as FEEDBACK
from router_service.paths import SESSION

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("single", "ha", "dev")
COMPONENTS = ("monitoring", "gateway-api", "external-secrets", "cilium")
VERSIONS = ("1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")  # sidecars as we write them: 1.29
Json = dict[str, Any]


def kubectl() -> str | None:
    return shutil.which("kubectl")


needs_kubectl = pytest.mark.skipif(kubectl() is None, reason="kubectl is not installed")


def built(folder: Path) -> list[Json]:
    """What kustomize makes of a folder."""
    done = subprocess.run([str(kubectl()), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@cache
def overlay(name: str) -> list[Json]:
    return built(FOLDER / "overlays" / name)


def one(objects: list[Json], kind: str, name: str = "archgw") -> Json:
    (found,) = (each for each in objects if each["kind"] == kind and each["metadata"]["name"].startswith(name))
    return found


def pod(objects: list[Json]) -> Json:
    return one(objects, "Deployment")["spec"]["template"]["spec"]


def containers(objects: list[Json]) -> Iterator[Json]:
    yield from (*pod(objects)["initContainers"], *pod(objects)["containers"])


# -- what is checked in --------------------------------------------------------------------------------------------


@needs_kubectl
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_in_this_version_of_kubernetes(version: str) -> None:
    different = {json.dumps(each, sort_keys=True): each for name in OVERLAYS for each in overlay(name)}
    for each in different.values():
        kubernetes_validate.validate(each, version, strict=True)


@needs_kubectl
def test_the_check_finds_a_field_that_is_not_known() -> None:
    wrong = json.loads(json.dumps(one(overlay("single"), "Deployment")))
    wrong["spec"]["template"]["spec"]["initContainers"][0]["restartPolicyy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_no_container_may_more_than_it_must(name: str) -> None:
    """Pod Security's `restricted`, which the namespace enforces, and besides: nothing writable but the mounts."""
    secured = pod(overlay(name))["securityContext"]
    assert secured["runAsNonRoot"] is True and secured["runAsUser"] == 65532
    assert secured["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(overlay(name))["automountServiceAccountToken"] is False
    for container in containers(overlay(name)):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
        }  # fmt: skip
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    labels = one(overlay(name), "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_a_pod_has_the_time_that_its_longest_request_may_take(name: str) -> None:
    (envoy,) = pod(overlay(name))["containers"]
    options = envoy["command"]
    drain = int(options[options.index("--drain-time-s") + 1])
    router = next(each for each in containers(overlay(name)) if each["name"] == "router")
    assert router["command"][router["command"].index("--drain-time") + 1] == str(drain), "the two must agree"
    timeout = 600
    waits = int(envoy["lifecycle"]["preStop"]["exec"]["command"][-1].partition("-ge ")[2].partition(" ")[0])
    assert drain + timeout < waits < pod(overlay(name))["terminationGracePeriodSeconds"]
    assert envoy["livenessProbe"]["terminationGracePeriodSeconds"] < waits, "one that hangs is not waited for"


@needs_kubectl
def test_one_pod_keeps_what_it_knows_on_a_disk_of_its_own() -> None:
    deployment = one(overlay("single"), "Deployment")
    assert deployment["spec"]["replicas"] == 1 and deployment["spec"]["strategy"] == {"type": "Recreate"}
    (data,) = (volume for volume in pod(overlay("single"))["volumes"] if volume["name"] == "data")
    claim = one(overlay("single"), "PersistentVolumeClaim")
    assert data == {"name": "data", "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}


@needs_kubectl
def test_replicas_share_what_they_know() -> None:
    deployment = one(overlay("ha"), "Deployment")
    assert "replicas" not in deployment["spec"], "the autoscaler says how many"
    assert one(overlay("ha"), "HorizontalPodAutoscaler")["spec"]["minReplicas"] == 3
    config = one(overlay("ha"), "ConfigMap")["data"]
    stores = {
        "ARCHGW_REDIS_URL": "rediss://:secret@redis/0",
        "ARCHGW_LEDGER_URL": "postgresql://archgw:secret@db/archgw",
    }
    read = parse(config["config.yaml"], file="config.yaml", environment=stores)
    assert (read.state.url, read.ledger.url) == tuple(stores.values())
    assert one(overlay("ha"), "NetworkPolicy", "archgw-stores")


@needs_kubectl
@pytest.mark.parametrize("name", OVERLAYS)
def test_envoy_takes_what_the_pod_is_given(name: str, tmp_path: Path) -> None:
    """By the very command of the pod, with one key of all."""
    (tmp_path / "config.yaml").write_text(one(overlay(name), "ConfigMap")["data"]["config.yaml"])
    (render,) = (c for c in pod(overlay(name))["initContainers"] if c["name"] == "render")
    python, *words = render["command"]
    files = ("/etc/archgw/config.yaml", "/run/archgw/envoy.json", "/run/archgw/rendered.json")
    command = [sys.executable, *(str(tmp_path / Path(word).name) if word in files else word for word in words)]
    stores = {"ARCHGW_REDIS_URL": "redis://redis/0", "ARCHGW_LEDGER_URL": "postgresql://db/archgw"}
    environment = {**os.environ, **stores, "OPENAI_API_KEY": "k"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert python == "python" and done.returncode == 0, done.stderr
    text = (tmp_path / "envoy.json").read_text()
    assert refusal(tmp_path / "envoy.json") == ""
    assert "openai" in text and "api.anthropic.com" not in text, "the router service knows no model without a key"
    (front, _) = json.loads(text)["static_resources"]["listeners"]
    assert front["address"]["socket_address"]["address"] == "0.0.0.0"


@needs_kubectl
def test_what_is_left_of_the_world_without_names_and_with_them(tmp_path: Path) -> None:
    by_address = one(overlay("single"), "NetworkPolicy", "archgw-vendors")["spec"]["egress"]
    assert [port["port"] for rule in by_address for port in rule["ports"]] == [443]
    blocks = {place["ipBlock"]["cidr"]: place["ipBlock"]["except"] for rule in by_address for place in rule["to"]}
    assert set(blocks["0.0.0.0/0"]) > {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}
    by_name = with_components(tmp_path, "cilium")
    assert {each["metadata"].get("namespace", "archgw") for each in by_name} == {"archgw"}
    names = [each["metadata"]["name"] for each in by_name if each["kind"] == "NetworkPolicy"]
    assert names == ["archgw", "deny-all"], "policies add up: the one by addresses would let all pass"
    allowed = one(by_name, "CiliumNetworkPolicy")["spec"]["egress"][1]["toFQDNs"]
    assert {"matchName": "api.anthropic.com"} in allowed and len(allowed) == 7


def with_components(folder: Path, *names: str) -> list[Json]:
    """The overlay `single` with components, as the README tells users to add them."""
    shutil.copytree(FOLDER, folder / "gateway")
    (_, text, _) = re.split(r"```yaml\n(.*?)```", (FOLDER / "README.md").read_text(), flags=re.DOTALL)
    kustomization = yaml.safe_load(text)
    assert kustomization["components"] == ["gateway/components/monitoring"]
    kustomization["components"] = [f"gateway/components/{name}" for name in names]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return built(folder)


CUSTOM = ("ServiceMonitor", "PrometheusRule", "HTTPRoute", "ExternalSecret", "CiliumNetworkPolicy")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    return with_components(tmp_path_factory.mktemp("all"), *COMPONENTS)


@needs_kubectl
@pytest.mark.parametrize("kind", CUSTOM)
def test_a_custom_resource_is_valid_by_the_schema_of_its_kind(kind: str, everything: list[Json]) -> None:
    document = one(everything, kind)
    assert crds.valid(document) == []
    assert crds.valid(document | {"spec": document["spec"] | {"unheardOf": 1}}), "what is not known is found"


@needs_kubectl
def test_what_is_added_stands_beside_what_it_is_about(everything: list[Json]) -> None:
    """A ServiceMonitor sees the Services of its own namespace."""
    outside = [each["kind"] for each in everything if each["metadata"].get("namespace") != "archgw"]
    assert outside == ["Namespace"]


@needs_kubectl
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here (Debian: prometheus)")
def test_prometheus_takes_the_alerts(everything: list[Json], tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(one(everything, "PrometheusRule")["spec"]))
    command = ["promtool", "check", "rules", str(tmp_path / "rules.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_speak_of_pods() -> None:
    """One that is away is started again; that there is none is told by no series of its own."""
    rules = yaml.safe_load((FOLDER / "components/monitoring/prometheusrule.yaml").read_text())["spec"]["groups"][0]
    by_name = {rule["alert"]: rule for rule in rules["rules"]}
    assert by_name["ArchgwGone"]["expr"].startswith("absent(") and by_name["ArchgwGone"]["labels"] == {
        "severity": "critical"
    }
    assert by_name["ArchgwAway"]["labels"] == {"severity": "warning"}
    for rule in by_name.values():
        said = rule["annotations"]["description"]
        assert "On that machine" not in said
        assert "archgw status" not in said or "-c router -- archgw status" in said


def test_a_pod_that_drains_is_no_alarm() -> None:
    monitor = yaml.safe_load((FOLDER / "components/monitoring/servicemonitor.yaml").read_text())
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["relabelings"] == [
        {
            "sourceLabels": ["__meta_kubernetes_endpointslice_endpoint_conditions_terminating"],
            "regex": "true",
            "action": "drop",
        }
    ]


def test_from_outside_all_is_asked_that_clients_ask_for() -> None:
    route = yaml.safe_load((FOLDER / "components/gateway-api/httproute.yaml").read_text())
    (rule,) = route["spec"]["rules"]
    prefixes = tuple(match["path"]["value"] for match in rule["matches"])
    asked = [path for dialect in DIALECTS.values() for path in dialect.paths] + [*DECISIONS, FEEDBACK, SESSION]
    assert [path for path in asked if not path.startswith(prefixes)] == []


@needs_kubectl
def test_no_other_kind_is_a_custom_one(everything: list[Json]) -> None:
    known = {each["kind"] for name in OVERLAYS for each in overlay(name)}
    assert {each["kind"] for each in everything} - known == set(CUSTOM)


# -- the command ---------------------------------------------------------------------------------------------------

DIGEST = f"sha256:{'0' * 64}"
TWO = """
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY}
  - {model: mistral/small, base_url: "http://llm.models.svc:8000/v1", provider_interface: openai, access_key: $INNER}
"""


def rendered(shell: Shell, folder: Path, text: str, **environment: str | None) -> tuple[Path, str]:
    """The folder, and what the command said."""
    config = folder / "config.yaml"
    config.write_text(text)
    result = shell.run("render", "kubernetes", str(config), "--out", str(folder / "out"), **environment)
    assert result.exit_code == 0, told(result)
    return folder / "out", told(result)


def test_no_key_is_in_any_file(shell: Shell, tmp_path: Path) -> None:
    keys = {"OPENAI_API_KEY": "sk-hunter2", "INNER": "sk-hunter3", "ARCHGW_REDIS_URL": "redis://:hunter4@r"}
    out, _ = rendered(shell, tmp_path, TWO + "state: {url: $ARCHGW_REDIS_URL}\n", **keys)
    for path in (path for path in out.rglob("*") if path.is_file()):
        assert "hunter" not in path.read_text(), path
    wanted = {"OPENAI_API_KEY=", "INNER=", "ARCHGW_REDIS_URL="}
    assert wanted <= set((out / "secrets.env.example").read_text().splitlines())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("llm_providers: [{model: openai/gpt-4o-mini, access_key: sk-hunter2}]", "the key of openai/gpt-4o-mini"),
        (TWO + "state: {url: 'redis://:hunter2@redis'}", "state.url"),
        (TWO + "ledger: {url: 'postgresql://me:hunter2@db/archgw'}", "ledger.url"),
    ],
    ids=["key", "state", "ledger"],
)
def test_a_secret_that_the_config_says_itself_is_refused(shell: Shell, tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    result = shell.run("render", "kubernetes", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1 and where in told(result) and "hunter2" not in told(result)
    assert not (tmp_path / "out").exists()


def test_the_example_of_a_secret_names_each_variable_once(shell: Shell, tmp_path: Path) -> None:
    """kubectl refuses one that is named twice."""
    out, _ = rendered(shell, tmp_path, TWO + "state: {url: $ARCHGW_REDIS_URL}\n", ARCHGW_REDIS_URL="redis://r")
    lines = [line for line in (out / "secrets.env.example").read_text().splitlines() if line[0] != "#"]
    assert len(lines) == len(set(lines)) and "ARCHGW_REDIS_URL=" in lines


@needs_kubectl
@pytest.mark.parametrize("name", ["single", "ha"])
def test_stores_that_the_config_names_may_be_reached(shell: Shell, tmp_path: Path, name: str) -> None:
    out, _ = rendered(shell, tmp_path, TWO + "state: {url: 'redis://redis.stores.svc:6379'}\n")
    allowed = one(built(out / "overlays" / name), "NetworkPolicy", "archgw-stores")
    assert [port["port"] for port in allowed["spec"]["egress"][0]["ports"]] == [6379, 5432]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TWO + "state: {url: $R}\nworkers: 4\n", "workers: 4: one router service stands beside an Envoy in containers"),
        ("{llm_providers: [{model: openai/gpt-4o-mini}]}", "write its sections line by line"),
        (TWO + "learning: &l {enabled: false}\nlisteners: *l\n", "listeners"),
    ],
    ids=["workers", "braces", "alias"],
)
def test_what_a_pod_cannot_be_is_told_in_words(shell: Shell, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    command = ["render", "kubernetes", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out")]
    result = shell.run(*command, R="redis://r:6379")
    assert result.exit_code == 1 and said in told(result) and "Traceback" not in told(result)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "local",
    ["llm_providers: [{model: openai/gpt-4o-mini}, {model: ollama/llama3.1}]\n"],
    ids=["in braces"],
)
def test_what_could_not_be_left_out_is_not_said_to_be(shell: Shell, tmp_path: Path, local: str) -> None:
    out, said = rendered(shell, tmp_path, local)
    assert "nobody answers there" in said and "left out" not in said
    assert "ollama/llama3.1" in (out / "base" / "config.yaml").read_text()


def test_what_the_service_asks_at_localhost_is_told(shell: Shell, tmp_path: Path) -> None:
    model = "routing: {model: {base_url: 'http://localhost:8000/v1', name: Arch-Router-1.5B}}\n"
    _, said = rendered(shell, tmp_path, TWO + model + "telemetry: {otlp: 'http://127.0.0.1:4318'}\n")
    for place in ("routing.model", "telemetry.otlp"):
        assert f"{place} is at localhost, which in a pod is the pod itself" in said


@pytest.mark.parametrize(
    ("line", "told_of"),
    [("# access_key: sk-live-hunter2hunter2", True), (f"clients: [{{name: ci, key: '{DIGEST}'}}]", False)],
    ids=["in a comment", "a digest"],
)
def test_what_looks_like_a_key_is_told(shell: Shell, tmp_path: Path, line: str, *, told_of: bool) -> None:
    _, said = rendered(shell, tmp_path, f"{TWO}{line}\n")
    assert ("config.yaml:5 looks like a key" in said) is told_of and "hunter2" not in said


def test_a_model_of_ones_own_is_reached_within_the_cluster_alone(shell: Shell, tmp_path: Path) -> None:
    out, _ = rendered(shell, tmp_path, TWO)
    policies = list(yaml.safe_load_all((out / "base" / "networkpolicy.yaml").read_text()))
    (own,) = (each for each in policies if each["metadata"]["name"] == "archgw-own-models")
    (rule,) = own["spec"]["egress"]
    assert [port["port"] for port in rule["ports"]] == [8000]
    assert "0.0.0.0/0" not in json.dumps(rule["to"])


@pytest.mark.parametrize(
    "models",
    [
        "llm_providers: [{model: ours/llm, base_url: 'https://llm.example.com/v1', provider_interface: openai}]",
        "model_providers: [{model: openai/gpt-4o-mini}]",
    ],
    ids=["nobody plays it", "the other word"],
)
def test_without_simulated_vendors_there_is_no_overlay_for_them(shell: Shell, tmp_path: Path, models: str) -> None:
    out, said = rendered(shell, tmp_path, models)
    assert "no overlay dev" in said
    assert sorted(path.name for path in (out / "overlays").iterdir()) == ["ha", "single"]


def test_a_model_at_localhost_is_left_out(shell: Shell, tmp_path: Path) -> None:
    local = "llm_providers:\n  - model: openai/gpt-4o-mini\n  - model: ollama/llama3.1 # mine\n"
    pools = "routing_preferences: [{name: a, description: all of it, models: [llama3.1, gpt-4o-mini]}]\n"
    out, said = rendered(shell, tmp_path, local + pools)
    assert "ollama/llama3.1 is at localhost, which in a pod is the pod itself: left out" in said
    text = (out / "base" / "config.yaml").read_text()
    assert "  # - model: ollama/llama3.1 # mine\n" in text and "models: [gpt-4o-mini]" in text


def test_one_that_the_config_cannot_do_without_is_told(shell: Shell, tmp_path: Path) -> None:
    local = "llm_providers:\n  - model: openai/gpt-4o-mini\n  - model: ollama/llama3.1\n"
    out, said = rendered(shell, tmp_path, local + "model_aliases: {arch.fast.v1: llama3.1}\n")
    assert "ollama/llama3.1 is at localhost, which in a pod is the pod itself: nobody answers there" in said
    assert "\n  - model: ollama/llama3.1\n" in (out / "base" / "config.yaml").read_text()


@pytest.mark.parametrize("guarded", [True, False])
def test_who_may_ask(shell: Shell, tmp_path: Path, *, guarded: bool) -> None:
    clients = f"clients: [{{name: ci, key: '{DIGEST}'}}]\n" if guarded else ""
    out, said = rendered(shell, tmp_path, TWO + clients)
    listener = yaml.safe_load((out / "base" / "config.yaml").read_text())["listeners"]["egress_traffic"]
    assert listener.get("open", False) is not guarded and listener["address"] == "0.0.0.0"
    assert ("archgw client-key" in said) is not guarded
    (endpoint,) = yaml.safe_load((out / "components/monitoring/servicemonitor.yaml").read_text())["spec"]["endpoints"]
    assert ("authorization" in endpoint) is guarded, "Prometheus needs a key, too"


def test_what_the_service_is_called_is_known_to_it() -> None:
    """A name that is not known is refused, for it may be a stranger's page that led its own name here."""
    config = yaml.safe_load((FOLDER / "base" / "config.yaml").read_text())
    name = yaml.safe_load((FOLDER / "base" / "service.yaml").read_text())["metadata"]["name"]
    hosts = config["listeners"]["egress_traffic"]["hosts"]
    assert {name, f"{name}.{kubernetes.NAME}", f"{name}.{kubernetes.NAME}.svc"} <= set(hosts)
