"""What is known about a vendor: where it lives, how it wants to be asked, and what its models can take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about the models whose name starts with `prefix`; the longest matching prefix wins.

    `context` and `max_output` are tokens, None where unknown. `token_field` is the field that limits the
    output. `reasoning`: takes an effort or a thinking budget. `sampling`: takes temperature, top_p and stop.
    """

    prefix: str
    context: int | None = None
    max_output: int | None = None
    token_field: str = "max_tokens"  # noqa: S105 - the name of a field, not a password
    reasoning: bool = False
    sampling: bool = True
    images: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """One vendor. `base_url` is everything before the dialect's own last path segments (`/chat/completions`).

    `auth_header` carries the key behind `auth_scheme`. `key_variable` is the environment variable that
    the field knows the key by; empty for providers that need none.
    """

    name: str
    dialect: str
    base_url: str
    key_variable: str
    auth_header: str = "authorization"
    auth_scheme: str = "Bearer "
    headers: tuple[tuple[str, str], ...] = ()
    models: tuple[ModelFacts, ...] = ()

    def facts(self, model: str) -> ModelFacts:
        known = [facts for facts in self.models if model.startswith(facts.prefix)]
        return max(known, key=lambda facts: len(facts.prefix), default=ModelFacts(""))
