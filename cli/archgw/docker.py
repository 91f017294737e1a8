"""The stack in containers of this machine: what Docker is asked, and how it is told the keys.

Everything of it is in the home's folder `docker`, which nobody else can enter; what is in there may be read by a
container's user, whoever that is on this machine. Keys are in files in memory alone, and in none of that folder.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from archgw import configs
from archgw.home import Home, Stack, own, write_private
from archgw.machine import DASHBOARD_HOST, CannotStart, why_taken
from archgw.render import compose
from archgw.render.containers import Several, check_alone
from router_service.config import LocalModel
from router_service.plan import Plan
from router_service.providers import PROVIDERS
from router_service.shell.files import SECRETS, variables

_VARIABLE = re.compile(r"\$\{?(\w+)")  # in the config
_EVERY = ("--profile", "*")  # what was started by one is ended, too
_IMAGE = "ROUTER_IMAGE"  # the user's own word for which, instead of one that is built here
_READY_WITHIN = 300  # seconds, of containers that are made, not of images
_ENGINE = "install Docker Engine 25 or newer with its Compose plugin (https://docs.docker.com/engine/install/)"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in there, or none is used


def stack(at: Home) -> Stack | None:
    """What was started in containers and not ended since; whether it is well, Docker knows."""
    try:
        return Stack(**json.loads(_announced(at).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def start(at: Home, config: Path, plan: Plan, started: float) -> Stack:
    """Returns when all of it is well. What Docker prints meanwhile is to be seen; where it does not come up, what has
    begun is ended. Raises CannotStart, NotPrivate."""
    _check_docker("or start the gateway without: archgw up")
    _check_config(config, plan)
    _check_alone(at, plan)
    at.create()
    own(_folder(at))
    checkout = _checkout()
    files = compose.Files(config=str(config), checkout=str(checkout or ""))
    write_private(_file(at), compose.text(configs.complete(config), files))
    secrets = _secrets(config, os.environ)
    asked = filter(
        None, os.environ.get("COMPOSE_PROFILES", "").split(",")
    )  # Compose looks there only without --profile
    profiles = [word for name in dict.fromkeys([*compose.wanted(plan), *asked]) for word in ("--profile", name)]
    build = ["--build"] if checkout and not os.environ.get(_IMAGE) else []
    wait = ["--detach", "--wait", "--wait-timeout", str(_READY_WITHIN)]
    with _ended_if_not_well(at):
        if _compose(at, *profiles, "up", *build, *wait, environment={SECRETS: str(secrets)}).returncode:
            _compose(at, *_EVERY, "logs", "--tail", "20", environment={SECRETS: "."})
            raise CannotStart(
                "Docker did not bring it up; what it and the containers say is above. They are ended again"
            )
    made = Stack(0, str(config), compose.url(plan), started, compose.dashboard_url(plan))
    write_private(_announced(at), json.dumps(asdict(made)))
    return made


def unseen(config: Path) -> list[str]:
    """What is set here, and is not in the folder of secrets that the user has named: no container sees it."""
    folder = os.environ.get(SECRETS)
    names = sorted(_named(config, variables(config))) if folder else []
    return [
        f"{folder} has no file {name}: what is set of it here, the containers do not see"
        for name in names
        if not (Path(folder or "") / name).is_file()
    ]


def stop(at: Home, within: float) -> None:
    """When no request is under way, or after so many seconds. Raises CannotStart where Docker does not end it."""
    _check_docker(f"if it and its containers are gone for good: rm {shlex.quote(str(_announced(at)))}")
    if within:
        run(at, "down", "--within", f"{within:g}")
    _end(at)
    _announced(at).unlink(missing_ok=True)


def _end(at: Home) -> None:
    """Raises CannotStart."""
    if _compose(at, *_EVERY, "down", environment={SECRETS: "."}).returncode:
        raise CannotStart("Docker did not end it; what it says is above")
    with suppress(CannotStart):  # a machine that has no folder in memory
        shutil.rmtree(_in_memory(os.environ) / "secrets", ignore_errors=True)


@contextmanager
def _ended_if_not_well(at: Home) -> Iterator[None]:
    """Else nobody would know of containers that Docker goes on starting again, and that hold the port."""
    try:
        yield
    except (CannotStart, KeyboardInterrupt):
        _end(at)
        raise


def run(at: Home, *command: str) -> subprocess.CompletedProcess[str]:
    """`archgw COMMAND` beside the router service, where its sockets are."""
    return _compose(at, "exec", "-T", "router", "archgw", *command, environment={SECRETS: "."}, told=True)


def command(at: Home) -> str:
    """How a user asks Docker about it; within a container nobody knows where the file is."""
    return "docker compose" if at.sockets else f"docker compose -f {shlex.quote(str(_file(at)))}"


def way_to(at: Home, asked: str) -> str:
    """How to come to a command that asks the gateway, where none runs on the machine itself."""
    if stack(at) is None:
        return "start it: archgw up"
    return f"it is in containers, where its sockets are: {command(at)} exec router archgw {asked}"


def _compose(
    at: Home, *arguments: str, environment: dict[str, str], told: bool = False
) -> subprocess.CompletedProcess[str]:
    command = ["docker", "compose", "--file", str(_file(at)), *arguments]
    seen = _without_keys() | {"COMPOSE_PROJECT_NAME": compose.PROJECT} | environment
    try:
        return subprocess.run(command, env=seen, check=False, text=True, capture_output=told)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"docker: {error.strerror}")


def _without_keys() -> dict[str, str]:
    """What Docker sees of our environment: it needs no key."""
    return {name: text for name, text in os.environ.items() if name not in _key_variables()}


def _check_docker(otherwise: str) -> None:
    docker = shutil.which("docker")
    if docker is None:
        raise CannotStart(f"there is no docker on the PATH; {_ENGINE}, {otherwise}")
    for asked, mend in (
        (("version", "--format", "{{.Server.Version}}"), "start it (sudo systemctl start docker; Docker Desktop)"),
        (("compose", "version", "--short"), _ENGINE),
    ):
        done = subprocess.run([docker, *asked], env=_without_keys(), capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[0]
            raise CannotStart(f"docker {asked[0]} fails: {said}\n  {mend}, {otherwise}")


def _check_alone(at: Home, plan: Plan) -> None:
    """That nobody has what the containers are to have: the dashboard's port, and their names."""
    try:
        check_alone(plan.workers)
    except Several as error:
        raise CannotStart(str(error)) from error
    port = plan.dashboard.port
    if plan.dashboard.enabled and (taken := why_taken(DASHBOARD_HOST, port)):
        raise CannotStart(
            f"the dashboard cannot listen on {DASHBOARD_HOST}:{port}: {taken}. Stop what uses it, or set another"
            " dashboard.port in the config, or dashboard: {enabled: false}"
        )
    listed = _compose(
        at, "ls", "--all", "--filter", f"name={compose.PROJECT}", "--format", "json", environment={}, told=True
    )
    for name, files in _projects(listed.stdout):
        if name == compose.PROJECT and files != str(_file(at)):
            raise CannotStart(
                f"containers of the same name are there, of {files}, and would be replaced. End them first:"
                f" docker compose -p {compose.PROJECT} down"
            )


