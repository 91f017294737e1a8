"""What a drill breaks: one row each, in words that a team understands who has never seen the gateway."""

from dataclasses import dataclass
from typing import Literal

from archgw.simulate import Fault

How = Literal["fault", "port", "everyone", "router", "envoy"]
_RETRY_AFTER = 30.0  # seconds: longer than anybody would wait
_LATE = 1.5  # times the patience of the drill
_STEADY = 0.7  # times the patience: slow, but not too slow
_BETWEEN = 0.3  # seconds between two pieces of an answer that is cut under way


@dataclass(frozen=True, slots=True)
class Scenario:
    """`words` follow a model's name. `fault` is what its stand-in does; `how` says what is done besides.

    `fault`: nothing. `port`: its port is closed. `everyone`: so is every other's. `router`, `envoy`: that process is
    killed, `midway` or while the first content is waited for. `waits` is a delay of the fault in times of the patience.
    """

    name: str
    words: str
    fault: Fault | None = None
    how: How = "fault"
    streamed: bool = True
    midway: bool = False
    waits: float = 0.0

    @property
    def of_gateway(self) -> bool:
        """It is not a model that breaks."""
        return self.how in ("router", "envoy")


_SLOWLY = Fault("slow_events", delay_ms=round(_BETWEEN * 1000))
ALL: tuple[Scenario, ...] = (
    Scenario("healthy", "is well"),
    Scenario("kill", "is gone: its port is closed", how="port"),
    Scenario("529", "answers 529, overloaded", Fault("status", status=529)),
    Scenario(
        "429",
        f"answers 429, come back in {_RETRY_AFTER:.0f} s",
        Fault("status", status=429, retry_after=_RETRY_AFTER),
    ),
    Scenario("revoked", "answers 401: its key is revoked", Fault("status", status=401)),
    Scenario("slow", "lets its first byte wait longer than the timeout", Fault("slow_headers"), waits=_LATE),
    Scenario("silence", "sends headers, then nothing", Fault("silent")),
    Scenario("early-error", "answers 200, begins, and sends an error", Fault("error_after_start")),
    Scenario("late-error", "sends an error after its first words", Fault("error_after_content")),
    Scenario("cut", "stops after its first words, without an end", Fault("end_after_content")),
    Scenario("broken-line", "has its connection break after its first words", Fault("reset_after_content")),
    Scenario("truncated", "answers with half of its JSON", Fault("truncated"), streamed=False),
    Scenario("all-down", "is gone, and every other model as well", how="everyone"),
    Scenario(
        "router-early",
        "the router service is killed before the first content",
        Fault("slow_headers"),
        how="router",
        waits=_STEADY,
    ),
    Scenario("router-late", "the router service is killed in the middle of an answer", _SLOWLY, "router", midway=True),
    Scenario("envoy", "Envoy is killed in the middle of an answer", _SLOWLY, "envoy", midway=True),
)
BY_NAME = {scenario.name: scenario for scenario in ALL}
