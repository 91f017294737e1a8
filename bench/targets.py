"""A gateway under test: where it is asked, what it is sent, and what its processes use."""

import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bodies

_CPUCLOCK_SCHED = 2  # of linux/posix-timers.h: a process's clock id is made of its pid, and of this


@dataclass(slots=True)
class Target:
    """`pid` is the leader of its session: with it, CPU and memory of all its processes are known. Where there is none,
    `pids` may be those that count.

    `models`, `headers` and `paths` are by mode, where the usual ones do not do. `broken` says, by mode (and
    "<mode> stream"), why it cannot be measured.
    """

    name: str
    url: str
    pid: int | None = None
    pids: tuple[int, ...] = ()
    start_s: float | None = None
    models: dict[str, str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def offers(self, mode: str) -> bool:
        """Whether it has anything to be asked in this mode: a gateway that names its models names them all."""
        return not (self.models or self.headers) or mode in self.models or mode in self.headers

    def full_url(self, mode: str) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{self.path(mode)}"

    def path(self, mode: str) -> str:
        return urlsplit(self.url).path.rstrip("/") + self.paths.get(mode, bodies.PATHS[mode])

    def sent_headers(self, mode: str) -> dict[str, str]:
        return {"content-type": "application/json", **bodies.CREDENTIALS, **self.headers.get(mode, {})}

    def body(self, mode: str, size: int, **options: Any) -> bytes:
        return bodies.body(mode, size, self.models.get(mode, "mock"), **options)

    def request(self, mode: str, body: bytes) -> bytes:
        """The whole HTTP/1.1 request, as bytes."""
        headers = {**self.sent_headers(mode), "host": urlsplit(self.url).netloc, "content-length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path(mode)} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def begin(self, mode: str) -> None:
        """Ask what this mode's session has to have been asked before. Raises ValueError where it is not kept to."""
        if before := bodies.BEFORE.get(mode):
            self._reason(mode, bodies.body(before, 1024, self.models.get(mode, "mock")))
            reason = self._reason(mode, self.body(mode, 1024))
            if reason and "stays with" not in reason:
                raise ValueError(f"{self.name} decides anew in mode {mode}: {reason}")

    def _reason(self, mode: str, body: bytes) -> str:
        """Why a gateway of ours asked whom it asked; empty of another's."""
        request = urllib.request.Request(self.full_url(mode), body, self.sent_headers(mode))
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return str(reply.headers.get("x-arch-reason", ""))
        except OSError as error:
            raise ValueError(str(error)) from error

    # -- its processes ---------------------------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """The target's process, its descendants, and what shares its session."""
        if not self.pid:
            return list(self.pids)
        parents, mine = {}, set()
        for file in Path("/proc").glob("[0-9]*/stat"):
            stat = _stat(file)
            if stat:
                pid = int(file.parent.name)
                parents[pid] = int(stat[1])
                if self.pid in (pid, int(stat[3])):
                    mine.add(pid)
        while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
            mine |= more
        return sorted(mine)

    def cpu_seconds(self) -> float:
        return sum(map(cpu_of, self.processes()))

    def parts(self) -> dict[str, list[int]]:
        """Its processes: Envoy's, the router service's, and the rest of them."""
        parts: dict[str, list[int]] = {"router": [], "envoy": [], "rest": []}
        for pid in self.processes():
            parts[_part(pid)].append(pid)
        return parts

    def memory_mb(self) -> float:
        """Proportional set size: pages shared by several processes count once."""
        return memory_mb(self.processes())


def cpu_of(pid: int) -> float:
    """Seconds that a process has computed for, to the nanosecond; 0 when it has ended."""
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return 0.0


def cpu_of_parts(parts: Mapping[str, Iterable[int]]) -> dict[str, float]:
    return {part: sum(map(cpu_of, pids)) for part, pids in parts.items()}


def memory_mb(pids: Iterable[int]) -> float:
    return sum(map(_pss_kb, pids)) / 1024


def _part(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "rest"
    if Path(command[0].decode(errors="replace")).name.startswith("envoy"):
        return "envoy"
    return "router" if b"router_service" in command else "rest"


def _stat(file: Path) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold spaces; empty when the process has ended."""
    try:
        return file.read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
