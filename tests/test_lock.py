"""The lock files: every dependency at one version, in the range of pyproject.toml, with the hashes of its files."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
RUNTIME = [
    *PROJECT["dependencies"],
    *(one for name in ("demo", "bedrock", "vertex", "redis", "otel") for one in EXTRAS[name]),
]
LOCKS = {"requirements.lock": RUNTIME, "requirements-dev.lock": [*RUNTIME, *EXTRAS["dev"]]}


def pinned(lock: str) -> dict[str, list[tuple[Requirement, list[str]]]]:
    """By name: the version, for each kind of Python where they differ, and its hashes."""
    text = "".join(line for line in (ROOT / lock).read_text().splitlines(keepends=True) if not line.startswith("#"))
    found: dict[str, list[tuple[Requirement, list[str]]]] = {}
    for entry in re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip()):
        requirement, *hashes = re.split(r"\s+--hash=", entry.strip())
        parsed = Requirement(requirement)
        found.setdefault(canonicalize_name(parsed.name), []).append((parsed, hashes))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_locked_within_its_range(lock: str) -> None:
    """After a change of the dependencies: make lock."""
    known = pinned(lock)
    for wanted in map(Requirement, LOCKS[lock]):
        if wanted.name == "archgw":  # its own extras
            continue
        versions = known.get(canonicalize_name(wanted.name), [])
        assert versions, f"{wanted.name} is not in {lock}: make lock"
        for locked, _ in versions:
            (only,) = locked.specifier
            assert wanted.specifier.contains(only.version), f"{lock} has {locked}, wanted is {wanted}: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_all_that_is_installed_has_one_version_and_its_hashes(lock: str) -> None:
    known = pinned(lock)
    assert len(known) > 50
    for versions in known.values():
        for locked, hashes in versions:
            assert [only.operator for only in locked.specifier] == ["=="], locked
            assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), locked


def test_tests_run_with_what_users_get() -> None:
    dev = {
        (str(locked.specifier), str(locked.marker))
        for one in pinned("requirements-dev.lock").values()
        for locked, _ in one
    }
    runtime = {
        (str(locked.specifier), str(locked.marker)) for one in pinned("requirements.lock").values() for locked, _ in one
    }
    assert runtime <= dev


@pytest.mark.parametrize("lock", LOCKS)
def test_where_it_was_made_is_in_no_lock(lock: str) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links|file:|@ ", (ROOT / lock).read_text())
