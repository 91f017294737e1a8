"""Whose state of reasoning it is: sealed with its maker's name on the way to the client, opened on the way back.

A signature, an encrypted item or a model's own words of thought mean something to the model that made them alone;
another vendor answers them with an error, or is misled. Clients give back what they were given, so the name of the
maker travels within the transcript, and nothing has to be remembered here.
"""

import base64
import binascii

PREFIX = "archgw1."
CALL = "call "
HIDDEN = "hidden "
UNKNOWN = "?"  # the maker named by a seal that somebody broke: nobody's


def seal(maker: str, state: str) -> str:
    """`state` as a client is to keep it; as it is where there is no maker to name."""
    return f"{PREFIX}{_encoded(maker)}.{state}" if maker else state


def opened(sealed: str) -> tuple[str, str]:
    """(maker, state); the maker is empty where there is no seal."""
    if not sealed.startswith(PREFIX):
        return "", sealed
    name, dot, state = sealed[len(PREFIX) :].partition(".")
    try:
        return (base64.urlsafe_b64decode(name.encode()).decode() if dot else "") or UNKNOWN, state
    except (binascii.Error, ValueError):
        return UNKNOWN, state


def seal_thought(maker: str, state: str, *, hidden: bool) -> str:
    """For clients whose own form does not say whether the maker had hidden its words."""
    return seal(maker, f"{HIDDEN}{state}" if hidden and maker else state)


def hidden_state(state: str) -> tuple[bool, str]:
    """Whether the words were hidden, and the state itself."""
    return state.startswith(HIDDEN), state.removeprefix(HIDDEN)


def seal_call(maker: str, call_id: str, state: str) -> str:
    """What a maker signed a call with, for clients that have a place for thinking but none at the call itself."""
    return seal(maker, f"{CALL}{call_id} {state}")


def call_state(state: str) -> tuple[str, str]:
    """(id of the call, what it was signed with); the id is empty where the state is no call's."""
    call_id, _, signed = state.removeprefix(CALL).partition(" ")
    return (call_id, signed) if state.startswith(CALL) else ("", "")


def _encoded(maker: str) -> str:
    return base64.urlsafe_b64encode(maker.encode()).decode()
