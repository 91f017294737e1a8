from pathlib import Path

import router_service.dialects as dialects
from router_service.dialects import DIALECTS, by_path


def test_every_dialect_is_in_the_table() -> None:
    files = {path.stem for path in Path(dialects.__file__).parent.glob("*.py")} - {"__init__", "dialect"}
    assert files == set(DIALECTS)
    assert all(dialect.name == name for name, dialect in DIALECTS.items())


def test_a_path_names_its_dialect() -> None:
    for dialect in DIALECTS.values():
        assert all(by_path(path) is dialect for path in dialect.paths)
    assert by_path("/v1/messages/count_tokens") is None
