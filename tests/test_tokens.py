"""An estimate is hardly ever too low, and not much too high: on documents that the costs were not fitted to.

`tokens/counts.json` holds what the real tokenizers make of the documents beside it (tiktoken's o200k_base and
cl100k_base, DeepSeek V3's, mistral-common's tekken 240911, Claude 2's).
"""

import json
import math
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_service import tokens
from router_service.providers import PROVIDERS
from router_service.token_costs import COSTS, VOCABULARIES

FOLDER = Path(__file__).parent / "tokens"
COUNTS: dict[str, dict[str, int]] = json.loads((FOLDER / "counts.json").read_text())
LOWEST, HIGHEST, HIGHEST_MEAN, HIGHEST_OF_MOST = 0.98, 1.7, 1.18, 1.55
TEXT = st.text(st.characters(), max_size=60)


def text_of(document: str) -> str:
    return (FOLDER / f"{document}.txt").read_bytes().decode()


def true_count(document: str, family: str) -> int:
    return math.ceil(max(factor * COUNTS[document][name] for name, factor in tokens.FAMILIES[family].items()))


def test_every_document_is_counted() -> None:
    assert sorted(COUNTS) == sorted(path.stem for path in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("family", tokens.FAMILIES)
def test_an_estimate_is_near_and_not_below(family: str) -> None:
    ratios = {name: tokens.estimate(text_of(name), family=family) / true_count(name, family) for name in COUNTS}
    assert not {name: ratio for name, ratio in ratios.items() if not LOWEST <= ratio <= HIGHEST}
    assert mean(ratios.values()) <= HIGHEST_MEAN
    assert sorted(ratios.values())[int(0.95 * len(ratios))] <= HIGHEST_OF_MOST


@pytest.mark.parametrize("family", tokens.FAMILIES)
def test_no_text_is_no_tokens(family: str) -> None:
    assert tokens.estimate(family=family) == tokens.estimate("", "", family=family) == 0


@given(TEXT)
def test_any_text_has_an_estimate(text: str) -> None:
    assert "".join(tokens.pieces(text)) == text
    assert all(feature in COSTS for feature in tokens.count([text]))
    estimates = [tokens.estimate(text, family=family) for family in tokens.FAMILIES]
    assert all((estimate > 0) == bool(text) for estimate in estimates)
    assert max(estimates) == tokens.estimate(text)


@given(st.lists(TEXT, max_size=5))
def test_texts_together_are_about_their_sum(texts: list[str]) -> None:
    apart, together = sum(map(tokens.estimate, texts)), tokens.estimate(*texts)
    assert together <= apart + 1
    assert apart <= 2 * together + len(texts)


@given(TEXT, TEXT)
def test_more_text_is_hardly_ever_less(first: str, second: str) -> None:
    """Where two texts meet, pieces may melt into one: a word begun and ended is less than its halves."""
    assert tokens.estimate(first + second) >= 0.5 * tokens.estimate(first) - 2


@pytest.mark.parametrize(
    ("text", "fewest", "most"),
    [
        ("a" * 10_000, 1_250, 8_000),
        (" " * 10_000, 40, 4_000),
        ("-" * 10_000, 80, 4_000),
        ("\n" * 10_000, 40, 10_000),
        ("\x00" * 1_000, 250, 3_000),
        ("\ud800" * 100, 100, 500),
        ("🙂" * 1_000, 1_000, 4_500),
        ("7" * 9_000, 3_000, 14_000),
    ],
    ids=["letters", "spaces", "dashes", "newlines", "nulls", "surrogates", "emoji", "digits"],
)
def test_what_is_hostile_is_bounded(text: str, fewest: int, most: int) -> None:
    assert fewest <= tokens.estimate(text) <= most


def test_every_cost_is_given_for_every_vocabulary() -> None:
    assert all(len(costs) == len(VOCABULARIES) and min(costs) >= 0 for costs in COSTS.values())


def test_vendors_count_in_families_that_exist() -> None:
    named = {
        name
        for provider in PROVIDERS.values()
        for name in (provider.tokenizer, *(facts.tokenizer for facts in provider.models))
    }
    assert named - {""} <= set(tokens.FAMILIES)


@pytest.mark.parametrize(
    ("provider", "model", "family"),
    [
        ("openai", "gpt-4-turbo", "cl100k"),
        ("openai", "gpt-4.1", "o200k"),
        ("openai", "gpt-9", "o200k"),
        ("anthropic", "claude-sonnet-4-5", "claude"),
        ("anthropic", "claude-opus-4-8", "claude-4.7"),
        ("anthropic", "claude-nobody-knows", "claude-4.7"),
        ("amazon_bedrock", "us.anthropic.claude-3-haiku", "claude"),
        ("mistral", "mistral-large-2411", "any"),
        ("together", "moonshotai/Kimi-K2", "any"),
    ],
)
def test_a_model_counts_in_its_family(provider: str, model: str, family: str) -> None:
    assert PROVIDERS[provider].tokenizer_of(model) == family
