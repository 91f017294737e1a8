"""Launching coding agents: whatever the user's settings say, every request goes through the gateway."""

import json
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from archgw.agents import AGENTS
from archgw.agents.agent import Launch, Situation, option, past_proxies
from archgw.agents.shown import command, exports, masked
from archgw.agents.texts import from_json, from_toml, from_yaml
from dialogue import CLAUDE, GPT, THREE, plan_of

URL = "http://127.0.0.1:12000"
USERS = {"PATH": "/bin", "HOME": "/home/u", "ANTHROPIC_API_KEY": "sk-users", "ANTHROPIC_BASE_URL": "https://elsewhere"}
PLAN = plan_of(f"{THREE}model_aliases: {{claude-mine: deepseek-chat}}\n")
OWN_LOGIN = plan_of("llm_providers: [{model: anthropic/claude-sonnet-4-5, passthrough_auth: true}]\n")
BOTH = plan_of(
    "llm_providers: [{model: anthropic/claude-sonnet-4-5, passthrough_auth: true}, {model: openai/gpt-4o-mini}]\n"
)


def launch(agent: str, *arguments: str, **situation: Any) -> Launch:
    given = {"url": URL, "plan": PLAN, "environment": USERS, "archgw": "/opt/arch gw/archgw"} | situation
    return AGENTS[agent].prepare(Situation(arguments=arguments, **given))


def test_the_table_says_how_to_install() -> None:
    assert {agent.program: agent.install for agent in AGENTS.values()} == {
        "claude": "npm install -g @anthropic-ai/claude-code",
        "codex": "npm install -g @openai/codex",
        "opencode": "npm install -g opencode-ai",
        "aider": "pip install aider-chat",
        "": "",
    }


@pytest.mark.parametrize("agent", AGENTS)
def test_the_users_arguments_come_last_and_as_they_are(agent: str) -> None:
    assert launch(agent, "-p", "say 'hi'", "--resume").arguments[-3:] == ("-p", "say 'hi'", "--resume")


@pytest.mark.parametrize("agent", AGENTS)
def test_a_variable_of_the_users_is_set(agent: str) -> None:
    made = launch(agent, settings={"MAX_THINKING_TOKENS": 1, "env": {"OTHER": True}})
    assert (made.environment["MAX_THINKING_TOKENS"], made.environment["OTHER"]) == ("1", "true")


@pytest.mark.parametrize("agent", AGENTS)
def test_everything_else_of_the_environment_stays(agent: str) -> None:
    assert launch(agent).environment.items() >= {"PATH": "/bin", "HOME": "/home/u"}.items()


# -- Claude Code ---------------------------------------------------------------------------------------------------

OURS = {
    "ANTHROPIC_BASE_URL": URL,
    "ANTHROPIC_AUTH_TOKEN": "archgw",
    "ANTHROPIC_SMALL_FAST_MODEL": "arch.fast.v1",
    "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",
    "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "200000",
}
LINE = {"type": "command", "command": "'/opt/arch gw/archgw' statusline"}
USER, PROJECT, LOCAL, MANAGED, MANAGED_TOO, *_ = AGENTS["claude"].reads({"HOME": "/home/u"}, Path("/proj"))


def settings_of(launch: Launch) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(option(launch.arguments, "--settings"))
    return parsed


def test_where_claude_code_keeps_its_settings() -> None:
    assert [str(path) for path in (USER, PROJECT, LOCAL, MANAGED)] == [
        "/home/u/.claude/settings.json",
        "/proj/.claude/settings.json",
        "/proj/.claude/settings.local.json",
        "/etc/claude-code/managed-settings.json",
    ]
    moved = AGENTS["claude"].reads({"HOME": "/home/u", "CLAUDE_CONFIG_DIR": "/c"}, Path("/proj"))
    assert moved[0] == Path("/c/settings.json")


def test_our_variables_go_both_ways() -> None:
    """The user's settings file beats the environment; --settings beats both."""
    made = launch("claude")
    assert settings_of(made) == {"env": OURS, "statusLine": LINE}
    assert made.environment == {"PATH": "/bin", "HOME": "/home/u", **OURS}
    assert made.notes == ()


def test_the_users_key_stays_behind() -> None:
    made = launch("claude")
    assert "ANTHROPIC_API_KEY" not in made.environment
    assert "sk-users" not in str(made)


