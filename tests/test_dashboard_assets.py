"""What the dashboard takes from others is what npm gives for the version that is named."""

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

DASHBOARD = Path(str(files("archgw.dashboard")))
VENDOR = DASHBOARD / "assets" / "vendor"
SUMS = dict(reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())


@pytest.mark.parametrize("name", sorted(path.name for path in VENDOR.iterdir() if path.name != "SHA256SUMS"))
def test_every_file_of_others_has_its_sum(name: str) -> None:
    """After a change of package.json: make assets."""
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == SUMS[name]


def test_versions_are_exact_and_where_they_came_from_is_not_told() -> None:
    wanted = json.loads((DASHBOARD / "package.json").read_text())
    locked = json.loads((DASHBOARD / "package-lock.json").read_text())["packages"]
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        entry = locked[f"node_modules/{name}"]
        assert entry["version"] == version and entry["integrity"].startswith("sha512-") and "resolved" not in entry
    assert "://" not in (DASHBOARD / "package-lock.json").read_text()


def test_the_page_is_small() -> None:
    """All that a browser loads, in bytes."""
    assert sum(path.stat().st_size for path in (DASHBOARD / "assets").rglob("*") if path.is_file()) < 150_000


@pytest.mark.parametrize("file", sorted((DASHBOARD / "assets").glob("*.js")), ids=lambda file: file.name)
def test_a_module_opens_with_its_rule_and_asks_for_modules_that_there_are(file: Path) -> None:
    told = file.read_text()
    assert told.startswith("// ")
    for name in re.findall(r'from "\./([\w.]+)"', told):
        assert (file.parent / name).is_file()