def _projects(listed: str) -> Iterator[tuple[str, str]]:
    """Their names, and of which files they are. Nothing is known where Compose says it otherwise."""
    with suppress(ValueError, KeyError, TypeError):
        yield from [(one["Name"], one["ConfigFiles"]) for one in json.loads(listed)]


def _check_config(config: Path, plan: Plan) -> None:
    """What a container would not find, or not be let to read."""
    if not config.stat().st_mode & 0o004:
        raise CannotStart(
            f"{config} may be read by you alone, and the container's user is another: put the keys into the environment"
            f" or the .env beside it, then: chmod o+r {config}"
        )
    if isinstance(plan.routing.model, LocalModel):
        raise CannotStart(
            "routing.model is a folder of this machine, which the containers do not see; docs/containers.md says how to"
            " mount it"
        )


def _checkout() -> Path | None:
    """The sources that this archgw is of, where it is installed from them."""
    above = Path(__file__).parents[2]
    return above if (above / "deploy" / "Dockerfile").is_file() else None


def _secrets(config: Path, environment: Mapping[str, str]) -> Path:
    """The folder of keys: that of the user, else one in memory, which is gone when he logs out or the machine ends.

    The folder above is his alone, so its files may be read by the container's user and are by nobody else.
    """
    if environment.get(SECRETS):
        return Path(environment[SECRETS]).resolve()
    above = _in_memory(environment)
    own(above)
    folder = above / "secrets"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    known = variables(config, environment)
    for name in sorted(_named(config, known)):
        file = folder / name
        file.write_text(known[name])
        file.chmod(0o444)
    folder.chmod(0o755)  # whatever the umask
    return folder


def _named(config: Path, known: Mapping[str, str]) -> set[str]:
    """Of what is known, what the config names, what vendors' keys are in, and what a database wants."""
    named = {*_VARIABLE.findall(config.read_text("utf-8")), *_key_variables(), *configs.database_variables(config)}
    return named & known.keys()


def _in_memory(environment: Mapping[str, str]) -> Path:
    own_folder = environment.get("XDG_RUNTIME_DIR")
    if own_folder and Path(own_folder).is_dir():
        return Path(own_folder) / "archgw"
    if _SHARED_MEMORY.is_dir():
        return _SHARED_MEMORY / f"archgw-{os.geteuid()}"
    raise CannotStart(
        "this machine has no folder in memory for the keys, and archgw writes none to the disk: put a file for each,"
        f" called as its variable, into a folder of your own and name it: {SECRETS}=FOLDER archgw up --docker"
    )


def _key_variables() -> set[str]:
    """Those that vendors' keys are usually in, and what stands in for one."""
    known = PROVIDERS.values()
    clouds = {name for one in known if one.cloud for name in one.cloud.variables}
    return clouds | {one.key_variable for one in known if one.key_variable}


def _folder(at: Home) -> Path:
    return at.folder / "docker"


def _file(at: Home) -> Path:
    return _folder(at) / "docker-compose.yaml"


def _announced(at: Home) -> Path:
    return _folder(at) / "stack.json"
