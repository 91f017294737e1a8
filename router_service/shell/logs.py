"""The service's log: facts, and of an error its kind and its place. What an error says may hold a prompt or a key."""

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

REQUESTS = "archgw.requests"  # what came of each request, an object a line


def start() -> None:
    """Log to standard output, and tell errors that nobody catches there, too."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Places("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    sys.excepthook = _tell


def place(error: BaseException) -> str:
    """File and line of an error, without its message."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"


class Places(logging.Formatter):
    """Of an exception: its kind, and where it went through, the innermost last. A line of JSON is a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if record.name == REQUESTS else super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        kind, error, _ = ei
        frames = traceback.extract_tb(error.__traceback__) if error else []
        return " > ".join([kind.__name__, *(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)])


def _tell(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    logging.getLogger("archgw").critical("%s at %s", kind.__name__, place(error))
