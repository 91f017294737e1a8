"""Checks AWS signatures (SigV4) as AWS does: calculated anew from what arrived, in AWS's own words where it differs.

docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html has the words.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from archgw.simulate.received import Received
from archgw.simulate.refusal import Refused

ALGORITHM = "AWS4-HMAC-SHA256"
# The access key and secret of AWS's documentation: the only one that simulated AWS knows.
ACCESS_KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
DATE = "%Y%m%dT%H%M%SZ"
VALID_FOR = timedelta(minutes=5)
HEADER = re.compile(
    rf"{ALGORITHM} Credential=(?P<access_key>[^/]+)/(?P<day>\d{{8}})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
    r", SignedHeaders=(?P<signed>[\w;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


class Scope(NamedTuple):
    region: str
    service: str


def is_signed(value: str) -> bool:
    return value.startswith(ALGORITHM)


def check_signature(service: str, received: Received) -> None:
    """Raises Refused."""
    found = HEADER.fullmatch(received.header("authorization") or "")
    if found is None:
        raise refused("Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.")
    if found["access_key"] != ACCESS_KEY:
        raise refused("The security token included in the request is invalid.")
    if found["service"] != service:
        raise refused(f"Credential should be scoped to correct service: '{service}'.")
    signed = found["signed"].split(";")
    if "host" not in signed:
        raise refused("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    date = received.header("x-amz-date") or ""
    check_date(date, found["day"], datetime.fromtimestamp(received.time, UTC))
    headers = {name: received.header(name) or "" for name in signed}
    scope = Scope(found["region"], service)
    ours = signature(received.method, target(received), headers, received.body, date=date, scope=scope, secret=SECRET)
    told = headers.get("x-amz-content-sha256")
    whole = told in (None, hashlib.sha256(received.body).hexdigest())
    if not whole or not hmac.compare_digest(ours, found["signature"]):
        raise refused(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
            " Access Key and signing method. Consult the service documentation for details."
        )


def check_date(date: str, day: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(date, DATE).replace(tzinfo=UTC)
    except ValueError:
        raise refused("Date must be in ISO-8601 'basic format'.") from None
    if not date.startswith(day):
        raise refused(f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: '{date}'.")
    oldest, newest = now - VALID_FOR, now + VALID_FOR
    if signed_at < oldest:
        told = f"{oldest.strftime(DATE)} ({now.strftime(DATE)} - 5 min.)"
        raise refused(f"Signature expired: {date} is now earlier than {told}")
    if signed_at > newest:
        told = f"{newest.strftime(DATE)} ({now.strftime(DATE)} + 5 min.)"
        raise refused(f"Signature not yet current: {date} is still later than {told}")


def target(received: Received) -> str:
    return received.path + (f"?{received.query}" if received.query else "")


def signature(
    method: str, target: str, headers: dict[str, str], body: bytes, *, date: str, scope: Scope, secret: str
) -> str:
    """What the signature has to be. Raises Refused where the library that calculates it is lacking."""
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import ReadOnlyCredentials
    except ImportError:
        raise refused("archgw simulates AWS signatures with botocore: pip install 'archgw[bedrock]'", 501) from None
    request = AWSRequest(method, f"http://{headers['host']}{target}", headers=headers, data=body)
    request.context["timestamp"] = date
    signer = SigV4Auth(ReadOnlyCredentials(ACCESS_KEY, secret, None), scope.service, scope.region)
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


def refused(message: str, status: int = 403) -> Refused:
    return Refused(message, status=status, shape="aws")
