"""Keys as a container is handed them: a folder with a file for each."""

import os
import subprocess
import sys
from pathlib import Path

from router_service.shell.files import load, variables

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
