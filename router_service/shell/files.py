"""Reads config.yaml and the .env beside it."""

import os
from collections.abc import Mapping
from pathlib import Path

from router_service.config import Config, parse, parse_dotenv


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Raises OSError when there is no such file, ConfigErrors when it says what cannot be."""
    known = dict(os.environ if environment is None else environment)
    dotenv = path.parent / ".env"
    if dotenv.is_file():
        known = parse_dotenv(dotenv.read_text("utf-8")) | known
    return parse(path.read_text("utf-8"), file=str(path), environment=known)
