"""A config as its user wrote it, with a few places changed: the rest of it to the letter."""

import difflib

import pytest
import yaml
from archgw.render.config_text import url_in, variables, with_section, with_url, without

HEAD = "version: v0.1 # first\n\n# what we ask\nllm_providers:\n  - model: openai/gpt-4o # ours\n"


def changed(before: str, after: str) -> list[str]:
    """The lines that differ, as diff tells them."""
    told = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line.rstrip() for line in told if line[0] in "+-"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (HEAD, ["+", "+ state: {url: $R}"]),
        (f"{HEAD}state: {{url: sqlite}} # kept\n", ["- state: {url: sqlite} # kept", "+ state: {url: $R} # kept"]),
        (f"{HEAD}state:\n  url: 'memory' # none\n", ["-   url: 'memory' # none", "+   url: $R # none"]),
        (f"state:\n{HEAD}", ["- state:", "+ state: {url: $R}"]),
        (f"state: {{}}\n\n# next\n{HEAD}", ["- state: {}", "+ state: {url: $R}"]),
    ],
    ids=["absent", "in braces", "in a block", "empty", "empty braces"],
)
def test_the_url_of_a_section(text: str, lines: list[str]) -> None:
    assert changed(text, with_url(text, "state", "$R")) == lines


@pytest.mark.parametrize(
    ("section", "lines"),
    [
        ("ledger: {keep: 9d}", ["- ledger: {keep: 9d}", "+ ledger: {url: $L, keep: 9d}"]),
        ("ledger:\n  keep: 9d # enough\n", ["+   url: $L"]),
    ],
    ids=["in braces", "in a block"],
)
def test_what_else_a_section_says_stays(section: str, lines: list[str]) -> None:
    text = f"{HEAD}{section}\n# the end\n"
    after = with_url(text, "ledger", "$L")
    assert changed(text, after) == lines
    assert url_in(after, "ledger") == "$L" and url_in(text, "ledger") == ""


def test_a_section_is_replaced_and_the_words_above_the_next_stay() -> None:
    text = f"{HEAD}listeners:\n  egress_traffic: {{port: 1}}\n\n# about the cache\ncache: true\n"
    after = with_section(text, "listeners", "listeners: {egress_traffic: {port: 2}}\n")
    assert after == f"{HEAD}listeners: {{egress_traffic: {{port: 2}}}}\n\n# about the cache\ncache: true\n"


MODELS = """\
llm_providers:
  - model: openai/gpt-4o
  - model: ollama/llama3.1 # here
    base_url: http://localhost:11434

  # the other one
  - {model: ollama/qwen, name: q}
"""


@pytest.mark.parametrize(
    ("pool", "left"),
    [
        ("[openai/gpt-4o, ollama/llama3.1]", "[openai/gpt-4o]"),
        ("[llama3.1, gpt-4o]", "[gpt-4o]"),
        ("[gpt-4o, llama3.1, q]", "[gpt-4o, q]"),
        ("\n      - gpt-4o\n      - llama3.1 # local\n      - q", "\n      - gpt-4o # local\n      - q"),
    ],
)
def test_a_model_leaves_the_list_and_every_pool(pool: str, left: str) -> None:
    text = f"{MODELS}routing_preferences:\n  - name: a\n    models: {pool}\n"
    after = without(text, {"ollama/llama3.1": "Not there:"})
    assert after == (
        "llm_providers:\n  - model: openai/gpt-4o\n  # Not there:\n  # - model: ollama/llama3.1 # here\n"
        "  #   base_url: http://localhost:11434\n\n  # the other one\n  - {model: ollama/qwen, name: q}\n"
        f"routing_preferences:\n  - name: a\n    models: {left}\n"
    )


def test_a_model_is_known_by_its_name() -> None:
    head, _, last = MODELS.rpartition("  - {model: ollama/qwen, name: q}\n")
    assert (
        without(MODELS, {"q": "Not there:"}) == f"{head}  # Not there:\n  # - {{model: ollama/qwen, name: q}}\n{last}"
    )


def test_the_variables_that_a_config_names() -> None:
    assert variables("a: $ONE\nb: [{c: '${TWO}'}, $$, 'in $THREE words', $50]\n") == {"ONE", "TWO"}


# -- ways in which YAML is written, too ----------------------------------------------------------------------------

LISTENERS = "listeners: {egress_traffic: {port: 2}}\n"


@pytest.mark.parametrize(
    "section",
    [
        "listeners:\n  - name: egress_traffic\n    port: 1 # a: comment\n",
        "listeners: {egress_traffic: {port: 1}}",
        '"listeners":\n  egress_traffic:\n    port: 1',
        "listeners: &here\n  egress_traffic: {port: 1}\n",
        "listeners:\n",
        "listeners: # none\n",
        "",
    ],
    ids=["a list", "no line break at the end", "quoted key", "anchor", "empty", "a comment alone", "absent"],
)
@pytest.mark.parametrize("after", ["", "\n# größer: 日本\ncache: true\n", "\n...\n"], ids=["end", "more", "mark"])
def test_a_section_is_replaced_however_it_is_written(section: str, after: str) -> None:
    changed = with_section(HEAD + section + after, "listeners", LISTENERS)
    before = yaml.safe_load(HEAD + section + after)
    assert yaml.safe_load(changed) == before | {"listeners": {"egress_traffic": {"port": 2}}}
    assert "# ours\n" in changed and ("größer" in after) == ("größer" in changed)


@pytest.mark.parametrize("url", ["'memory'", "&u memory", ">-\n    memory", "|\n    memory\n"])
def test_an_address_is_replaced_however_it_is_written(url: str) -> None:
    changed = with_url(f"{HEAD}ledger:\n  url: {url}\n  keep: 9d\ncache: true\n", "ledger", "$L")
    assert yaml.safe_load(changed)["ledger"] == {"url": "$L", "keep": "9d"} and yaml.safe_load(changed)["cache"] is True


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{llm_providers: [{model: a/b}]}", "all of it is in braces"),
        (f"{HEAD}cache: &c {{url: x}}\nstate: *c\n", "state is the alias of another place"),
        (f"{HEAD}cache: &c x\nstate: {{url: *c}}\n", r"state\.url is the alias of another place"),
    ],
    ids=["braces", "alias", "alias of an address"],
)
def test_what_cannot_be_changed_as_text_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        with_section(with_url(text, "state", "$R"), "state", "state: {}")


def test_a_pool_that_several_use_loses_a_model_once() -> None:
    pools = "routing_preferences:\n  - {name: a, models: &all [gpt-4o, llama3.1]}\n  - {name: b, models: *all}\n"
    after = yaml.safe_load(without(MODELS + pools, {"ollama/llama3.1": "Not there:"}))
    assert [one["models"] for one in after["routing_preferences"]] == [["gpt-4o"], ["gpt-4o"]]
