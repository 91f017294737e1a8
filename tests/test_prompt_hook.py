"""Claude Code's prompts, as its hook sees them: /good and /bad go to the gateway, everything else to the model."""

import io
import json
import sys
from typing import Any

import pytest
from archgw import prompt_hook
from test_statusline import _Door, door, http

__all__ = ["door"]  # a fixture
KEPT = {"request": "r", "model": "openai/gpt-4o-mini", "preference": "coding"}


def shown(prompt: Any, url: str, monkeypatch: pytest.MonkeyPatch, answer: Any = KEPT, status: str = "200 OK") -> str:
    _Door.heard, _Door.answer = b"", http(json.dumps(answer).encode(), status=status)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    return prompt_hook.answer({"session_id": "5c9f", "prompt": prompt, "hook_event_name": "UserPromptSubmit"})


def heard() -> Any:
    return json.loads(_Door.heard.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("/good", {"rating": "good"}),
        ("  /good\n", {"rating": "good"}),
        ("/archgw:good", {"rating": "good"}),
        ("/archgw:bad code review", {"rating": "bad", "should_be": "code review"}),
        ("/bad", {"rating": "bad"}),
        ("/bad code review", {"rating": "bad", "should_be": "code review"}),
        ("/bad should be code review", {"rating": "bad", "should_be": "code review"}),
        ('/bad --should-be "code review"', {"rating": "bad", "should_be": "code review"}),
        ("/bad --should-be=openai/gpt-4.1", {"rating": "bad", "should_be": "openai/gpt-4.1"}),
        ("/unrate", {"rating": None, "should_be": None}),
        ("/unrate it", {"rating": None, "should_be": None}),
    ],
)
def test_a_command_is_feedback_about_the_last_answer_of_its_session(
    door: str, monkeypatch: pytest.MonkeyPatch, prompt: str, said: dict[str, Any]
) -> None:
    monkeypatch.setenv("ARCHGW_CLIENT_KEY", "archgw-5e5e")
    assert "openai/gpt-4o-mini (coding)" in shown(prompt, door, monkeypatch)
    assert heard() == {"request": "last", "session": "5c9f/", **said}
    assert _Door.heard.startswith(b"POST /v1/feedback HTTP/1.1\r\n") and b"x-arch-key: archgw-5e5e\r\n" in _Door.heard


@pytest.mark.parametrize(
    "prompt", ["good", "/goodness", "/bad-idea", "/other:good", "do /good now", "/help", "", None, 7]
)
def test_everything_else_is_for_the_model(door: str, monkeypatch: pytest.MonkeyPatch, prompt: Any) -> None:
    assert shown(prompt, door, monkeypatch) == "" and _Door.heard == b""


def test_what_was_kept_is_shown(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = KEPT | {"rating": "bad", "should_be": {"preference": "code review"}}
    assert shown("/bad code review", door, monkeypatch, answer) == (
        "archgw: kept, bad, should be the preference code review: openai/gpt-4o-mini (coding). /unrate takes it back"
    )
    assert shown("/unrate", door, monkeypatch) == "archgw: taken back, what you said of openai/gpt-4o-mini (coding)"


def test_what_was_not_kept_says_why_and_is_no_prompt(door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"error": {"message": "archgw: nothing has been answered in this session yet"}}
    assert shown("/good", door, monkeypatch, wrong, "404 Not Found") == (
        "archgw: not kept. nothing has been answered in this session yet"
    )
    assert "the gateway does not answer" in shown("/good", "http://127.0.0.1:9", monkeypatch)


def test_it_blocks_the_prompt_in_the_hooks_own_words(
    door: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(given: bytes) -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        assert prompt_hook.main([]) == 0
        return capsys.readouterr().out

    shown("", door, monkeypatch)
    told = json.loads(run(b'{"prompt": "/good", "session_id": "s"}'))
    assert told["decision"] == "block" and told["reason"].startswith("archgw: kept, good")
    for other in (b'{"prompt": "hello"}', b"[]", b"{", b""):
        assert run(other) == "", "a prompt is never held up"
    _Door.answer = http(b"no json")
    assert run(b'{"prompt": "/good", "session_id": "s"}') == ""
