"""What a reload says is otherwise: each difference in one line, and no key among them."""

import pytest
from archgw.changes import changes
from dialogue import CLAUDE, DEEPSEEK, GPT, THREE, plan_of

OTHER_DEFAULT = THREE.replace(", default: true", "").replace("seek-chat}", "seek-chat, default: true}")
ELSEWHERE = (
    "llm_providers:"
    " [{model: openai/gpt-4o, base_url: 'http://127.0.0.1:8/v2', access_key: other, price: {input: 1, output: 2}}]"
)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (THREE, THREE, []),
        (
            THREE,
            THREE.replace("writing code, models: [claude-sonnet-4-5, deepseek-chat]", "code, models: [gpt-4o-mini]"),
            ["preference “coding”: another description", f"preference “coding”: {GPT}; before: {CLAUDE}, {DEEPSEEK}"],
        ),
        (
            THREE,
            f"{THREE.replace('deepseek-chat]}', 'deepseek-chat], selection_policy: cheapest}', 1)}"
            "routing: {difficulty: auto}\n",
            [
                "preference “coding”: cheapest, by difficulty instead of listed",
                "preference “small talk”: listed, by difficulty instead of listed",
                "routing.difficulty: auto; before: ignore",
            ],
        ),
        (
            THREE.replace("deepseek-chat]}", "deepseek-chat], selection_policy: balanced}", 1),
            THREE.replace("deepseek-chat]}", "deepseek-chat], selection_policy: {prefer: balanced, cost: 2.5}}", 1),
            [
                "preference “coding”: balanced (quality 1, cost 2.5, speed 1) "
                "instead of balanced (quality 1, cost 1, speed 1)"
            ],
        ),
        (
            THREE,
            THREE.replace("small talk", "chat"),
            ["preference “small talk”: no longer there", f"preference “chat”: new, {DEEPSEEK}"],
        ),
        (
            THREE,
            f"{THREE}prompt_cache: {{affinity: false, breakpoints: always}}",
            [
                f"model {label}: prompt_cache: affinity false, breakpoints always;"
                " before: affinity true, breakpoints agents"
                for label in (GPT, CLAUDE, DEEPSEEK)
            ],
        ),
        (THREE, OTHER_DEFAULT, [f"everything else: {DEEPSEEK}; before: {GPT}"]),
        (
            "llm_providers: [{model: openai/gpt-4o}]",
            "llm_providers: [{model: openai/gpt-4.1}]",
            [
                "model openai/gpt-4o: no longer used",
                "model openai/gpt-4.1: new",
                "everything else: openai/gpt-4.1; before: openai/gpt-4o",
                "small, fast work: openai/gpt-4.1; before: openai/gpt-4o",
            ],
        ),
        (
            "llm_providers: [{model: openai/gpt-4o}]",
            ELSEWHERE,
            [
                "model openai/gpt-4o: is asked at http://127.0.0.1:8/v2, no longer at https://api.openai.com/v1",
                "model openai/gpt-4o: another key (config.yaml)",
                "model openai/gpt-4o: another price",
            ],
        ),
        (
            f"{THREE}failover: {{attempts: 2, never: [gpt-4o-mini]}}",
            f"{THREE}routing: {{deadline: 50ms}}",
            [
                "routing.deadline: 0.05; before: 0.1",
                "failover.attempts: 3; before: 2",
                f"failover.never: none; before: {GPT}",
            ],
        ),
        (THREE, f"{THREE}model_aliases: {{mine: gpt-4o-mini}}", [f"alias mine: {GPT}"]),
        (THREE, f"{THREE}state: {{url: 'redis://:secret@h'}}", ["state.url: changed"]),
        (
            THREE,
            f"{THREE}listeners: {{egress_traffic: {{port: 9}}}}",
            ["listeners.egress_traffic.port: 9; before: 12000"],
        ),
        (
            f"{THREE}budgets:\n- {{name: a, at_most: $5, per: day, then: warn}}\n"
            "- {at_most: $9, per: month, then: warn}\n",
            f"{THREE}budgets:\n- {{name: a, at_most: $6, per: day, then: block}}\n"
            "- {at_most: $1, per: session, then: block}\n",
            [
                "budget “$9 a month”: no longer there",
                "budget “a”: block at $6 a day; before: warn at $5 a day",
                "budget “$1 a session”: new, block at $1 a session",
            ],
        ),
        (
            f"{THREE}cache: {{enabled: true}}",
            THREE.replace("chatting", "chatting, cache: {ttl: 1m}") + "cache: {enabled: true, ttl: 1m, tools: true}",
            [
                "preference “small talk”: its answers are kept for 60 s; before: its answers are kept as cache says",
                "cache.ttl: 60.0; before: 3600.0",
                "cache.tools: True; before: False",
            ],
        ),
        (THREE, f"{THREE}telemetry: {{otlp: 'http://h:4318'}}", ["telemetry.otlp: http://h:4318; before: none"]),
    ],
    ids=[
        "nothing",
        "a preference",
        "another policy",
        "another weight",
        "another name",
        "prompt caches",
        "the default",
        "another model",
        "where and how",
        "sections",
        "an alias",
        "what may hold a password",
        "the listener",
        "budgets",
        "what is kept",
        "where it is told",
    ],
)
def test_each_difference_is_one_line(old: str, new: str, lines: list[str]) -> None:
    assert changes(plan_of(old), plan_of(new)) == lines


def test_a_key_that_was_rotated_is_told_and_not_shown() -> None:
    (line,) = changes(plan_of(), plan_of(OPENAI_API_KEY="sk-another"))
    assert line == f"model {GPT}: another key ($OPENAI_API_KEY)"


def test_who_lost_his_key_is_told() -> None:
    text = "llm_providers: [{model: openai/gpt-4o}, {model: xai/grok-4}]"
    lines = changes(plan_of(text, XAI_API_KEY="x"), plan_of(text))
    assert "model xai/grok-4: no longer used" in lines
    assert any(line.startswith("not used: xai/grok-4: $XAI_API_KEY is not set") for line in lines)
