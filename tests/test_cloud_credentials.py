"""Whose credentials stand in for a key: as the config says, as the machine has them, and what is told where not."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from archgw.app import app
from typer.testing import CliRunner

from router_service.config import Clouds, Config, ConfigErrors, Identity, parse, usable
from router_service.plan import plan
from router_service.shell import files
from router_service.shell.files import load

CLAUDE = "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
REGION = {"AWS_REGION": "eu-west-1"}
HERE, NOT_INSTALLED = Clouds(found=frozenset({"aws"})), Clouds(frozenset({"aws"}), frozenset({"aws"}))
OURS = Identity("aws", "bedrock", "eu-west-1")


def read(item: str, environment: dict[str, str] = REGION, clouds: Clouds = HERE) -> Config:
    text = f"llm_providers:\n  - {{model: '{CLAUDE}'{item}}}\n"
    return parse(text, file="config.yaml", environment=environment, clouds=clouds)


@pytest.mark.parametrize(
    ("item", "environment", "clouds", "key", "identity", "missing"),
    [
        ("", REGION, HERE, None, OURS, ""),
        ("", REGION | {"AWS_BEARER_TOKEN_BEDROCK": "k"}, HERE, "k", None, ""),
        (", credentials: aws", REGION | {"AWS_BEARER_TOKEN_BEDROCK": "k"}, HERE, None, OURS, ""),
        (", access_key: $MINE", REGION | {"MINE": "k"}, HERE, "k", None, ""),
        (", access_key: $MINE", REGION, HERE, None, None, "MINE"),
        ("", REGION, Clouds(), None, None, "AWS_BEARER_TOKEN_BEDROCK"),
        ("", REGION, NOT_INSTALLED, None, None, "AWS_BEARER_TOKEN_BEDROCK"),
        ("", {}, HERE, None, None, "AWS_REGION"),
        (", credentials: aws", REGION, Clouds(), None, OURS, ""),
        (", base_url: 'http://proxy.test'", REGION, HERE, None, None, ""),
        (", base_url: 'http://proxy.test', credentials: aws", REGION, HERE, None, OURS, ""),
        (", base_url: 'http://proxy.test', credentials: aws", {}, HERE, None, None, "AWS_REGION"),
        (
            ", base_url: 'https://vpce-1.bedrock-runtime.us-east-2.vpce.amazonaws.com', credentials: aws",
            {},
            HERE,
            None,
            Identity("aws", "bedrock", "us-east-2"),
            "",
        ),
        (
            ", base_url: 'https://bedrock-mantle.us-west-2.api.aws', credentials: aws",
            REGION,
            HERE,
            None,
            Identity("aws", "bedrock-mantle", "us-west-2"),
            "",
        ),
    ],
    ids=[
        "no key, but credentials",
        "a key goes first",
        "unless credentials are written",
        "a key of one's own",
        "a key that was asked for is not stepped in for",
        "neither",
        "no library",
        "no region",
        "written: a role is not to be seen",
        "another address gets nothing unasked",
        "but asked",
        "and signs for a region",
        "the address tells the region",
        "and the service",
    ],
)
def test_who_proves_a_request(
    item: str, environment: dict[str, str], clouds: Clouds, key: str | None, identity: Identity | None, missing: str
) -> None:
    (entry,) = read(item, environment, clouds).providers
    found = entry.access_key.value if entry.access_key else None
    assert (found, entry.identity, entry.missing_key) == (key, identity, missing)


PLACE = {"GOOGLE_CLOUD_PROJECT": "ours", "GOOGLE_CLOUD_LOCATION": "global"}
INSIDE = "/v1/projects/ours/locations/global/publishers/anthropic/models"


@pytest.mark.parametrize(
    ("item", "environment", "address", "root", "missing"),
    [
        ("", PLACE, "https://aiplatform.googleapis.com", INSIDE, ""),
        (", base_url: 'http://proxy.test'", PLACE, "http://proxy.test", INSIDE, ""),
        (", base_url: 'http://proxy.test/claude'", {}, "http://proxy.test/claude", None, ""),
        ("", PLACE | {"GOOGLE_CLOUD_PROJECT": ""}, "", None, "GOOGLE_CLOUD_PROJECT"),
        (", base_url: 'http://proxy.test'", {}, "http://proxy.test", None, "GOOGLE_CLOUD_PROJECT"),
    ],
    ids=["Google's", "another host", "another path", "no project", "no project at another host"],
)
def test_where_vertex_is(item: str, environment: dict[str, str], address: str, root: str | None, missing: str) -> None:
    text = f"llm_providers: [{{model: vertex/claude-opus-4-8, access_key: $T{item}}}]"
    config = parse(text, file="config.yaml", environment={"T": "t", **environment})
    (entry,) = config.providers
    assert (entry.base_url, entry.missing_key) == (address, missing)
    if root:
        assert plan(config).candidates[0].provider.root("anthropic_messages") == root


def test_what_is_no_part_of_an_address_is_told() -> None:
    with pytest.raises(ConfigErrors, match=re.escape("what $GOOGLE_CLOUD_PROJECT holds is no part of an address")):
        parse(
            "llm_providers: [{model: vertex/claude-opus-4-8, access_key: $T}]",
            file="config.yaml",
            environment={"T": "t", **PLACE, "GOOGLE_CLOUD_PROJECT": "../other"},
        )


@pytest.mark.parametrize(
    ("clouds", "told"),
    [
        (Clouds(), "$AWS_BEARER_TOKEN_BEDROCK is not set, nor are there AWS credentials"),
        (
            NOT_INSTALLED,
            "$AWS_BEARER_TOKEN_BEDROCK is not set (your AWS credentials would do, with a library: "
            "pip install 'archgw[bedrock]')",
        ),
    ],
    ids=["none", "no library"],
)
def test_a_model_without_credentials_is_left_out_and_says_why(clouds: Clouds, told: str) -> None:
    alone = read("", clouds=clouds)
    with pytest.raises(ConfigErrors, match=re.escape(f"{told}, and no other model has its key")):
        usable(alone)
    text = f"llm_providers: [{{model: '{CLAUDE}'}}, {{model: ollama/llama3.1}}]"
    resolved = plan(parse(text, file="config.yaml", environment=REGION, clouds=clouds))
    assert [(item.label, item.reason) for item in resolved.disabled] == [(CLAUDE, told)]


@pytest.mark.parametrize(
    ("text", "clouds", "told"),
    [
        (
            f"{{model: '{CLAUDE}', credentials: aws}}",
            NOT_INSTALLED,
            "AWS credentials need a library; pip install 'archgw[bedrock]'",
        ),
        (f"{{model: '{CLAUDE}', credentials: azure}}", HERE, "expected aws, found 'azure'"),
        (
            f"{{model: '{CLAUDE}', credentials: aws, access_key: $A}}",
            HERE,
            "credentials and access_key exclude each other; keep one of them",
        ),
        ("{model: openai/gpt-4o, credentials: aws}", HERE, "go by a cloud's own credentials; write access_key instead"),
    ],
    ids=["no library", "unknown", "both", "another vendor"],
)
def test_a_mistake_with_credentials(text: str, clouds: Clouds, told: str) -> None:
    with pytest.raises(ConfigErrors, match=re.escape(told)):
        parse(f"llm_providers: [{text}]", file="config.yaml", environment=REGION, clouds=clouds)


@pytest.mark.parametrize(
    ("environment", "file", "found"),
    [
        ({}, "", set()),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, "", {"aws"}),
        ({"AWS_ACCESS_KEY_ID": " "}, "", set()),
        ({"AWS_PROFILE": "work"}, "", {"aws"}),
        ({}, ".aws/credentials", {"aws"}),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "account.json"}, "", {"google"}),
        ({}, ".config/gcloud/application_default_credentials.json", {"google"}),
    ],
)
def test_which_clouds_are_found(tmp_path: Path, environment: dict[str, str], file: str, found: set[str]) -> None:
    if file:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("")
    assert files.clouds({"HOME": str(tmp_path), **environment}) == Clouds(frozenset(found), frozenset())


def test_a_library_that_is_not_there_is_lacking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find(name: str, *more: Any) -> Any:
        return None if name == "botocore" else find_spec(name, *more)

    monkeypatch.setattr(files, "find_spec", find)
    (tmp_path / "config.yaml").write_text(f"llm_providers: [{{model: '{CLAUDE}', credentials: aws}}]")
    with pytest.raises(ConfigErrors, match=r"pip install 'archgw\[bedrock\]'"):
        load(tmp_path / "config.yaml", REGION)


def test_check_says_who_proves_the_requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**REGION, "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    (tmp_path / "config.yaml").write_text(f"llm_providers: [{{model: '{CLAUDE}'}}]")
    printed = CliRunner().invoke(app, ["check", str(tmp_path / "config.yaml")])
    assert printed.exit_code == 0, printed.output
    assert f"{CLAUDE}: AWS credentials for eu-west-1" in printed.output
