"""What is applied with kubectl: by the schemas of its kinds, and by Envoy itself, once it is where it is meant to be.

What Istio and Envoy Gateway make of a patch is done here as their sources say it; no cluster runs.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from archgw import configs
from archgw.machine import ca_file, refusal
from archgw.mesh_check import whole
from archgw.render.envoy_pieces import Place
from archgw.render.mesh import SITES, TARGETS
from archgw.render.mesh.foreign import managers, read
from archgw.render.mesh.fragments import PREFIX, fragments
from archgw.render.mesh.manifests import text
from crds import valid

ROOT = Path(__file__).parent.parent
PLACE = Place(prefix=PREFIX, ca_file=ca_file())
PLAN = configs.complete(ROOT / "config.yaml")
HOST = "llm.example.com"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

Json = dict[str, Any]


def rendered(target: Any) -> dict[str, list[Json]]:
    """By file, its documents."""
    files = TARGETS[target](fragments(PLAN, PLACE), PLAN, SITES[target])
    return {name: list(yaml.safe_load_all(content)) for name, content in files.items()}


ISTIO, GATEWAY, BEHIND = rendered("istio"), rendered("envoy-gateway"), rendered("gateway-api")
OF_KINDS = [  # a Deployment's schema is Kubernetes' own; of ours there is only a patch
    document
    for files in (ISTIO, GATEWAY, BEHIND)
    for documents in files.values()
    for document in documents
    if document["kind"] != "Deployment"
]


@pytest.mark.parametrize("document", OF_KINDS, ids=lambda one: f"{one['apiVersion']} {one['kind']}")
def test_a_manifest_is_what_its_published_schema_says(document: Json) -> None:
    assert valid(document) == []
    assert valid(document | {"spec": document["spec"] | {"specs": 1}}) != [], "a field that nobody knows is seen"


def test_words_that_yaml_takes_for_yes_and_no_stay_words() -> None:
    written = text("A title.", [{"n": "no", "on": ["y", "off", "plain"]}])
    assert written == '# A title.\n---\n"n": "no"\n"on":\n- "y"\n- "off"\n- plain\n'


# -- in its place ---------------------------------------------------------------------------------------------------


def made(virtual_host: str, router: str = "envoy.filters.http.router") -> Json:
    """A bootstrap such as either makes of a Gateway for one host; TLS is left out, for it wants certificates."""
    manager = {
        "@type": MANAGER,
        "stat_prefix": "https-443",
        "use_remote_address": True,
        "http_filters": [
            {
                "name": "envoy.filters.http.cors",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"},
            },
            {
                "name": router,
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            },
        ],
        "route_config": {
            "name": "routes",
            "virtual_hosts": [
                {
                    "name": virtual_host,
                    "domains": [HOST],
                    "routes": [{"name": "nothing", "match": {"prefix": "/"}, "direct_response": {"status": 404}}],
                }
            ],
        },
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    listener = {
        "name": "tcp-443",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 10443}},
        "filter_chains": [{"filters": filters}],
    }
    return {"bootstrap_extensions": [], "static_resources": {"listeners": [listener], "clusters": []}}


def by_istio(envoy_filter: Json, bootstrap: Json) -> Json:
    """Its patches, in order; listeners are added when those that are there have been patched."""
    static, added = bootstrap["static_resources"], []
    manager = next(managers(static["listeners"][0]))
    for one in envoy_filter["spec"]["configPatches"]:
        patch = one["patch"]
        match one["applyTo"], patch["operation"]:
            case "BOOTSTRAP", "MERGE":
                bootstrap["bootstrap_extensions"] += patch["value"]["bootstrap_extensions"]
            case "LISTENER", "ADD":
                added.append(patch["value"])
            case "CLUSTER", "ADD":
                static["clusters"].append(patch["value"])
            case "HTTP_FILTER", "INSERT_BEFORE":
                before = one["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"]
                at = [filter["name"] for filter in manager["http_filters"]].index(before)
                manager["http_filters"].insert(at, patch["value"])
            case "NETWORK_FILTER", "MERGE":
                manager |= {name: v for name, v in patch["value"]["typed_config"].items() if name != "@type"}
            case "HTTP_ROUTE", "INSERT_FIRST":
                wanted = one["match"]["routeConfiguration"]["vhost"]["name"]
                (host,) = (h for h in manager["route_config"]["virtual_hosts"] if h["name"] == wanted)
                host["routes"].insert(0, patch["value"])
            case other:
                raise AssertionError(f"no {other}")
    static["listeners"] += added
    return bootstrap


def by_envoy_gateway(policy: Json, proxy: Json, bootstrap: Json) -> Json:
    """Whole resources are added; else what a JSONPath finds is where the pointer begins (RFC 6902, `add`)."""
    static = bootstrap["static_resources"]
    bootstrap["bootstrap_extensions"] += yaml.safe_load(proxy["spec"]["bootstrap"]["value"])["bootstrap_extensions"]
    listener = static["listeners"][0]
    of = {
        "envoy.config.listener.v3.Listener": (listener["name"], listener, static["listeners"]),
        "envoy.config.cluster.v3.Cluster": ("", {}, static["clusters"]),
        "envoy.config.route.v3.RouteConfiguration": (
            "archgw/archgw/https",
            next(managers(listener))["route_config"],
            [],
        ),
    }
    for one in policy["spec"]["jsonPatches"]:
        name, resource, resources = of[one["type"].rpartition("/")[2]]
        operation = one["operation"]
        assert operation["op"] == "add"
        if operation.get("path") == "" and "jsonPath" not in operation:
            assert one["name"] == operation["value"]["name"]
            resources.append(operation["value"])
            continue
        assert one["name"] == name
        pointers = list(located(resource, operation["jsonPath"]))
        assert len(pointers) == 1, operation["jsonPath"]
        put(resource, [*pointers[0], *operation.get("path", "").split("/")[1:]], operation["value"])
    return bootstrap


def located(document: Any, path: str, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where `..field[?(@.name=='x')]`, or =~ for a regular expression, is found: the two forms that we use."""
    found = re.fullmatch(r"\.\.(\w+)\[\?\(@\.name ?(==|=~) ?'(.+)'\)\]", path)
    assert found, path
    field, how, wanted = found.groups()
    if isinstance(document, dict):
        for key, value in document.items():
            if key == field and isinstance(value, list):
                for index, one in enumerate(value):
                    if one["name"] == wanted if how == "==" else re.search(wanted, one["name"]):
                        yield (*at, key, index)
            yield from located(value, path, (*at, key))
    elif isinstance(document, list):
        for index, one in enumerate(document):
            yield from located(one, path, (*at, index))


