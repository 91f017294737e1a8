"""Lends requests a token of Google Cloud, wherever google-auth finds credentials; gets the next before it ends."""

from functools import partial
from threading import Lock
from typing import Any

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from router_service.config import Identity
from router_service.effects import Ask
from router_service.shell.proof import NoProof

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_WITHIN = 8  # seconds


class Lender:
    def __init__(self, _: Identity) -> None:
        self._credentials: Any = None  # whatever kind it is
        self._lock = Lock()

    def find(self) -> None:
        self._token()

    def headers(self, ask: Ask) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token()}"}

    def _token(self) -> str:
        """One thread fetches it while the others wait. It is `valid` until shortly before its end."""
        with self._lock:
            try:
                if self._credentials is None:
                    self._credentials, _ = google.auth.default(scopes=_SCOPES)
                if not self._credentials.valid:
                    self._credentials.refresh(partial(Request(), timeout=_WITHIN))
            except (GoogleAuthError, OSError, ValueError) as error:  # its words may repeat a key
                told = f"the Google credentials could not be had ({type(error).__name__})"
                raise NoProof(told) from error
            return str(self._credentials.token)
