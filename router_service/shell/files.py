"""Reads config.yaml and the .env beside it."""

import os
from collections.abc import Mapping
from pathlib import Path

from router_service.config import Config, ConfigErrors, Mistake, Place, parse, parse_dotenv


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Raises OSError when there is no such file, ConfigErrors when it says what cannot be."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        place = Place(str(path), 1, "")
        raise ConfigErrors([Mistake(place, f"not text in UTF-8 (byte {error.start})", "save it as UTF-8")]) from error
    known = dict(os.environ if environment is None else environment)
    dotenv = path.parent / ".env"
    if dotenv.is_file():
        known = parse_dotenv(dotenv.read_text("utf-8", "replace")) | known
    return parse(text, file=str(path), environment=known)
