"""Any other client: the variables that Anthropic's and OpenAI's SDKs read. A command after -- is run with them."""

from archgw.agents.agent import Agent, Launch, Situation, billing, key_header, variables


def prepare(situation: Situation) -> Launch:
    given, rest = variables(situation.settings)
    base = f"{situation.url}/v1"
    ours = {
        "ANTHROPIC_BASE_URL": situation.url,
        **(key_header(situation, given) if situation.own_login else {"ANTHROPIC_AUTH_TOKEN": situation.token}),
        "OPENAI_BASE_URL": base,
        "OPENAI_API_BASE": base,  # the same, for older clients
        "OPENAI_API_KEY": situation.token,
    }
    chosen = {"ANTHROPIC_MODEL": situation.model, "OPENAI_MODEL": situation.model} if situation.model else {}
    unused = [f"{', '.join(rest)} in --settings: not used, for these are no variables"] if rest else []
    environment = {**situation.environment, **given, **ours, **chosen}
    return Launch(situation.arguments, environment, (*unused, *billing(situation.plan)))


AGENT = Agent(
    name="env",
    program="",
    install="",
    prepare=prepare,
)
