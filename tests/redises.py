"""A Redis for tests: the real one where it is installed, and one that plays it."""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fakeredis import TcpFakeServer


@contextmanager
def fake_redis() -> Iterator[str]:
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()


def installed() -> bool:
    return shutil.which("redis-server") is not None


class RealRedis:
    """One that can be killed, and started again: it knows nothing any more then."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._folder = Path(tempfile.mkdtemp(prefix="archgw-redis-"))
        self._process: subprocess.Popen[str] | None = None
        self.url = f"redis://127.0.0.1:{port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        ready = next((line for line in self._process.stdout if "Ready to accept connections" in line), "")
        assert ready, "Redis did not start"

    def kill(self) -> None:
        if self._process:
            with self._process as process:
                process.kill()
        self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def real_redis(port: int) -> Iterator[str]:
    redis = RealRedis(port)
    try:
        redis.start()
        yield redis.url
    finally:
        redis.close()
