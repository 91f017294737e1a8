"""A launch in the words of a shell: for `env`, which a shell reads, and for --dry-run, which a person reads."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from archgw.agents.agent import TOKEN, Launch

Shell = Literal["bash", "zsh", "fish"]
_MASK = "***"
_NAME = r"(?:(?<!env_)key|token|secret|password|passwd|credential|authorization|cookie|custom_headers)s?"
_SECRET_NAME = re.compile(rf"(?i){_NAME}$")
_SECRET_PLACE = re.compile(
    rf"""(?i)({_NAME}"?\s*[=:]\s*"?)((?:bearer\s+)?[^\s"',}}]+)"""
)  # of a setting, a JSON member
_KEY = re.compile(r"\b(?:(?:sk|pk|rk|gsk|xai|key|ghp|gho|AIza)[-_][\w-]{8,}|archgw-[0-9a-f]{64})")
_SHORTEST = 8  # letters of a secret that is looked for in other values


def exports(before: Mapping[str, str], after: Mapping[str, str], shell: Shell) -> list[str]:
    """The lines that make one environment of another."""
    gone = sorted(before.keys() - after.keys())
    new = {name: value for name, value in after.items() if before.get(name) != value}
    if shell == "fish":
        return [*(f"set -e {name}" for name in gone), *(f"set -gx {name} {_fish(new[name])}" for name in new)]
    return [*(f"unset {name}" for name in gone), *(f"export {name}={shlex.quote(new[name])}" for name in new)]


def command(arguments: tuple[str, ...], shell: Shell) -> str:
    return " ".join(_fish(word) if shell == "fish" else shlex.quote(word) for word in arguments)


def masked(launch: Launch, before: Mapping[str, str]) -> Launch:
    """Without the user's secrets: by the name of the variable or option, by the look of a key, or known by value."""
    everything = {**before, **launch.environment}
    secrets = [value for name, value in everything.items() if _is_secret(name, value) and len(value) >= _SHORTEST]
    changed = {name: value for name, value in launch.environment.items() if before.get(name) != value}
    environment = {name: _MASK if _is_secret(name, value) else _hide(value, secrets) for name, value in changed.items()}
    arguments = (
        _MASK if option.startswith("-") and _is_secret(option, word) else _hide(word, secrets)
        for option, word in zip(["", *launch.arguments], launch.arguments, strict=False)
    )
    return replace(launch, arguments=tuple(arguments), environment={**launch.environment, **environment})


def _is_secret(name: str, value: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _is_harmless(value)


def _is_harmless(value: str) -> bool:
    """Our own word, and numbers of tokens."""
    return value in ("", TOKEN) or value.isdecimal()


def _hide(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _MASK)
    text = _SECRET_PLACE.sub(lambda found: found[0] if _is_harmless(found[2]) else f"{found[1]}{_MASK}", text)
    return _KEY.sub(_MASK, text)


def _fish(text: str) -> str:
    """In fish's single quotes, only the quote itself and the backslash mean something."""
    if text and shlex.quote(text) == text:
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
