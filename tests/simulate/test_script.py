"""Where a script is found, which turn is played, and what is left alone."""

import pytest
from archgw.simulate.script import Said, cue

TWO = '@@[[{"tool": "ls"}], [{"text": "done"}]]@@'
PLAIN = Said("user", "what is new?")
ANSWER = Said("assistant", "nothing")
CALL = Said("assistant", calls=True)
RESULT = Said("user", result="file.txt")


@pytest.mark.parametrize(
    ("conversation", "steps"),
    [
        pytest.param([Said("user", '@@[{"text": "hi"}]@@')], ({"text": "hi"},), id="one turn"),
        pytest.param([Said("user", '@@"hi"@@')], ({"text": "hi"},), id="a bare string is a text"),
        pytest.param([Said("user", '@@{"text": "hi"}@@')], ({"text": "hi"},), id="a bare step is a turn"),
        pytest.param([Said("user", 'please @@ [{"text": "hi"}] @@ now')], ({"text": "hi"},), id="within words"),
        pytest.param([Said("user", '@@[{"text": "a @@ b"}]@@')], ({"text": "a @@ b"},), id="marks inside JSON"),
        pytest.param([Said("user", TWO)], ({"tool": "ls"},), id="first of two turns"),
        pytest.param([Said("user", TWO), CALL, RESULT], ({"text": "done"},), id="second of two turns"),
        pytest.param([Said("user", TWO), CALL, CALL, RESULT], ({"text": "done"},), id="split calls are one turn"),
        pytest.param([Said("user", TWO), CALL, RESULT, CALL, RESULT], (), id="after the last turn"),
        pytest.param([Said("user", TWO), Said("system", "note"), CALL, RESULT], ({"text": "done"},), id="system"),
        pytest.param([Said("user", TWO), CALL, RESULT, ANSWER, PLAIN], (), id="over after final words"),
        pytest.param([Said("user", TWO), PLAIN], ({"tool": "ls"},), id="more words behind it"),
        pytest.param([Said("user", "<system-reminder>x</system-reminder>\n" + TWO)], ({"tool": "ls"},), id="wrapped"),
        pytest.param([Said("user", f"<system-reminder>{TWO}</system-reminder>")], (), id="in a reminder"),
        pytest.param([Said("user", "@@ -1,3 +1,4 @@ def main():")], (), id="a diff hunk"),
        pytest.param([PLAIN], (), id="no script"),
        pytest.param([], (), id="nothing said"),
        pytest.param([Said("system", TWO), PLAIN], (), id="not from the system prompt"),
    ],
)
def test_the_script_in_the_users_words_decides(conversation, steps):
    assert cue(conversation).steps == steps


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        pytest.param('@@[{"text": hi}]@@', "Expecting value", id="broken JSON"),
        pytest.param('@@[{"txt": "hi"}]@@', "unknown step txt", id="unknown step"),
    ],
)
def test_a_script_that_cannot_be_read_is_told(text, flaw):
    assert flaw in cue([Said("user", text)]).flaw


def test_the_question_is_told_without_the_script():
    assert cue([Said("user", 'say @@["hi"]@@ twice')]).question == "say  twice"


def test_a_tool_loop_without_script_counts_its_turns():
    told = cue([PLAIN, CALL, RESULT])
    assert (told.turn, told.result) == (1, "file.txt")
