"""Signatures of thinking blocks: a replayed one can be verified, as strictly as the real vendor does."""

import base64
import hashlib
import hmac

KEY = b"archgw simulated anthropic"
SALT = 9


def sign(thinking: str, shown: str) -> str:
    """`shown` is the text that goes on the wire: empty when the request asked to omit it."""
    salt = hashlib.sha256(thinking.encode()).digest()[:SALT]
    return base64.b64encode(salt + digest(salt, shown)).decode()


def verify(shown: str, signature: str) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
    except ValueError:
        return False
    return hmac.compare_digest(raw[SALT:], digest(raw[:SALT], shown))


def digest(salt: bytes, shown: str) -> bytes:
    return hmac.new(KEY, salt + shown.encode(), hashlib.sha256).digest()
