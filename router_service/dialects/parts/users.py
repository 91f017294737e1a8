"""Who the user is, for vendors that ask it against abuse; and who must not be told.

Claude Code's `metadata.user_id` names a device, an account and a session. It goes to Anthropic alone, whose account it
is; others are told of no user at all.
"""

from router_service.conversation import Conversation, Json
from router_service.dialects.dialect import Target
from router_service.dialects.parts.fit import fingerprint

LONGEST = 64  # of a safety_identifier
# Fields that mean the same in both of OpenAI's dialects.
KIN = ("prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "user")


def is_account(user: str) -> bool:
    """`user_HASH_account_UUID_session_UUID`, and since Claude Code 2.1 an object as JSON."""
    return "_account_" in user or user.startswith("{")


def for_openai(conversation: Conversation, target: Target) -> Json:
    """The fields of either of OpenAI's dialects, for a client of another one."""
    if conversation.dialect.startswith("openai_"):
        kept = {name: value for name, value in conversation.extras.items() if name in KIN and name in target.knows}
        told = {"metadata": conversation.metadata} if conversation.metadata and "metadata" in target.knows else {}
        return kept | told
    user = conversation.user
    if not user or is_account(user):
        return {}
    field = next((name for name in ("safety_identifier", "user") if name in target.knows), "")
    return {field: user if len(user) <= LONGEST else fingerprint(user)} if field else {}
