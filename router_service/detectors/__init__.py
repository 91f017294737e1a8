"""What speaks against an answer in the request that comes after it: one file per signal, and this table."""

from collections.abc import Mapping

from router_service.detectors import correction, interrupted, override, re_ask, retried, reverted, tool_error
from router_service.detectors.detector import Detector

DETECTORS: Mapping[str, Detector] = {
    "override": override.finds,
    "re_ask": re_ask.finds,
    "correction": correction.finds,
    "interrupted": interrupted.finds,
    "retried": retried.finds,
    "tool_error": tool_error.finds,
    "reverted": reverted.finds,
}
