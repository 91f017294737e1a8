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


@contextmanager
def real_redis(port: int) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="archgw-redis-"))
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            ready = next((line for line in process.stdout if "Ready to accept connections" in line), "")
            assert ready, "Redis did not start"
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(10)
    shutil.rmtree(folder, ignore_errors=True)
