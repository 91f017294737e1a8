"""Where the router model's files are, and what tells it from another: vectors of two models cannot be compared."""

import hashlib
from importlib.resources import files
from pathlib import Path

from router_service.config import LocalModel, RemoteModel, Routing, ShippedModel

MODEL = Path(str(files("router_service") / "model"))

# Files that see the same to the bit as those that shipped before them: what was learned with these still counts.
_SEES_AS = {
    "1c08a049b801e446": "130ba0e730b2f5dc",
    "fd21ae9e3f7af964": "392b3c952ca1f751",  # multilingual alone
    "cbe5dbb220e93530": "af051e75d46d3388",  # english alone
}


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
    found = digest.hexdigest()[:16]
    return _SEES_AS.get(found, found)
