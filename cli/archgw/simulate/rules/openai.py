"""What OpenAI refuses in a chat completion, in its words, and what all refuse who speak its dialect."""

from archgw.simulate.openai_wire import pieces
from archgw.simulate.received import Asked
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.openai_messages import MESSAGES, OPENAI_MESSAGES
from archgw.simulate.rules.openai_tools import OPENAI_TOOLS, TOOLS
from archgw.simulate.rules.openai_words import above, below, invalid, missing, only_medium, unsupported, wrong_type
from archgw.simulate.rules.rule import Rule, names
from archgw.simulate.tokens import total

FIELDS = names(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs "
    "max_completion_tokens "
    "max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty "
    "prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format "
    "safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools "
    "top_logprobs top_p user verbosity web_search_options"
)


def known_fields(asked: Asked) -> None:
    unknown = [name for name in asked.body if name not in FIELDS]
    if "reasoning" not in asked.model.flags and "reasoning_effort" in asked.body:
        unknown.append("reasoning_effort")
    if unknown:
        word = "argument" if len(unknown) == 1 else "arguments"
        raise Refused(f"Unrecognized request {word} supplied: {', '.join(unknown)}")


# Python's type, OpenAI's word for it, and whether null will do.
TYPES: dict[str, tuple[type | tuple[type, ...], str, bool]] = {
    "messages": (list, "an array of objects", False),
    "max_tokens": (int, "an integer", True),
    "max_completion_tokens": (int, "an integer", True),
    "temperature": ((int, float), "a decimal", True),
    "top_p": ((int, float), "a decimal", True),
    "stream": (bool, "a boolean", True),
    "stop": ((str, list), "one of a string or an array of strings", True),
    "tools": (list, "an array of objects", False),
    "tool_choice": ((str, dict), "one of a string or an object", False),
    "response_format": (dict, "an object", True),
    "stream_options": (dict, "an object", True),
    "user": (str, "a string", False),
    "metadata": (dict, "an object", True),
}


def field_types(asked: Asked) -> None:
    if "messages" not in asked.body:
        raise missing("messages")
    for name, value in asked.body.items():
        kind, wanted, optional = TYPES.get(name, (object, "", True))
        if value is None and optional:
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            raise wrong_type(name, wanted, value)


# -- limits --------------------------------------------------------------------------------------------------


def response_format(asked: Asked) -> None:
    form = asked.body.get("response_format") or {}
    if form.get("type") not in (None, "text", "json_object", "json_schema"):
        raise invalid("response_format.type", form["type"], "'json_object', 'json_schema', and 'text'")
    if form.get("type") == "json_schema" and not isinstance(form.get("json_schema"), dict):
        raise missing("response_format.json_schema")


def max_tokens(asked: Asked) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        wanted, most = asked.body.get(name), asked.model.max_output
        if wanted is not None and wanted < 1:
            raise below(name, wanted, 1)
        if wanted is not None and wanted > most:
            raise Refused(
                f"{name} is too large: {wanted}. This model supports at most {most} completion tokens, "
                "whereas "
                f"you provided {wanted}.",
                param=name,
                code="invalid_value",
            )
    if asked.body.get("max_tokens") is not None and asked.body.get("max_completion_tokens") is not None:
        raise Refused("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")


RANGES = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}


def ranges(asked: Asked) -> None:
    for name, (least, most) in RANGES.items():
        value = asked.body.get(name)
        if value is not None and value < least:
            raise below(name, float(value), least)
        if value is not None and value > most:
            raise above(name, value, most)


def stop_texts(asked: Asked) -> None:
    stops = asked.body.get("stop")
    for index, text in enumerate(stops if isinstance(stops, list) else ()):
        if not isinstance(text, str):
            raise wrong_type(f"stop[{index}]", "a string", text)


def stop(asked: Asked) -> None:
    stops = asked.body.get("stop")
    if isinstance(stops, list) and len(stops) > 4:
        raise Refused(
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with "
            f"length {len(stops)} instead.",
            param="stop",
            code="array_above_max_length",
        )


def context(asked: Asked) -> None:
    tokens, most = total(pieces(asked.body)), asked.model.context
    if tokens > most:
        raise Refused(
            f"This model's maximum context length is {most} tokens. However, your messages resulted in "
            f"{tokens} "
            "tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )


def stream_options(asked: Asked) -> None:
    if asked.body.get("stream_options") is not None and not asked.streamed:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refused(message, param="stream_options")


# -- by model ------------------------------------------------------------------------------------------------

ONLY_DEFAULT = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def endpoint(asked: Asked) -> None:
    if "responses_only" in asked.model.flags:
        words = "This model is only supported in v1/responses and not in v1/chat/completions."
        raise Refused(words, status=404, param="model")


def reasoning_parameters(asked: Asked) -> None:
    if "reasoning" not in asked.model.flags:
        return
    if asked.body.get("max_tokens") is not None:
        raise unsupported("max_tokens", "max_completion_tokens")
    for name, default in ONLY_DEFAULT.items():
        value = asked.body.get(name)
        if value is not None and value != default:
            raise Refused(
                f"Unsupported value: '{name}' does not support {value} with this model. Only the default "
                f"({default}) value is supported.",
                param=name,
                code="unsupported_value",
            )


REFUSED_BY_FLAG = {
    "no_tools": ("tools", "tool_choice", "parallel_tool_calls"),
    "no_stop": ("stop",),
    "reasoning": ("logprobs", "top_logprobs", "logit_bias"),
}


def verbosity(asked: Asked) -> None:
    value = asked.body.get("verbosity")
    if value not in (None, "low", "medium", "high"):
        raise invalid("verbosity", value, "'low', 'medium', and 'high'")
    if "verbosity" not in asked.model.flags and value not in (None, "medium"):
        raise only_medium("verbosity", value)


def model_parameters(asked: Asked) -> None:
    for flag, refused in REFUSED_BY_FLAG.items():
        for name in refused:
            if flag in asked.model.flags and asked.body.get(name) is not None:
                raise unsupported(name)


# -- the books -----------------------------------------------------------------------------------------------

COMPATIBLE: tuple[Rule, ...] = (field_types, response_format, ranges, stop_texts, *TOOLS, *MESSAGES, context)
OPENAI: tuple[Rule, ...] = (
    endpoint,
    known_fields,
    field_types,
    response_format,
    reasoning_parameters,
    model_parameters,
    verbosity,
    max_tokens,
    ranges,
    stop_texts,
    stop,
    stream_options,
    *OPENAI_TOOLS,
    *TOOLS,
    *MESSAGES,
    *OPENAI_MESSAGES,
    context,
)
OPENAI_ONLY = names(
    "audio metadata modalities moderation prediction prompt_cache_key prompt_cache_options "
    "prompt_cache_retention safety_identifier service_tier store verbosity web_search_options"
)
