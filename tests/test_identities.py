"""A cloud's credentials prove a request without holding up anybody else; and those that end are renewed."""

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router_service.config import Identity
from router_service.effects import Ask
from router_service.shell.aws import Signer
from router_service.shell.identities import Identities
from router_service.shell.proof import NoProof

AWS = Identity("aws", "bedrock", "eu-west-1")
ASK = Ask(
    "cluster",
    {
        ":method": "POST",
        ":scheme": "https",
        ":authority": "bedrock-runtime.eu-west-1.amazonaws.com",
        ":path": "/anthropic/v1/messages?beta=true",
        "content-type": "application/json",
    },
    b"{}",
    AWS,
)


class Fake:
    """`trouble` is raised; until `gate` opens, nothing is answered."""

    def __init__(self, trouble: Exception | None = None, gate: threading.Event | None = None) -> None:
        self.asked = 0
        self._trouble, self._gate = trouble, gate

    def find(self) -> None:
        self.headers(ASK)

    def headers(self, ask: Ask) -> dict[str, str]:
        self.asked += 1
        if self._gate:
            self._gate.wait(10)
        if self._trouble:
            raise self._trouble
        return {"authorization": "proven"}


async def test_a_request_that_needs_no_proof_is_left_alone() -> None:
    plain = Ask("cluster", {}, b"")
    assert await Identities({}).prove(plain) is plain


async def test_what_proves_a_request_is_added_to_its_headers() -> None:
    proven = await Identities({"aws": lambda _: Fake()}).prove(ASK)
    assert proven.headers == {**ASK.headers, "authorization": "proven"}
    assert (proven.cluster, proven.body) == (ASK.cluster, ASK.body)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (NoProof("there are no AWS credentials"), "there are no AWS credentials"),
        (KeyError("a secret"), "its credentials could not be had (KeyError)"),
    ],
    ids=["known", "unknown"],
)
async def test_what_went_wrong_is_told_and_not_tried_again_at_once(trouble: Exception, told: str) -> None:
    fake = Fake(trouble)
    identities = Identities({"aws": lambda _: fake})
    for _ in range(3):
        with pytest.raises(NoProof) as caught:
            await identities.prove(ASK)
        assert str(caught.value) == told
    assert fake.asked == 1


async def test_who_waits_for_credentials_holds_up_nobody_and_not_for_long() -> None:
    gate = threading.Event()
    slow, quick = Identity("aws", "bedrock", "eu-west-1"), Identity("google")
    identities = Identities({"aws": lambda _: Fake(gate=gate), "google": lambda _: Fake()}, within=0.5)
    waiting = asyncio.create_task(identities.prove(ASK))
    other = await asyncio.wait_for(identities.prove(Ask("c", {}, b"", quick)), 0.4)
    assert other.headers and not waiting.done()
    with pytest.raises(NoProof, match=r"did not come within 0\.5 s"):
        await waiting
    assert slow == ASK.identity
    gate.set()


async def test_who_has_no_credentials_is_named_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    await Identities({"aws": lambda _: Fake(NoProof("there are none"))}).warm_up([AWS])
    assert caplog.messages == ["aws: there are none"]


def signer(monkeypatch: pytest.MonkeyPatch, folder: Path, *, minutes: int) -> Signer:
    """With credentials of a process that gives others each time, for so many minutes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    told = {
        "Version": 1,
        "AccessKeyId": "AKIA-N",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(),
    }
    (folder / "told.json").write_text(json.dumps(told))
    script = folder / "credentials.sh"
    script.write_text(f'cd {folder} && echo >> times && sed "s/-N/$(wc -l < times)/" told.json\n')
    config = folder / "config"
    config.write_text(f"[default]\ncredential_process = sh {script}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))
    return Signer(AWS)


@pytest.mark.parametrize(
    ("minutes", "keys"), [(60, ["AKIA1", "AKIA1"]), (5, ["AKIA2", "AKIA3"])], ids=["for an hour", "about to end"]
)
def test_credentials_are_kept_until_they_are_about_to_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, minutes: int, keys: list[str]
) -> None:
    signing = signer(monkeypatch, tmp_path, minutes=minutes)
    signed = [signing.headers(ASK) for _ in keys]
    found = [headers["authorization"].partition("Credential=")[2].partition("/")[0] for headers in signed]
    assert found == keys
    assert {headers["x-amz-security-token"] for headers in signed} == {"token"}
    names = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
    assert all(f"SignedHeaders={names}," in headers["authorization"] for headers in signed)
    assert {*signed[0]} == {"authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
