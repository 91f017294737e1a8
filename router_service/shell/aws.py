"""Signs requests with AWS credentials (SigV4), wherever botocore finds them; it renews those that end.

Signed are the headers that Envoy leaves as they are, the path as Envoy sends it, and the body's hash:
docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

import hashlib
from threading import Lock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from router_service.config import Identity
from router_service.effects import Ask
from router_service.shell.proof import NoProof

_NOT_OURS = ("host", "content-type")  # signed, but the request has them already


class Signer:
    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._session = Session()
        self._credentials: Credentials | None = None
        self._lock = Lock()

    def find(self) -> None:
        self._frozen()

    def headers(self, ask: Ask) -> dict[str, str]:
        return signed(ask, self._frozen(), self._identity)

    def _frozen(self) -> ReadOnlyCredentials:
        """The credentials of now: one thread renews them, and the others go on with those that still hold."""
        try:
            with self._lock:
                self._credentials = self._credentials or self._session.get_credentials()
            if self._credentials is not None:
                return self._credentials.get_frozen_credentials()
        except (BotoCoreError, OSError, ValueError) as error:  # its words may repeat what a credential_process said
            raise NoProof(f"the AWS credentials could not be had ({type(error).__name__})") from error
        raise NoProof("there are no AWS credentials")


def signed(ask: Ask, credentials: ReadOnlyCredentials, identity: Identity) -> dict[str, str]:
    """The headers that a signature consists of."""
    given = ask.headers
    request = AWSRequest(
        method=given[":method"],
        url=f"{given[':scheme']}://{given[':authority']}{given[':path']}",
        data=ask.body,
        headers={
            "host": given[":authority"],
            "content-type": given["content-type"],
            "x-amz-content-sha256": hashlib.sha256(ask.body).hexdigest(),
        },
    )
    SigV4Auth(credentials, identity.service, identity.region).add_auth(request)
    made = {name.lower(): value for name, value in request.headers.items()}
    return {name: value for name, value in made.items() if name not in _NOT_OURS}
