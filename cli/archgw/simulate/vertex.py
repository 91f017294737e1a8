"""Vertex AI's way in: project and place stand in the path, Claude's model and verb as well; inside all is as usual."""

import re
from dataclasses import replace

from archgw.simulate.received import Received
from archgw.simulate.refusal import Refused

PATH = re.compile(r"/v1/projects/[a-z][a-z0-9-]+/locations/[a-z0-9-]+(?P<rest>/.*)")
CLAUDE = re.compile(r"/publishers/anthropic/models/(?P<model>[^/:]+):(?P<verb>rawPredict|streamRawPredict)")
VERSIONS = ("vertex-2023-10-16", "2026-10-21")  # the last is what anthropic 2.12 for Python sends


def inside(received: Received) -> Received:
    """The request as Anthropic's or OpenAI's, with the model in the body; `outside` is what it was."""
    path = PATH.fullmatch(received.path)
    if path is None:
        return received
    claude = CLAUDE.fullmatch(path["rest"])
    if claude is None:
        return replace(received, path=path["rest"], outside=received)
    body = received.json
    if body is not None:
        body = {name: value for name, value in body.items() if name != "anthropic_version"} | {"model": claude["model"]}
    return replace(received, path="/publishers/anthropic/messages", json=body, outside=received)


def check_call(outside: Received) -> None:
    """What only Vertex demands of Claude's requests. Raises Refused."""
    body = outside.json
    if body is None:
        return
    if "model" in body:
        raise Refused("model: Extra inputs are not permitted")
    version = body.get("anthropic_version")
    if version is None:
        raise Refused("anthropic_version: Field required")
    if version not in VERSIONS:
        raise Refused(f'anthropic_version: "{version}" is not a valid version')
    verb = "streamRawPredict" if body.get("stream") is True else "rawPredict"
    if not outside.path.endswith(f":{verb}"):
        raise Refused(f"stream: a request like this goes to :{verb}")
    if outside.query:
        name = outside.query.partition("=")[0]
        raise Refused(
            f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.', shape="google"
        )
