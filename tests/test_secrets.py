"""Keys as a container is handed them: a folder with a file for each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from router_service.config import usable
from router_service.plan import plan
from router_service.shell import rendered
from router_service.shell.files import load, source, variables

CONFIG = "llm_providers: [{model: openai/gpt-4o, access_key: $OPENAI_API_KEY}]\n"


def test_a_key_is_found_in_its_file(tmp_path: Path) -> None:
    config, secrets = tmp_path / "config.yaml", tmp_path / "secrets"
    config.write_text(CONFIG)
    secrets.mkdir()
    (secrets / "OPENAI_API_KEY").write_text("sk-of-the-file\n")
    (known,) = load(config, {"ARCHGW_SECRETS": str(secrets)}).providers
    assert known.access_key and known.access_key.value == "sk-of-the-file" and not known.missing_key


def test_who_goes_before_whom(tmp_path: Path) -> None:
    """The environment, the files, the .env; as Kubernetes lays them out, with what it needs beside them."""
    real = tmp_path / "secrets" / "..2026"
    real.mkdir(parents=True)
    for name in ("ONE", "TWO", "not a name"):
        (real / name).write_text("of a file")
        (tmp_path / "secrets" / name).symlink_to(real / name)
    (tmp_path / "secrets" / "..data").symlink_to(real)
    (tmp_path / ".env").write_text("TWO=of .env\nTHREE=of .env\n")
    environment = {"ARCHGW_SECRETS": str(tmp_path / "secrets"), "ONE": "of the environment"}
    known = variables(tmp_path / "config.yaml", environment)
    assert {name: known[name] for name in known if name != "ARCHGW_SECRETS"} == {
        "ONE": "of the environment",
        "TWO": "of a file",
        "THREE": "of .env",
    }


def test_a_folder_that_is_not_there_is_told_by_the_key_that_is_missed(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (known,) = load(tmp_path / "config.yaml", {"ARCHGW_SECRETS": str(tmp_path / "nowhere")}).providers
    assert known.missing_key == "OPENAI_API_KEY"


def test_a_service_whose_envoy_was_told_of_all_models_ends_where_a_key_is_missing(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"{CONFIG.rstrip().removesuffix(']')}, {{model: deepseek/deepseek-chat, access_key: $NO_SUCH_KEY}}]"
    )
    options = ["--config", str(config), "--socket", str(tmp_path / "router.sock"), "--all-keys"]
    command = [sys.executable, "-m", "router_service", *options]
    environment = {**os.environ, "OPENAI_API_KEY": "k"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "$NO_SUCH_KEY: not set, and Envoy was told of its models." in done.stderr


# -- a service that is started again, beside an Envoy that was told of what was there before ---------------------------

SEVERAL = """
llm_providers:
  - {model: openai/gpt-4o, access_key: $OPENAI_API_KEY}
  - {model: deepseek/deepseek-chat, access_key: $DEEPSEEK_API_KEY}
  - {model: xai/grok-2, access_key: $XAI_API_KEY}
routing_preferences: [{name: a, description: all of it, models: [gpt-4o, deepseek-chat, grok-2]}]
"""


@pytest.mark.parametrize(
    "later",
    [
        {"OPENAI_API_KEY": "k", "DEEPSEEK_API_KEY": "k"},
        {"OPENAI_API_KEY": "another", "DEEPSEEK_API_KEY": "k", "XAI_API_KEY": "new"},
        {"OPENAI_API_KEY": "k"},
        {},
    ],
    ids=["the same", "one more", "one less", "none"],
)
def test_it_knows_the_chains_that_envoy_was_told_of(tmp_path: Path, later: dict[str, str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(SEVERAL)
    given = source(config, {"OPENAI_API_KEY": "k", "DEEPSEEK_API_KEY": "k"})
    told = plan(usable(given.config()))
    kept = rendered.to_json(given, [candidate.label for candidate in told.candidates])
    config.write_text("llm_providers: [{model: openai/o1}]\n")

    assert rendered.file_of(kept) == config and '"k"' not in kept, "keys are not kept"
    again, models = rendered.from_json(kept, variables(config, later))
    known = plan(usable(rendered.as_then(again.config(), models)))
    assert {chain.name for chain in known.chains.values()} == {chain.name for chain in told.chains.values()}
    assert [one.reason for one in known.disabled] == (
        ["$XAI_API_KEY is not set, or was not when this gateway was started"]
        if "XAI_API_KEY" in later
        else ["$XAI_API_KEY is not set"]
    )
    if "OPENAI_API_KEY" in later:
        assert known.candidates[0].key and known.candidates[0].key.value == later["OPENAI_API_KEY"], "a key may change"


def test_a_service_is_started_with_what_was_rendered(tmp_path: Path) -> None:
    """By the commands of a container; it ends at once, for there is no worker 1."""
    config, told = tmp_path / "config.yaml", tmp_path / "rendered.json"
    config.write_text(SEVERAL)
    environment = {**os.environ, "OPENAI_API_KEY": "k"}
    render = [sys.executable, "-m", "archgw", "render", "envoy", str(config), "--only-usable"]
    files = ["--output", str(tmp_path / "envoy.json"), "--rendered", str(told)]
    subprocess.run([*render, *files], env=environment, check=True)
    assert told.stat().st_mode & 0o777 == 0o600
    config.write_text("no config any more")
    service = [sys.executable, "-m", "router_service", "--config", str(config), "--rendered", str(told)]
    done = subprocess.run(
        [*service, "--socket", str(tmp_path / "s"), "--worker", "1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "numbered from 0 to 0" in done.stderr, "it got as far as that"
