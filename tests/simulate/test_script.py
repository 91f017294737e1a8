"""Where a script is found, which turn is played, and what is left alone."""

import pytest
from archgw.simulate import anthropic_wire, openai_wire, responses_wire
from archgw.simulate.script import Said, cue, digest

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


PIXELS = "iVBORw0KGgo="
IN_EVERY_DIALECT = {
    "anthropic": anthropic_wire.said(
        {
            "system": "be brief",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what is"},
                        {"type": "text", "text": " this?"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXELS}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "Let me see."},
                        {"type": "tool_use", "id": "1", "name": "look", "input": {}},
                    ],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "a dot\n"}]},
            ],
        }
    ),
    "openai": openai_wire.said(
        {
            "messages": [
                {"role": "system", "content": "be brief"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "what is this?"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXELS}"}},
                    ],
                },
                {"role": "assistant", "content": "Let me see.", "tool_calls": [{"id": "1"}]},
                {"role": "tool", "tool_call_id": "1", "content": "a dot"},
            ]
        }
    ),
    "responses": responses_wire.said(
        {
            "instructions": "be brief",
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "what is this?"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXELS}"},
                    ],
                },
                {"type": "reasoning", "summary": []},
                {"role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
                {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "1", "output": "a dot"},
            ],
        }
    ),
}


@pytest.mark.parametrize("conversation", IN_EVERY_DIALECT.values(), ids=IN_EVERY_DIALECT)
def test_a_digest_is_the_same_in_every_dialect(conversation):
    neutral = [
        Said("user", "what is this?", images=(PIXELS,)),
        Said("assistant", "Let me see.", calls=True),
        Said("user", result="a dot"),
    ]
    assert digest(conversation) == digest(neutral)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([Said("user", "what is thas?"), CALL, RESULT], id="a letter"),
        pytest.param([Said("user", "what is this?"), CALL, Said("user", result="file.tx")], id="a result"),
        pytest.param([Said("user", "what is this?"), CALL, Said("user", "file.txt")], id="words for a result"),
        pytest.param([Said("user", "what is this?", images=(PIXELS,)), CALL, RESULT], id="an image"),
        pytest.param([Said("user", "what is this?"), Said("assistant", "Ok."), RESULT], id="the model's words"),
        pytest.param([Said("user", "what is this?what is this?"), CALL, RESULT], id="a word twice"),
    ],
)
def test_a_digest_tells_whatever_differs(other):
    assert digest(other) != digest([Said("user", "what is this?"), CALL, RESULT])


def test_a_script_asks_for_the_digest_of_the_whole_conversation():
    asked = [Said("user", '@@[[{"tool": "ls"}], [{"digest": true}]]@@'), CALL, RESULT]
    assert cue(asked).digest == digest(asked)
    assert not cue(asked[:1]).digest
