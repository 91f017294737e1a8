"""A Dockerfile as values: stages and their instructions, variables resolved. Only what ours uses; else ValueError."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch

KNOWN = ("ARG", "COPY", "ENTRYPOINT", "ENV", "FROM", "HEALTHCHECK", "LABEL", "RUN", "USER", "WORKDIR")


@dataclass(frozen=True, slots=True)
class Instruction:
    """`line` is its first one in the file, from 1; `words` is what stands behind the keyword."""

    line: int
    keyword: str
    words: str

    def listed(self) -> list[str]:
        """Its words where they are a list in JSON, the form that no shell reads."""
        found = json.loads(self.words[self.words.index("[") :])
        if not all(isinstance(word, str) for word in found):
            raise ValueError(f"line {self.line}: expected strings")
        return list(found)

    def flags(self) -> tuple[dict[str, str], list[str]]:
        """`--name=value`s before the rest."""
        words = shlex.split(self.words)
        count = next((at for at, word in enumerate(words) if not word.startswith("--")), len(words))
        named = (word[2:].partition("=") for word in words[:count])
        return {name: value for name, _, value in named}, words[count:]

    def pairs(self) -> dict[str, str]:
        """Of ENV and LABEL: `name=value`s."""
        return {name: value for name, _, value in (word.partition("=") for word in shlex.split(self.words))}


@dataclass(frozen=True, slots=True)
class Stage:
    base: str
    name: str
    instructions: tuple[Instruction, ...] = field(default_factory=tuple)

    def last(self, keyword: str) -> Instruction:
        return next(one for one in reversed(self.instructions) if one.keyword == keyword)


def stages(text: str, arguments: Mapping[str, str] | None = None) -> list[Stage]:
    """`arguments` go before the defaults of the ARGs that stand before the first FROM."""
    known: dict[str, str] = {}
    found: list[tuple[str, str, list[Instruction]]] = []
    for one in _instructions(text):
        if one.keyword == "FROM":
            base, _, name = _resolved(one.words, known).partition(" AS ")
            found.append((base, name.strip(), []))
        elif found:
            found[-1][2].append(one)
        elif one.keyword == "ARG":
            name, _, default = one.words.partition("=")
            known[name] = (arguments or {}).get(name, default)
        else:
            raise ValueError(f"line {one.line}: {one.keyword} before FROM")
    return [Stage(base, name, tuple(rest)) for base, name, rest in found]


def _instructions(text: str) -> Iterator[Instruction]:
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line
        while whole.endswith("\\"):
            _, more = next(lines)
            whole = whole[:-1] + ("\\" if more.lstrip().startswith("#") else more)
        keyword, _, words = whole.strip().partition(" ")
        if keyword not in KNOWN:
            raise ValueError(f"line {number}: {keyword} is not known here")
        yield Instruction(number, keyword, words.strip())


def _resolved(words: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: known[match[1]], words)


def ignored(path: str, patterns: list[str]) -> bool:
    """By the rules of .dockerignore: the last pattern that is about the path, or a folder above it, decides."""
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    out = False
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        if any(_matches(one, wanted) for one in above):
            out = not pattern.startswith("!")
    return out


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(_matches("/".join(path.split("/")[at:]), pattern[3:]) for at in range(path.count("/") + 1))
    return path.count("/") == pattern.count("/") and all(
        fnmatch(part, wanted) for part, wanted in zip(path.split("/"), pattern.split("/"), strict=True)
    )


def patterns(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
