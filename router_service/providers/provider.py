"""What is known about a vendor: where it lives, how it wants to be asked, and what its models can take.

The figures of models are those of LiteLLM 1.109.1 (seen 2026-11) unless a vendor's file names its source.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

# Fields of chat completions that are OpenAI's own; who checks his input refuses them.
OPENAIS_OWN = frozenset(
    {
        "audio", "metadata", "modalities", "moderation", "prediction", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "safety_identifier", "service_tier", "store", "verbosity", "web_search_options",
    }
)  # fmt: skip
# What other vendors' models say of their thinking, and an agent gives back.
THOUGHTS = frozenset({"reasoning", "reasoning_content", "reasoning_details"})
COMPLETION_TOKENS = "max_completion_tokens"  # what OpenAI's reasoning models want instead of max_tokens


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about the models whose name starts with `prefix`; the longest matching prefix wins.

    `context` and `max_output` are tokens, None where unknown; the context holds both input and output.
    `token_field` is the field that limits the output. `reasoning`: takes an effort or a thinking budget.
    `thinking` is how a Claude model is asked to think: with a budget of tokens, or adaptively by an effort.
    `sampling`: takes temperature and top_p; `stop`: takes stop sequences; `documents`: reads PDFs; `system`: takes
    instructions apart from the user's words; `inline_system`: takes them between the messages as well. `thoughts` is
    the field of a message in which the model wants back what it thought, wherever it called a tool. `signs_calls`: it
    signs its calls, and refuses those that come back without. `prefill`: goes on from words put into its mouth;
    `structured`: can be held to a schema; `verbosity`: can be told how much to write. `efforts` are its words for how
    hard to think, where they are not low, medium and high. `dialect` is the one that the model is asked in, where it
    is not its vendor's first. `description_length`: the longest description of a tool that it takes, in characters.
    `refuses` is like its vendor's. `forcing` says how a tool can be forced on it, where not as the client asks: only
    while it does not think, `any` of them but no certain one, `never`, or, with `auto`, not even kept from it.
    `tokenizer` is the family of `tokens` that it counts in, where it is not its vendor's. `cache_from`: the shortest
    prompt, in tokens, that a Claude model keeps where it is asked to; a little less than the vendor's own where that
    differs by cloud, for asking in vain costs nothing.
    """

    prefix: str
    context: int | None = None
    max_output: int | None = None
    token_field: str = "max_tokens"  # noqa: S105 - the name of a field, not a password
    reasoning: bool = False
    thinking: Literal["", "budget", "adaptive"] = ""
    sampling: bool = True
    stop: bool = True
    images: bool = False
    documents: bool = False
    system: bool = True
    inline_system: bool = True
    tools: bool = True
    thoughts: str = ""
    signs_calls: bool = False
    prefill: bool = True
    structured: bool = True
    verbosity: bool = False
    efforts: tuple[str, ...] = ()
    dialect: str = ""
    description_length: int | None = None
    refuses: frozenset[str] = frozenset()
    forcing: Literal["", "unthinking", "any", "never", "auto"] = ""
    tokenizer: str = ""
    cache_from: int = 0


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud whose own credentials may stand in for a key: they sign each request, or lend a token for an hour.

    `credentials` is what they are called; a `library` that comes with an `extra` of ours finds them. That there are any
    is to be seen by one of the `variables`, or of the `files` below the home folder; a role that the machine was given
    is not to be seen. Who signs does it for a `service`, in the region that the variable `region` holds.
    """

    name: str
    credentials: str
    library: str
    extra: str
    variables: tuple[str, ...]
    files: tuple[str, ...]
    service: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """How a dialect is spoken to a vendor that has the model in the path: what follows the root, for a whole answer and
    for a streamed one, with `{model}` in it; and the `fields` of the body that differ, None where one is left out.

    The dialect's own headers and the client's query have no place there.
    """

    whole: str
    streamed: str
    fields: tuple[tuple[str, str | None], ...] = ()

    def path(self, model: str, *, streamed: bool) -> str:
        return (self.streamed if streamed else self.whole).format(model=quote(model, safe="@"))


@dataclass(frozen=True, slots=True)
class Provider:
    """One vendor. `base_url` is everything before the dialect's own last path segments (`/chat/completions`).

    It may hold a `{VARIABLE}` of the environment; `moved` are addresses made of it that are really others. Whose client
    speaks one of the dialects in `also` is answered in it, any other in `dialect`; `roots` are the paths between base
    URL and segments, where they differ by dialect, and `calls` what takes the place of the segments.

    `auth_header` carries the key behind `auth_scheme`. `key_variable` is the environment variable that
    the field knows the key by; empty for providers that need none. Without a key, the credentials of its `cloud` do.

    What its API makes of a request, whatever the model: `refuses` are fields of the dialect that it answers with
    an error (`display updates` is a value, of Anthropic's thinking.display); `tool_id_length` is the shortest and the
    longest id of a tool call that it takes, and where both are the same the id is of letters and digits alone.
    `documents_as_images`: a PDF goes where an image would. `strict_order`: after the results of tools the model has to
    speak, and the system's words stand at the beginning. `refuses_in_messages` are roles and fields of messages.
    `hottest` is the highest temperature, `most_stops` the number of stop sequences that it takes.
    `schema_beside_tools`: answers within a schema though it has tools as well.
    `vendor_tools` are the kinds of tools that it runs itself (see dialects/parts/vendor_tools.py), None where nobody
    can tell. `accounts`: it may be told whose account of Claude Code's a request is of. `knows` are those of OpenAI's
    own words (fields of a request, of its messages) that it is given for clients of other dialects, too. `betas` are
    the beginnings of Anthropic's beta flags that it takes; None for all. `counts` is the dialect in which it says how
    many tokens a request comes to; empty where it does not. `tokenizer` is the family of `tokens` that its models
    count in. `affinity` is where, in OpenAI's dialects, it is told which requests belong together, so that it brings
    them to where their beginning has been read: a field of the body, or a header (with a hyphen in its name); empty
    where its documentation knows of neither.
    """

    name: str
    dialect: str
    base_url: str
    key_variable: str
    also: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    roots: tuple[tuple[str, str], ...] = ()
    calls: tuple[tuple[str, Call], ...] = ()
    cloud: Cloud | None = None
    auth_header: str = "authorization"
    auth_scheme: str = "Bearer "
    refuses: frozenset[str] = frozenset()
    tool_id_length: tuple[int, int] | None = None
    strict_order: bool = False
    documents_as_images: bool = False
    refuses_in_messages: frozenset[str] = frozenset()
    hottest: float = 2.0
    most_stops: int = 4
    schema_beside_tools: bool = True
    knows: frozenset[str] = frozenset()
    betas: tuple[str, ...] | None = None
    vendor_tools: frozenset[str] | None = frozenset()
    counts: str = ""
    tokenizer: str = "any"
    affinity: str = ""
    accounts: bool = False
    models: tuple[ModelFacts, ...] = ()

    def root(self, dialect: str) -> str:
        return dict(self.roots).get(dialect, "")

    def call(self, dialect: str) -> Call | None:
        return dict(self.calls).get(dialect)

    def facts(self, model: str) -> ModelFacts:
        known = [facts for facts in self.models if model.startswith(facts.prefix)]
        return max(known, key=lambda facts: len(facts.prefix), default=ModelFacts(""))

    def tokenizer_of(self, model: str) -> str:
        return self.facts(model).tokenizer or self.tokenizer