def put(document: Any, pointer: list[Any], value: Any) -> None:
    for step in pointer[:-1]:
        document = document[int(step)] if isinstance(document, list) else document[step]
    if isinstance(document, list):
        document.insert(int(pointer[-1]), value)
    else:
        document[pointer[-1]] = value


ASSEMBLED = {
    "istio": lambda: by_istio(ISTIO["envoyfilter.yaml"][0], made(f"{HOST}:443")),
    "envoy-gateway": lambda: by_envoy_gateway(
        GATEWAY["envoypatchpolicy.yaml"][0], GATEWAY["envoyproxy.yaml"][0], made("llm_example_com")
    ),
    "envoy-gateway, its older names": lambda: by_envoy_gateway(
        GATEWAY["envoypatchpolicy.yaml"][0], GATEWAY["envoyproxy.yaml"][0], made("archgw/archgw/https/llm_example_com")
    ),
}


@pytest.mark.parametrize("assemble", ASSEMBLED.values(), ids=ASSEMBLED)
def test_what_becomes_of_it_is_in_order_and_envoy_takes_it(assemble: Any, tmp_path: Path) -> None:
    """But for the host, which is the example's: a config for it lists it, or has clients' keys."""
    bootstrap = deepcopy(assemble())
    found = whole.findings(read(bootstrap), fragments(PLAN, PLACE), PLAN)
    assert [one.what for one in found if one.weight != "note"] == [
        f"tcp-443, {bootstrap_host(bootstrap)}: the service refuses what is asked of {HOST}"
    ]
    file = tmp_path / "bootstrap.json"
    file.write_text(json.dumps(bootstrap))
    assert refusal(file) == ""


def bootstrap_host(bootstrap: Json) -> str:
    manager = next(managers(bootstrap["static_resources"]["listeners"][0]))
    name: str = manager["route_config"]["virtual_hosts"][0]["name"]
    return name


# -- the pod ---------------------------------------------------------------------------------------------------------


def test_the_service_is_beside_envoy_as_the_same_user_and_on_no_port() -> None:
    """Its socket opens for its own user alone, and what it says to Envoy holds vendors' keys."""
    pod = ISTIO["pod.yaml"][0]["spec"]["template"]["spec"]
    proxy = GATEWAY["envoyproxy.yaml"][0]["spec"]["provider"]["kubernetes"]["envoyDeployment"]
    for (router,), mounts, volumes, user in (
        (pod["initContainers"], pod["containers"][0]["volumeMounts"], pod["volumes"], 1337),
        (proxy["initContainers"], proxy["container"]["volumeMounts"], proxy["pod"]["volumes"], 65532),
    ):
        assert "ports" not in router and router["restartPolicy"] == "Always"
        assert router["securityContext"]["runAsUser"] == user
        assert mounts == [mount for mount in router["volumeMounts"] if mount["name"] == "archgw-socket"]
        assert {mount["name"] for mount in router["volumeMounts"]} == {volume["name"] for volume in volumes}
        assert PLACE.router_socket in router["args"]


def test_every_vendor_has_its_service_entry_and_this_machine_has_none() -> None:
    hosts = {host for one in ISTIO["hosts.yaml"] if one["kind"] == "ServiceEntry" for host in one["spec"]["hosts"]}
    assert hosts == {one.address.host for one in PLAN.candidates} - {"localhost"}


def test_no_key_and_no_variable_of_one_is_in_any_of_it() -> None:
    written = json.dumps([ISTIO, GATEWAY, BEHIND])
    assert "API_KEY" not in written
