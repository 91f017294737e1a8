"""Reads config.yaml and the .env beside it, and looks which clouds' credentials the machine has."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from router_service.config import OTLP, Clouds, Config, ConfigErrors, Mistake, Place, parse, parse_dotenv
from router_service.providers import PROVIDERS
from router_service.providers.provider import Cloud

SECRETS = "ARCHGW_SECRETS"  # the folder of a container's secrets


@dataclass(frozen=True, slots=True)
class Source:
    """All that a config is made of, as it was read: the same source is the same config, whatever becomes of the files.

    `variables` holds keys; so may `text`.
    """

    file: str
    text: str = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    clouds: Clouds
    warnings: tuple[str, ...] = ()  # about the files themselves

    def config(self) -> Config:
        """Raises ConfigErrors when it says what cannot be."""
        config = parse(self.text, file=self.file, environment=self.variables, clouds=self.clouds)
        return replace(config, warnings=(*config.warnings, *self.warnings))

    def to_json(self) -> str:
        """Without the variables, which a process is given as its environment."""
        clouds = {"found": sorted(self.clouds.found), "lacking": sorted(self.clouds.lacking)}
        return json.dumps({"file": self.file, "text": self.text, "clouds": clouds})

    @classmethod
    def from_json(cls, text: str, variables: Mapping[str, str]) -> "Source":
        kept = json.loads(text)
        clouds = Clouds(frozenset(kept["clouds"]["found"]), frozenset(kept["clouds"]["lacking"]))
        return cls(kept["file"], kept["text"], variables, clouds)


def source(path: Path, environment: Mapping[str, str] | None = None) -> Source:
    """Raises OSError when there is no such file, ConfigErrors when it is no text."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        place = Place(str(path), 1, "")
        raise ConfigErrors([Mistake(place, f"not text in UTF-8 (byte {error.start})", "save it as UTF-8")]) from error
    known = variables(path, environment)
    return Source(str(path), text, known, clouds(known), _open_to_others(path.parent / ".env"))


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Raises OSError when there is no such file, ConfigErrors when it says what cannot be."""
    return source(path, environment).config()


def variables(config: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment, and what the files of $ARCHGW_SECRETS add to it, and then the .env beside the config."""
    known = dict(os.environ if environment is None else environment)
    folder = known.get(SECRETS)
    if folder:
        known = _secrets(Path(folder)) | known
    dotenv = config.parent / ".env"
    if dotenv.is_file():
        known = parse_dotenv(dotenv.read_text("utf-8", "replace")) | known
    return known


def _secrets(folder: Path) -> dict[str, str]:
    """A file for each variable, called as it is: so containers are handed secrets. Other files are passed over, as are
    those that cannot be read: what is missed of them is missed by name."""
    found = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.isidentifier() and path.is_file():
            with suppress(OSError):
                found[path.name] = path.read_text("utf-8", "replace").strip()
    return found


def _open_to_others(dotenv: Path) -> tuple[str, ...]:
    """A group may be the owner's own, as it is on many systems; what everybody may do is never meant."""
    may = {0o004: "read", 0o002: "change"}
    mode = dotenv.stat().st_mode if dotenv.is_file() else 0
    told = " and ".join(word for bit, word in may.items() if mode & bit)
    return (
        (f"{dotenv}: everybody on this machine may {told} it, and the keys in it: chmod 600 {dotenv}",) if told else ()
    )


def clouds(environment: Mapping[str, str]) -> Clouds:
    """Seen at once and the same each time: nobody is asked, and nothing is loaded."""
    home = Path(environment.get("HOME") or Path.home())
    known = [provider.cloud for provider in PROVIDERS.values() if provider.cloud]
    libraries = {cloud.name: cloud.library for cloud in known} | {OTLP: "opentelemetry.exporter.otlp.proto.http"}
    return Clouds(
        found=frozenset(cloud.name for cloud in known if _has(cloud, environment, home)),
        lacking=frozenset(name for name, library in libraries.items() if not _is_installed(library)),
    )


def _has(cloud: Cloud, environment: Mapping[str, str], home: Path) -> bool:
    named = any(environment.get(name, "").strip() for name in cloud.variables)
    return named or any((home / file).is_file() for file in cloud.files)


def _is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # not even the package that it is part of
        return False
