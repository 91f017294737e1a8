"""archgw up --docker: what Docker is asked, where the keys are meanwhile, and what is said where it does not answer.

`docker` is a script that writes down what it is asked and shown; what Compose makes of the file is test_compose's.
"""

import json
import shutil
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from archgw import docker
from archgw.home import Home, Stack
from terminal import Shell, told

KEY = "sk-test-0123456789"
FAKE = f"""\
#!{sys.executable}
import json, os, sys
from pathlib import Path

here = Path(__file__).parent
folder = Path(os.environ.get("ARCHGW_SECRETS", "/nowhere"))
shown = {{one.name: one.read_text() for one in folder.iterdir()}} if folder.name == "secrets" else {{}}
asked = sys.argv[1:]
with (here / "asked").open("a") as file:
    print(json.dumps({{"asked": asked, "secrets": shown, "folder": str(folder), "seen": dict(os.environ)}}), file=file)
answers = json.loads((here / "answers").read_text()) if (here / "answers").exists() else {{}}
for words, (code, out, error) in answers.items():
    if words in " ".join(asked):
        print(out)
        print(error, file=sys.stderr)
        sys.exit(code)
"""


class Docker:
    """The program on the PATH: what it answers to whom, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "docker").write_text(FAKE)
        (folder / "docker").chmod(0o755)

    def answers(self, **by_words: tuple[int, str, str]) -> None:
        (self._folder / "answers").write_text(json.dumps(by_words))

    def asked(self, word: str) -> list[dict[str, Any]]:
        file = self._folder / "asked"
        found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [one for one in found if word in one["asked"]]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("ARCHGW_SECRETS", raising=False)
    (tmp_path / "memory").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "memory"))
    return Shell(tmp_path)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return Docker(tmp_path / "bin")


def compose_file(shell: Shell) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((shell.home.folder / "docker" / "docker-compose.yaml").read_text())
    return found


def test_it_comes_up_where_the_native_stack_would(shell: Shell, engine: Docker) -> None:
    engine.answers(dashboard=(0, "http://127.0.0.1:12001/#key=k", ""))
    config = shell.config()
    result = shell.run("up", "--docker", config)
    (up,) = engine.asked("up")
    file = str(shell.home.folder / "docker" / "docker-compose.yaml")
    assert result.exit_code == 0, result.output
    assert up["asked"] == [
        "compose", "--file", file, "up", "--build", "--detach", "--wait", "--wait-timeout", "300"
    ]  # fmt: skip
    (port,) = compose_file(shell)["services"]["envoy"]["ports"]
    assert f"archgw is up at http://{port.rpartition(':')[0]}" in told(result)
    assert "http://127.0.0.1:12001/#key=k" in told(result)
    assert compose_file(shell)["configs"]["config"] == {"file": config}


def test_the_keys_that_the_config_names_are_files_and_no_more(shell: Shell, engine: Docker) -> None:
    (shell.folder / ".env").write_text("XAI_API_KEY=of-the-dotenv\nOTHER=not asked for\n")
    shell.run("up", "--docker", shell.config())
    (up,) = engine.asked("up")
    assert up["secrets"] == {"OPENAI_API_KEY": KEY, "XAI_API_KEY": "of-the-dotenv"}


def test_no_key_is_on_disk_or_in_what_docker_sees(shell: Shell, engine: Docker) -> None:
    shell.run("up", "--docker", shell.config())
    kept = [path for path in shell.home.folder.rglob("*") if path.is_file() and KEY in path.read_text()]
    assert kept == [] and (shell.home.folder / "docker" / "docker-compose.yaml").is_file()
    assert not [one for one in engine.asked("compose") if KEY in f"{one['asked']}{one['seen']}"]


def test_files_for_the_containers_user_are_in_a_folder_that_is_ours_alone(shell: Shell, engine: Docker) -> None:
    shell.run("up", "--docker", shell.config())
    folder = Path(engine.asked("up")[0]["folder"])
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, folder / "OPENAI_API_KEY")]
    assert folder.parent.parent == shell.folder / "memory" and modes == [0o700, 0o755, 0o444]
    assert stat.S_IMODE((shell.home.folder / "docker").stat().st_mode) == 0o700


def test_a_key_that_is_taken_away_is_not_there_the_next_time(shell: Shell, engine: Docker) -> None:
    config = shell.config()
    shell.run("up", "--docker", config, XAI_API_KEY="of-before")
    shell.run("down", "--now")
    shell.run("up", "--docker", config)
    before, after = (one["secrets"].keys() for one in engine.asked("up"))
    assert before == {"OPENAI_API_KEY", "XAI_API_KEY"} and after == {"OPENAI_API_KEY"}


def test_who_keeps_secrets_in_a_folder_of_his_own_names_it(shell: Shell, engine: Docker) -> None:
    folder = shell.folder / "secrets"
    folder.mkdir()
    (folder / "XAI_API_KEY").write_text("of-the-folder")
    result = shell.run("up", "--docker", shell.config(), ARCHGW_SECRETS=str(folder))
    (up,) = engine.asked("up")
    assert up["folder"] == str(folder) and up["secrets"] == {"XAI_API_KEY": "of-the-folder"}
    assert f"{folder} has no file OPENAI_API_KEY" in told(result)


def test_what_the_config_names_of_the_profiles_is_started(shell: Shell, engine: Docker) -> None:
    shared = "state: {url: redis://redis:6379}\nledger: {url: postgresql://archgw@postgresql/archgw}\n"
    text = "listeners: {egress_traffic: {port: $PORT}}\nllm_providers: [{model: openai/gpt-4o}]\n" + shared
    shell.run("up", "--docker", shell.config(text), PGPASSWORD="of the database")
    (up,) = engine.asked("up")
    assert up["asked"][3:7] == ["--profile", "redis", "--profile", "postgresql"]
    assert up["secrets"] == {"OPENAI_API_KEY": KEY, "PGPASSWORD": "of the database"}


def test_profiles_that_are_asked_for_come_with_those_that_the_config_names(shell: Shell, engine: Docker) -> None:
    text = "listeners: {egress_traffic: {port: $PORT}}\nllm_providers: [{model: openai/gpt-4o}]\n"
    config = shell.config(f"{text}state: {{url: redis://redis:6379}}\n")
    shell.run("up", "--docker", config, COMPOSE_PROFILES="prometheus,redis")
    (up,) = engine.asked("up")
    assert up["asked"][3:8] == ["--profile", "redis", "--profile", "prometheus", "up"]


# -- while it runs, and its end ------------------------------------------------------------------------------------


@pytest.fixture
def contained(shell: Shell, engine: Docker) -> Stack:
    shell.run("up", "--docker", shell.config())
    found = docker.stack(shell.home)
    assert found
    return found


def test_a_second_one_is_not_started(shell: Shell, engine: Docker, contained: Stack) -> None:
    for again in (("up",), ("up", "--docker")):
        result = shell.run(*again, shell.config())
        assert result.exit_code == 1 and f"already running in containers at {contained.url}" in told(result)
    assert len(engine.asked("up")) == 1


def test_its_status_is_asked_in_there(shell: Shell, engine: Docker, contained: Stack) -> None:
    engine.answers(**{"archgw status": (0, "running at ...", "")})
    result = shell.run("status")
    (asked,) = engine.asked("status")
    assert asked["asked"][3:] == ["exec", "-T", "router", "archgw", "status"]
    assert result.exit_code == 0 and "running at ..." in result.output and "in containers" in told(result)


def test_a_container_that_does_not_answer_is_told_of(shell: Shell, engine: Docker, contained: Stack) -> None:
    engine.answers(**{"archgw status": (1, "", 'service "router" is not running')})
    result = shell.run("status", "--json")
    assert result.exit_code == 1 and 'service "router" is not running' in told(result)


@pytest.mark.parametrize("command", ["why", "top"])
def test_what_asks_it_by_its_sockets_is_asked_in_there(shell: Shell, contained: Stack, command: str) -> None:
    result = shell.run(command)
    assert result.exit_code == 1 and f"exec router archgw {command}" in told(result)


def test_its_logs_are_dockers(shell: Shell, contained: Stack) -> None:
    result = shell.run("logs")
    assert result.exit_code == 1 and "docker-compose.yaml logs" in told(result)


def test_agents_are_led_there(shell: Shell, contained: Stack) -> None:
    result = shell.run("cli-agent", "env", "--dry-run")
    assert result.exit_code == 0 and contained.url in result.output


def test_its_end_waits_for_requests_under_way(shell: Shell, engine: Docker, contained: Stack) -> None:
    result = shell.run("down", "--within", "7")
    assert result.exit_code == 0 and f"gateway at {contained.url}" in told(result)
    drained, ended = engine.asked("down")
    assert drained["asked"][3:] == ["exec", "-T", "router", "archgw", "down", "--within", "7"]
    assert ended["asked"][3:] == ["--profile", "*", "down"]
    assert docker.stack(shell.home) is None
    assert "Nothing is running" in told(shell.run("down"))


def test_keys_are_gone_when_it_has_ended(shell: Shell, contained: Stack) -> None:
    (key,) = (shell.folder / "memory").rglob("OPENAI_API_KEY")
    shell.run("down", "--now")
    assert not key.exists()


def test_what_compose_calls_it_is_the_same_whatever_is_set(shell: Shell, engine: Docker) -> None:
    shell.run("up", "--docker", shell.config(), COMPOSE_PROJECT_NAME="mine")
    assert engine.asked("up")[0]["seen"]["COMPOSE_PROJECT_NAME"] == "archgw"


def test_an_image_of_the_users_own_is_not_built(shell: Shell, engine: Docker) -> None:
    shell.run("up", "--docker", shell.config(), ROUTER_IMAGE="registry.example.com/archgw/router:1")
    assert "--build" not in engine.asked("up")[0]["asked"]


def test_a_home_with_a_space_in_its_name_is_quoted(tmp_path: Path) -> None:
    assert docker.command(Home(tmp_path / "my home")).endswith("/my home/docker/docker-compose.yaml'")


def test_its_end_at_once_waits_for_none(shell: Shell, engine: Docker, contained: Stack) -> None:
    shell.run("down", "--now")
    (ended,) = engine.asked("down")
    assert "exec" not in ended["asked"]


def test_what_docker_does_not_end_still_runs(shell: Shell, engine: Docker, contained: Stack) -> None:
    engine.answers(**{"* down": (1, "", "permission denied")})
    result = shell.run("down", "--now")
    assert result.exit_code == 1 and docker.stack(shell.home) == contained


def test_another_config_is_for_a_new_start(shell: Shell, contained: Stack) -> None:
    result = shell.run("reload")
    assert result.exit_code == 1 and "archgw down, then: archgw up --docker" in told(result)


# -- what does not work --------------------------------------------------------------------------------------------


def test_without_docker_it_says_what_to_install(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = shell.run("up", "--docker", shell.config())
    assert result.exit_code == 1 and "there is no docker on the PATH; install Docker Engine" in told(result)


@pytest.mark.parametrize(
    ("asked", "said", "mend"),
    [
        ("version --format", "Cannot connect to the Docker daemon at unix:///x.sock.", "start it (sudo systemctl"),
        ("compose version", "docker: unknown command: docker compose", "with its Compose plugin"),
    ],
    ids=["no engine", "no Compose"],
)
def test_a_docker_that_cannot_is_told_in_its_own_words(
    shell: Shell, engine: Docker, asked: str, said: str, mend: str
) -> None:
    engine.answers(**{asked: (1, "", said)})
    result = shell.run("up", "--docker", shell.config())
    assert result.exit_code == 1 and said in told(result) and mend in told(result)
    assert not engine.asked("up") and not (shell.home.folder / "docker").exists(), "nothing was begun"


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker is not here")
def test_the_real_docker_without_an_engine(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{shell.folder}/nobody.sock")
    result = shell.run("up", "--docker", shell.config())
    assert result.exit_code == 1 and "nobody.sock" in told(result) and "start it" in told(result)


def test_what_docker_could_not_start_is_not_told_to_run(shell: Shell, engine: Docker) -> None:
    engine.answers(**{"--wait": (1, "", "dependency failed to start: container archgw-router-1 is unhealthy")})
    result = shell.run("up", "--docker", shell.config())
    assert result.exit_code == 1 and "Docker did not bring it up" in told(result)
    assert docker.stack(shell.home) is None


def test_what_docker_could_not_start_is_ended_again(shell: Shell, engine: Docker) -> None:
    """Docker would go on starting it, and nobody could: its port is taken, and `archgw down` knows of nothing."""
    engine.answers(**{"--wait": (1, "", "container archgw-router-1 is unhealthy")})
    shell.run("up", "--docker", shell.config())
    told_of, ended = [one["asked"][3:] for one in engine.asked("--profile")]
    assert told_of == ["--profile", "*", "logs", "--tail", "20"] and ended == ["--profile", "*", "down"]
    assert not list((shell.folder / "memory").rglob("OPENAI_API_KEY")), "nor are the keys left"


def test_several_workers_are_refused(shell: Shell, engine: Docker) -> None:
    text = "listeners: {egress_traffic: {port: $PORT}}\nllm_providers: [{model: openai/gpt-4o}]\n"
    config = shell.config(f"{text}state: {{url: redis://redis:6379}}\n")
    result = shell.run("up", "--docker", "--workers", "2", config)
    assert result.exit_code == 1 and "workers: 2: one router service stands beside an Envoy" in told(result)
    assert not engine.asked("up")


def test_a_dashboard_whose_port_is_taken_is_told_before(shell: Shell, engine: Docker) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = "listeners: {egress_traffic: {port: $PORT}}\nllm_providers: [{model: openai/gpt-4o}]\n"
        result = shell.run("up", "--docker", shell.config(f"{text}dashboard: {{port: {port}}}\n"))
    assert result.exit_code == 1 and f"the dashboard cannot listen on 127.0.0.1:{port}" in told(result)
    assert not engine.asked("up")


def test_containers_of_another_home_are_not_replaced(shell: Shell, engine: Docker) -> None:
    listed = [{"Name": "archgw", "Status": "running(3)", "ConfigFiles": "/elsewhere/docker-compose.yaml"}]
    engine.answers(ls=(0, json.dumps(listed), ""))
    result = shell.run("up", "--docker", shell.config())
    assert result.exit_code == 1 and "/elsewhere/docker-compose.yaml, and would be replaced" in told(result)
    assert not engine.asked("up")


def test_those_of_this_one_that_were_left_are_taken_over(shell: Shell, engine: Docker) -> None:
    file = shell.home.folder / "docker" / "docker-compose.yaml"
    engine.answers(ls=(0, json.dumps([{"Name": "archgw", "Status": "exited(1)", "ConfigFiles": str(file)}]), ""))
    assert shell.run("up", "--docker", shell.config()).exit_code == 0


@pytest.mark.parametrize("command", [("status",), ("down",)], ids=["status", "down"])
def test_a_docker_that_has_gone_is_told(
    shell: Shell, contained: Stack, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PATH", str(shell.folder))
    result = shell.run(*command)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "docker" in told(result) and "archgw up" not in told(result)


def test_a_config_that_the_container_could_not_read(shell: Shell, engine: Docker) -> None:
    config = Path(shell.config())
    config.chmod(0o600)
    result = shell.run("up", "--docker", str(config))
    assert result.exit_code == 1 and f"chmod o+r {config}" in told(result) and not engine.asked("up")


def test_a_router_model_that_the_container_would_not_see(
    shell: Shell, engine: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archgw.configs.check_model", lambda _: None)
    text = "listeners: {egress_traffic: {port: $PORT}}\nllm_providers: [{model: openai/gpt-4o}]\n"
    result = shell.run("up", "--docker", shell.config(f"{text}routing: {{model: ./mine}}\n"))
    assert result.exit_code == 1 and "routing.model is a folder of this machine" in told(result)


def test_no_key_is_written_where_nothing_is_in_memory(
    shell: Shell, engine: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(docker, "_SHARED_MEMORY", shell.folder / "nowhere")
    result = shell.run("up", "--docker", shell.config())
    assert result.exit_code == 1 and "ARCHGW_SECRETS=FOLDER archgw up --docker" in told(result)
    assert not engine.asked("up")


def test_containers_run_in_the_background(shell: Shell) -> None:
    assert shell.run("up", "--docker", "--foreground", shell.config()).exit_code == 2