def test_with_the_clients_own_login_no_token_hides_it() -> None:
    made = launch("claude", plan=OWN_LOGIN)
    assert "ANTHROPIC_AUTH_TOKEN" not in settings_of(made)["env"]
    assert "ANTHROPIC_AUTH_TOKEN" not in made.environment
    assert made.notes == ()


def test_what_a_login_does_not_cover_is_told() -> None:
    (note,) = launch("claude", plan=BOTH).notes
    assert note == (
        f"your own login covers {CLAUDE} alone; what {GPT} answers, first or in its place,"
        " is billed to the keys in your config"
    )


def small(model: str) -> str:
    return json.dumps({"env": {"ANTHROPIC_SMALL_FAST_MODEL": model}})


@pytest.mark.parametrize(
    "situation",
    [
        {"settings": {"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}},
        {"settings": {"env": {"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}}},
        {"settings": {"ANTHROPIC_SMALL_FAST_MODEL": "other", "env": {"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}}},
        {"environment": {**USERS, "ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}},
        {"files": {USER: small("gpt-4o-mini")}},
        {"files": {USER: small("x"), LOCAL: small("gpt-4o-mini")}},
    ],
    ids=["at the top level", "in env", "env before the top level", "environment", "a file", "the nearer file"],
)
def test_a_variable_of_the_users_replaces_ours(situation: dict[str, Any]) -> None:
    made = launch("claude", **situation)
    assert settings_of(made)["env"] == OURS | {"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}
    assert made.environment["ANTHROPIC_SMALL_FAST_MODEL"] == "gpt-4o-mini"


def test_a_lifted_variable_is_told() -> None:
    (note,) = launch("claude", settings={"ANTHROPIC_SMALL_FAST_MODEL": "gpt-4o-mini"}).notes
    assert note.startswith("ANTHROPIC_SMALL_FAST_MODEL: passed on as environment")


@pytest.mark.parametrize(("value", "text"), [("x", "x"), (True, "true"), (32000, "32000")])
def test_a_variable_is_text(value: object, text: str) -> None:
    made = launch("claude", settings={"env": {"MAX_THINKING_TOKENS": value}})
    assert settings_of(made)["env"]["MAX_THINKING_TOKENS"] == made.environment["MAX_THINKING_TOKENS"] == text


ELSEWHERE = {"ANTHROPIC_BASE_URL": "https://elsewhere"}


@pytest.mark.parametrize(
    ("situation", "place"),
    [
        ({"settings": {"env": ELSEWHERE}}, "--settings"),
        ({"settings": ELSEWHERE}, "--settings"),
        ({"files": {USER: json.dumps({"env": ELSEWHERE})}}, "/home/u/.claude/settings.json"),
        ({"files": {LOCAL: json.dumps({"env": ELSEWHERE})}}, "/proj/.claude/settings.local.json"),
    ],
    ids=["env", "top", "user", "local"],
)
def test_no_base_url_leads_around_the_gateway(situation: dict[str, Any], place: str) -> None:
    made = launch("claude", **situation)
    assert settings_of(made)["env"]["ANTHROPIC_BASE_URL"] == made.environment["ANTHROPIC_BASE_URL"] == URL
    assert f"ANTHROPIC_BASE_URL=https://elsewhere in {place} is not used" in made.notes[-1]


@pytest.mark.parametrize(
    "situation",
    [
        {"files": {USER: '{"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}'}},
        {"environment": {"CLAUDE_CODE_USE_BEDROCK": "1"}},
        {"settings": {"CLAUDE_CODE_USE_BEDROCK": True}},
    ],
    ids=["a file", "environment", "settings"],
)
def test_no_cloud_leads_around_the_gateway(situation: dict[str, Any]) -> None:
    made = launch("claude", **situation)
    assert settings_of(made)["env"]["CLAUDE_CODE_USE_BEDROCK"] == made.environment["CLAUDE_CODE_USE_BEDROCK"] == "0"
    assert "is not used: requests go through the gateway" in made.notes[-1]


@pytest.mark.parametrize("file", [MANAGED, MANAGED_TOO.with_name("50-gateway.json")])
def test_settings_that_beat_ours_are_told(file: Path) -> None:
    (note,) = launch("claude", files={file: json.dumps({"env": ELSEWHERE})}).notes
    assert note.startswith(f"{file} is managed") and "do NOT go through the gateway" in note


def test_a_settings_file_that_cannot_be_read_is_for_claude_code_to_complain_about() -> None:
    assert launch("claude", files={USER: "{", PROJECT: "[1]", LOCAL: '{"env": 1, "statusLine": 1}'}).notes == ()


def test_other_settings_pass() -> None:
    given = {"model": "opus", "permissions": {"allow": ["Bash"]}}
    assert settings_of(launch("claude", settings=given)) == {**given, "env": OURS, "statusLine": LINE}


OWN_LINE = {"type": "command", "command": "printf 'it''s mine'", "padding": 0}
OTHER_LINE = '{"statusLine": {"type": "command", "command": "x"}}'
COMPOSED = f"{LINE['command']} --after 'printf '\"'\"'it'\"'\"''\"'\"'s mine'\"'\"''"


@pytest.mark.parametrize(
    "situation",
    [
        {"settings": {"statusLine": OWN_LINE}},
        {"files": {USER: json.dumps({"statusLine": OWN_LINE})}},
        {"files": {USER: OTHER_LINE, PROJECT: json.dumps({"statusLine": OWN_LINE})}},
        {"files": {USER: OTHER_LINE}, "settings": {"statusLine": OWN_LINE}},
    ],
    ids=["settings", "a file", "the nearer file", "settings before a file"],
)
def test_the_users_status_line_comes_before_ours(situation: dict[str, Any]) -> None:
    line = settings_of(launch("claude", **situation))["statusLine"]
    assert line == {"type": "command", "command": COMPOSED, "padding": 0}
    shown = subprocess.run(
        ["sh", "-c", line["command"].replace("'/opt/arch gw/archgw' statusline --after", "sh -c")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "its mine"


@pytest.mark.parametrize(
    "line",
    [{"type": "command", "command": "archgw statusline"}, {"type": "other"}, None],
    ids=["ours", "other", "none"],
)
def test_a_status_line_that_is_ours_or_no_command_stays(line: Any) -> None:
    assert settings_of(launch("claude", settings={"statusLine": line})).get("statusLine") == line


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("arch.main.v1", "arch.main.v1"),
        ("claude-sonnet-4-5", "claude-via-archgw/claude-sonnet-4-5"),
        ("claude-mine", "claude-via-archgw/claude-mine"),
        ("claude-opus-5-5", "claude-opus-5-5"),
    ],
)
def test_a_model_that_claude_code_might_name_by_itself_is_named_as_a_choice(model: str, asked: str) -> None:
    assert option(launch("claude", model=model).arguments, "--model") == asked


@pytest.mark.parametrize(("model", "window"), [("gpt-4o-mini", "128000"), (CLAUDE, "200000")])
def test_claude_code_is_told_the_window(model: str, window: str) -> None:
    assert launch("claude", model=model).environment["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == window


@pytest.mark.parametrize(
    ("situation", "arguments", "added"),
    [
        ({}, (), True),
        ({}, ("-p", "hi"), True),
        ({}, ("--permission-mode", "plan"), False),
        ({}, ("--permission-mode=plan",), False),
        ({}, ("--dangerously-skip-permissions",), False),
        ({"settings": {"permissions": {"defaultMode": "plan"}}}, (), False),
        ({"settings": {"permissions": {"allow": ["Bash"]}}}, (), True),
        ({"files": {USER: '{"permissions": {"defaultMode": "plan"}}'}}, (), False),
    ],
    ids=["unsaid", "with a prompt", "said", "said with =", "skipped", "in the settings", "other settings", "in a file"],
)
def test_auto_mode_is_off_unless_the_user_chose(
    situation: dict[str, Any], arguments: tuple[str, ...], added: bool
) -> None:
    made = launch("claude", *arguments, **situation)
    assert (made.arguments[3:5] == ("--permission-mode", "default")) is added


# -- Codex ---------------------------------------------------------------------------------------------------------


def overrides(launch: Launch) -> dict[str, Any]:
    """What Codex makes of the options: each a line of TOML."""
    pairs = zip(launch.arguments, launch.arguments[1:], strict=False)
    return tomllib.loads("\n".join(value for flag, value in pairs if flag == "-c"))


CODEX = {
    "model": "arch.main.v1",
    "model_context_window": 200_000,
    "model_provider": "archgw",
    "model_providers": {
        "archgw": {"name": "archgw", "base_url": f"{URL}/v1", "wire_api": "responses", "env_key": "ARCHGW_TOKEN"}
    },
}


def test_codex_is_told_on_its_command_line() -> None:
    made = launch("codex", "exec", "hi")
    assert overrides(made) == CODEX
    assert made.arguments[-2:] == ("exec", "hi") and made.environment["ARCHGW_TOKEN"] == "archgw"
    assert made.notes == ()


def test_codex_takes_settings_and_a_model() -> None:
    given = {
        "model": "other",
        "model_reasoning_effort": "high",
        "tools": {"web_search": False},
        "mcp_servers": {"docs": {"command": "x", "args": ["a", "ü"], "env": {"a.b": "1"}}},
        "model_provider": "elsewhere",
    }
    made = launch("codex", settings=given, model=GPT)
    assert overrides(made) == given | CODEX | {"model": GPT, "model_context_window": 128_000}
    assert overrides(launch("codex", settings={"model": "best"}))["model"] == "best"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--oss",), "--oss"),
        (("--local-provider=ollama",), "--local-provider"),
        (("-c", "model_provider=openai"), "model_provider=openai"),
        (("-cmodel_provider=openai",), "-cmodel_provider=openai"),
        (("--config=model_providers.archgw.base_url=x",), "--config=model_providers.archgw.base_url=x"),
        (("cloud", "list"), "the command 'cloud'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_leads_codex_around_the_gateway_is_told(arguments: tuple[str, ...], told: str) -> None:
    assert launch("codex", *arguments).notes == (f"{told}: requests do NOT go through the gateway",)


def test_codex_that_is_managed() -> None:
    (managed,) = AGENTS["codex"].reads({}, Path("/proj"))
    (note,) = launch("codex", files={managed: 'model_provider = "corp"\n'}).notes
    assert note.startswith(f"model_provider=corp in {managed}, which goes before everything else: requests do NOT")


@pytest.mark.parametrize("agent", ["codex", "opencode", "aider"])
def test_a_login_that_this_client_does_not_have_is_told(agent: str) -> None:
    assert launch(agent, plan=OWN_LOGIN).notes[-1].startswith(f"{CLAUDE}: passthrough_auth wants Claude Code's login")


# -- opencode ------------------------------------------------------------------------------------------------------


def content(launch: Launch) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(launch.environment["OPENCODE_CONFIG_CONTENT"])
    return parsed


def test_opencode_knows_the_gateway_as_its_one_provider() -> None:
    made = launch("opencode", "run", "hi")
    config = content(made)
    assert made.arguments == ("opencode", "run", "hi") and made.notes == ()
    assert (config["model"], config["small_model"]) == ("archgw/arch.main.v1", "archgw/arch.fast.v1")
    assert config["enabled_providers"] == ["archgw"]
    provider = config["provider"]["archgw"]
    assert provider["options"] == {"baseURL": f"{URL}/v1", "apiKey": "archgw"}
    assert provider["models"][GPT]["limit"] == {"context": 128_000, "output": 16_384}
    assert {"arch.main.v1", "claude-mine", CLAUDE} <= provider["models"].keys()


def test_a_model_of_unknown_size_has_no_limit() -> None:
    plan = plan_of("llm_providers: [{model: ollama/own}]\n")
    assert "limit" not in content(launch("opencode", plan=plan))["provider"]["archgw"]["models"]["ollama/own"]


def test_opencode_takes_settings_and_a_model() -> None:
    own = {"theme": "mine", "model": "x/y", "provider": {"z": {"name": "z"}}, "autoupdate": True}
    environment = {"OPENCODE_CONFIG_CONTENT": json.dumps(own)}
    given = {
        "autoupdate": False,
        "small_model": "archgw/openai/gpt-4o-mini",
        "provider": {"archgw": {"models": {"new": {}}}},
    }
    config = content(launch("opencode", environment=environment, settings=given, model=GPT))
    assert (config["theme"], config["autoupdate"]) == ("mine", False)
    assert (config["model"], config["small_model"]) == (f"archgw/{GPT}", "archgw/openai/gpt-4o-mini")
    assert config["provider"]["z"] == {"name": "z"}
    assert {"new", GPT} <= config["provider"]["archgw"]["models"].keys()


def test_a_model_that_opencode_would_ask_elsewhere_is_told() -> None:
    file = Path("/proj/opencode.jsonc")
    assert file in AGENTS["opencode"].reads({"HOME": "/home/u"}, Path("/proj/deep"))
    text = '{// mine\n"agent": {"review": {"model": "openai/gpt-5"}, "fine": {"model": "archgw/x"},},}'
    page = Path("/proj/.opencode/agent/lint.md")
    assert page.with_name("*.md") in AGENTS["opencode"].reads({"HOME": "/home/u"}, Path("/proj/deep"))
    files = {file: text, page: "---\ndescription: x\nmodel: openai/gpt-5\n---\nLint.\n", Path("/a/b.md"): "# None\n"}
    notes = launch("opencode", "run", "-m", "anthropic/claude", files=files).notes
    assert [note.partition(" is not offered")[0] for note in notes] == [
        "anthropic/claude in the arguments",
        "openai/gpt-5 in agent.review of /proj/opencode.jsonc",
        "openai/gpt-5 in /proj/.opencode/agent/lint.md",
    ]


def test_opencode_that_is_managed() -> None:
    managed = next(p for p in AGENTS["opencode"].reads({}, Path("/proj")) if str(p) == "/etc/opencode/opencode.json")
    (note,) = launch("opencode", files={managed: '{"model": "x/y"}'}).notes
    assert note.startswith(f"{managed} is managed")


# -- aider ---------------------------------------------------------------------------------------------------------

AIDERS = Path("/home/u/.aider.conf.yml")


def options(launch: Launch) -> dict[str, str]:
    names = ("--model", "--weak-model", "--editor-model", "--openai-api-base", "--openai-api-key")
    return {name: value for name in names if (value := option(launch.arguments, name))}


def test_aider_is_told_both_ways() -> None:
    made = launch("aider", "--message", "hi")
    assert options(made) == {
        "--model": "openai/arch.main.v1",
        "--weak-model": "openai/arch.fast.v1",
        "--openai-api-base": f"{URL}/v1",
        "--openai-api-key": "archgw",
    }
    assert made.environment.items() >= {"OPENAI_API_BASE": f"{URL}/v1", "OPENAI_API_KEY": "archgw"}.items()
    assert made.notes == ()


def test_aider_takes_settings_and_a_model() -> None:
    given = {
        "weak-model": f"openai/{CLAUDE}",
        "dark-mode": True,
        "gitignore": False,
        "read": ["a", "b"],
        "map-tokens": 1,
    }
    made = launch("aider", settings=given, model=GPT)
    assert options(made).items() >= {"--model": f"openai/{GPT}", "--weak-model": f"openai/{CLAUDE}"}.items()
    line = " ".join(made.arguments)
    assert "--dark-mode --no-gitignore --read a --read b --map-tokens 1" in line and made.notes == ()


@pytest.mark.parametrize(
    ("text", "weak", "editor"),
    [
        ("weak-model: openai/gpt-4o-mini\n", "openai/gpt-4o-mini", None),
        ("weak-model: anthropic/claude\neditor-model: x/y\n", "openai/arch.fast.v1", "openai/arch.fast.v1"),
        ("weak-model: [not: yaml", "openai/arch.fast.v1", None),
    ],
    ids=["through the gateway", "elsewhere", "unreadable"],
)
def test_what_aiders_file_says_of_other_models_holds_if_it_can(text: str, weak: str, editor: str | None) -> None:
    assert AIDERS in AGENTS["aider"].reads({"HOME": "/home/u"}, Path("/proj"))
    made = options(launch("aider", files={AIDERS: text}))
    assert (made["--weak-model"], made.get("--editor-model")) == (weak, editor)


@pytest.mark.parametrize("arguments", [("--model", "anthropic/claude"), ("--model=gemini/x",), ("--opus",)])
def test_what_leads_aider_around_the_gateway_is_told(arguments: tuple[str, ...]) -> None:
    (note,) = launch("aider", *arguments).notes
    assert "aider asks its vendor by itself" in note and "openai/openai/gpt-4o-mini" in note


# -- any other client ----------------------------------------------------------------------------------------------


def test_any_other_client() -> None:
    made = launch("env", environment={"PATH": "/bin"})
    assert made.arguments == () and made.notes == ()
    assert exports({"PATH": "/bin"}, made.environment, "bash") == [
        f"export ANTHROPIC_BASE_URL={URL}",
        "export ANTHROPIC_AUTH_TOKEN=archgw",
        f"export OPENAI_BASE_URL={URL}/v1",
        f"export OPENAI_API_BASE={URL}/v1",
        "export OPENAI_API_KEY=archgw",
    ]
    assert launch("env", model=GPT).environment["OPENAI_MODEL"] == GPT
    assert "ANTHROPIC_AUTH_TOKEN" not in launch("env", plan=OWN_LOGIN).environment
    assert launch("env", settings={"model": "x"}).notes == (
        "model in --settings: not used, for these are no variables",
    )


NASTY = 'it\'s a \\ "test" $HOME `x` \n*?'


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_reads_what_was_written(shell: str) -> None:
    lines = exports({"GONE": "1"}, {"NASTY": NASTY}, "bash")
    script = "\n".join([*lines, 'printf %s "$NASTY:${GONE-gone}"'])
    done = subprocess.run([shell, "-c", script], env={"GONE": "1"}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{NASTY}:gone"


def test_fish_has_quotes_of_its_own() -> None:
    assert exports({"GONE": "1"}, {"A": "plain", "B": r"it's \n"}, "fish") == [
        "set -e GONE",
        "set -gx A plain",
        r"set -gx B 'it\'s \\n'",
    ]
    assert command(("claude", "", "a b"), "fish") == "claude '' 'a b'"


# -- secrets and proxies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "arguments", "settings"),
    [
        ("claude", (), {"env": {"GITHUB_TOKEN": "s3cret-of-mine"}}),
        ("claude", (), {"env": {"ANTHROPIC_CUSTOM_HEADERS": "x-a: s3cret-of-mine"}}),
        ("claude", ("--mcp-config", '{"headers": {"Authorization": "Bearer s3cret-of-mine"}}'), {}),
        ("codex", ("-c", 'mcp_servers.x.bearer_token="s3cret-of-mine"'), {}),
        ("codex", ("-c", "x=sk-ant-s3cret-of-mine"), {}),
        ("aider", ("--anthropic-api-key", "s3cret-of-mine"), {}),
        ("aider", ("--api-key", "gemini=s3cret-of-mine"), {}),
        ("aider", ("--api-key=gemini=s3cret-of-mine",), {}),
        ("env", ("curl", "-H", "x: known-by-its-value"), {}),
    ],
)
def test_no_secret_is_shown(agent: str, arguments: tuple[str, ...], settings: dict[str, Any]) -> None:
    before: Mapping[str, str] = {**USERS, "MY_API_KEY": "known-by-its-value"}
    made = masked(launch(agent, *arguments, settings=settings, environment=before), before)
    shown = "\n".join([*exports(before, made.environment, "bash"), command(made.arguments, "bash")])
    assert "s3cret" not in shown and "known-by-its-value" not in shown and "***" in shown


def test_what_is_no_secret_is_shown() -> None:
    made = launch("claude", settings={"env": {"MAX_THINKING_TOKENS": "1000"}})
    assert masked(made, USERS) == made
    made = launch("codex")
    assert masked(made, USERS) == made


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p"}, None),
        ({"HTTP_PROXY": "http://p"}, "127.0.0.1,localhost"),
        ({"http_proxy": "http://p", "no_proxy": "a.corp"}, "a.corp,127.0.0.1,localhost"),
    ],
    ids=["none", "for https", "for http", "with exceptions"],
)
def test_no_proxy_is_asked_for_the_gateway(given: dict[str, str], passed: str | None) -> None:
    made = past_proxies(given, URL)
    assert made.get("NO_PROXY") == made.get("no_proxy") == passed


# -- what others write ---------------------------------------------------------------------------------------------


def test_json_with_comments() -> None:
    text = '{"a": "// no comment, }", /* one */ "b": [1, 2,], // two\n "c": "\\"/*",}'
    assert from_json(text) == {"a": "// no comment, }", "b": [1, 2], "c": '"/*'}


@pytest.mark.parametrize(("parse", "text"), [(from_json, "{"), (from_toml, "= 1"), (from_yaml, "a: [")])
def test_what_cannot_be_read_says_nothing(parse: Any, text: str) -> None:
    assert parse(text) == parse("") == {}


# -- a gateway that wants a client key ---------------------------------------------------------------------------------

CLIENT_KEY = "archgw-0123456789abcdef"
GUARDED = {name: value for name, value in USERS.items() if "BASE_URL" not in name} | {"ARCHGW_CLIENT_KEY": CLIENT_KEY}
WHERE = {
    "claude": ("ANTHROPIC_CUSTOM_HEADERS", f"x-arch-key: {CLIENT_KEY}"),
    "codex": ("ARCHGW_TOKEN", CLIENT_KEY),
    "opencode": ("OPENCODE_CONFIG_CONTENT", f'"apiKey": "{CLIENT_KEY}"'),
    "aider": ("AIDER_OPENAI_API_KEY", CLIENT_KEY),
    "env": ("OPENAI_API_KEY", CLIENT_KEY),
}


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("plan", [PLAN, BOTH], ids=["keys", "own login"])
def test_the_client_key_goes_by_the_environment_and_never_by_the_arguments(agent: str, plan: Any) -> None:
    made = launch(agent, plan=plan, environment=GUARDED)
    name, value = WHERE[agent]
    assert value in made.environment[name]
    assert CLIENT_KEY not in " ".join(made.arguments)
    shown = masked(made, GUARDED)
    assert CLIENT_KEY not in "\n".join([*exports(GUARDED, shown.environment, "bash"), *shown.arguments])


@pytest.mark.parametrize("agent", ["claude", "env"])
def test_beside_a_login_the_client_key_has_a_header_of_its_own(agent: str) -> None:
    own = {"ANTHROPIC_CUSTOM_HEADERS": "x-mine: 1"}
    made = launch(agent, plan=OWN_LOGIN, environment=GUARDED | own)
    assert made.environment["ANTHROPIC_CUSTOM_HEADERS"] == f"x-mine: 1\nx-arch-key: {CLIENT_KEY}"
    assert "ANTHROPIC_AUTH_TOKEN" not in made.environment


@pytest.mark.parametrize("place", [USER, MANAGED])
def test_settings_that_hide_the_client_key_are_told(place: Path) -> None:
    hiding = {"files": {place: json.dumps({"env": {"ANTHROPIC_CUSTOM_HEADERS": "x-mine: 1"}})}}
    (note,) = launch("claude", environment=GUARDED, **hiding).notes
    assert note.startswith(f"ANTHROPIC_CUSTOM_HEADERS in {place} hides the client key: add a line 'x-arch-key: ...'")
    having = {"files": {place: json.dumps({"env": {"ANTHROPIC_CUSTOM_HEADERS": "x-arch-key: k"}})}}
    assert launch("claude", environment=GUARDED, **having).notes == ()
    assert launch("claude", **hiding).notes == ()


# -- Claude Code's feedback commands -------------------------------------------------------------------------------

FOLDER = Path("/home/u/.archgw/claude")
HOOK = {"hooks": [{"type": "command", "command": "'/opt/arch gw/archgw' prompt-hook"}]}


def hooks(made: Launch) -> Any:
    return json.loads(made.arguments[made.arguments.index("--settings") + 1]).get("hooks")


def test_feedback_commands_are_there_where_they_are_wanted() -> None:
    made = launch("claude", "a prompt", feedback=FOLDER)
    assert f"--plugin-dir={FOLDER}" in made.arguments and made.arguments[-1] == "a prompt"
    assert {path.relative_to(FOLDER).as_posix() for path in made.files} == {
        ".claude-plugin/plugin.json",
        "commands/good.md",
        "commands/bad.md",
        "commands/unrate.md",
    }
    assert hooks(made) == {"UserPromptSubmit": [HOOK], "UserPromptExpansion": [HOOK]}
    without = launch("claude")
    assert (
        not without.files and hooks(without) is None and not [one for one in without.arguments if "plugin-dir" in one]
    )


def test_the_users_own_hooks_run_as_well() -> None:
    theirs = {"hooks": [{"type": "command", "command": "mine"}]}
    given = {"hooks": {"UserPromptSubmit": [theirs], "Stop": [theirs]}}
    made = launch("claude", feedback=FOLDER, settings=given)
    assert hooks(made) == {"UserPromptSubmit": [theirs, HOOK], "UserPromptExpansion": [HOOK], "Stop": [theirs]}


def test_commands_of_the_users_by_these_names_are_told() -> None:
    own = {Path("/proj/.claude/commands/good.md"): "Praise the code."}
    assert set(own) <= set(AGENTS["claude"].reads({"HOME": "/home/u"}, Path("/proj")))
    told = [note for note in launch("claude", files=own, feedback=FOLDER).notes if "/good gives feedback" in note]
    assert told and not [note for note in launch("claude", files=own).notes if "good" in note]
