"""Ask archgw who should answer, then ask him yourself: python ask.py "Write a function that parses ISO dates"."""

import json
import os
import sys
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

GATEWAY = os.environ.get("ARCHGW", "http://127.0.0.1:12000")


def post(url: str, body: object, **headers: str) -> dict:
    try:
        with urlopen(Request(url, json.dumps(body).encode(), {"content-type": "application/json", **headers})) as reply:
            return json.load(reply)
    except HTTPError as error:
        sys.exit(f"{url} answers {error.code}: {error.read().decode()}")
    except URLError as error:
        sys.exit(f"nobody answers at {url}: {error.reason}")


if len(sys.argv) != 2:
    sys.exit(f"usage: {sys.argv[0]} PROMPT")
asked = {"model": "arch.main.v1", "messages": [{"role": "user", "content": sys.argv[1]}]}
decided = post(f"{GATEWAY}/routing/v1/chat/completions", asked)  # a client key goes here, too, where one is wanted
model = next(one for one in decided["models"] if one["dialect"] == "openai_chat")
key = os.environ[f"{model['provider'].upper()}_API_KEY"]
answer = post(f"{model['base_url']}/chat/completions", asked | {"model": model["name"]}, authorization=f"Bearer {key}")
print(f"{model['model']} ({decided['reason']}):\n{answer['choices'][0]['message']['content']}")
