"""Where the router model's files are, and what tells it from another: vectors of two models cannot be compared."""

import hashlib
from importlib.resources import files
from pathlib import Path

from router_service.config import LocalModel, RemoteModel, Routing, ShippedModel

MODEL = Path(str(files("router_service") / "model"))


def of(routing: Routing) -> str:
    """Of the model that the config asks for; empty where it is an LLM, which tells no vectors. Of one that is in use,
    `Model.seen_as` tells: its files may have changed since.
    """
    match routing.model:
        case RemoteModel():
            return ""
        case LocalModel(folder):
            return fingerprint(Path(folder))
        case ShippedModel(part):
            return fingerprint(MODEL / part)
    return fingerprint(MODEL)


def fingerprint(folder: Path) -> str:
    """By what is in its files now; it takes a tenth of a second."""
    digest = hashlib.sha256()
    for file in sorted([*folder.rglob("*.onnx"), *folder.rglob("*.json")]):
        digest.update(f"{file.relative_to(folder)}\0".encode())
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
