"""A gateway under test: where it is asked, what it is sent, and what its processes use."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bodies


@dataclass(slots=True)
class Target:
    """`pid` is the leader of its session: with it, CPU and memory of all its processes are known.

    `models`, `headers` and `paths` are by mode, where the usual ones do not do. `broken` says, by mode (and
    "<mode> stream"), why it cannot be measured.
    """

    name: str
    url: str
    pid: int | None = None
    start_s: float | None = None
    models: dict[str, str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

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

    # -- its processes ---------------------------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """The target's process, its descendants, and what shares its session."""
        if not self.pid:
            return []
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
        stats = [_stat(Path(f"/proc/{pid}/stat")) for pid in self.processes()]
        ticks = sum(int(stat[11]) + int(stat[12]) for stat in stats if stat)
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Proportional set size: pages shared by several processes count once."""
        return sum(map(_pss_kb, self.processes())) / 1024


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
