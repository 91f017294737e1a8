"""The service's log: of an error its kind and its place, never its words."""

import logging
import subprocess
import sys

import pytest
from stack import CODE

from router_service.shell.logs import REQUESTS, Places, place

SECRET = "the words of a prompt"


def broken() -> BaseException:
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        return error


def test_an_exception_is_logged_by_its_kind_and_place() -> None:
    error = broken()
    record = logging.LogRecord("grpc", logging.ERROR, "f.py", 1, "broke", (), (type(error), error, error.__traceback__))
    told = Places("%(message)s").format(record)
    assert told.startswith("broke\nValueError > test_logs.py:") and SECRET not in told


def test_one_that_was_never_raised_has_no_place() -> None:
    assert place(ValueError(SECRET)) == "nowhere"


@pytest.mark.parametrize("error", ["ValueError({!r})", "KeyError({!r})", "type('Odd', (Exception,), {{}})({!r})"])
def test_what_nobody_catches_says_no_words_either(error: str) -> None:
    program = f"from router_service.shell import logs; logs.start(); raise {error.format(SECRET)}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=CODE, check=False)
    assert done.returncode == 1
    assert "<string>:1" in done.stdout and SECRET not in done.stdout + done.stderr


def test_a_request_is_one_object_a_line_and_nothing_beside_it() -> None:
    facts = '{"id": "1"}'
    record = logging.LogRecord(REQUESTS, logging.INFO, "f.py", 1, "%s", (facts,), None)
    assert Places("%(asctime)s %(name)s %(message)s").format(record) == facts
