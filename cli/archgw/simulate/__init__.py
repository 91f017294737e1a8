"""Simulated providers: stand-ins for LLM vendors on loopback, as strict as they are. See docs/simulate.md.

models, vendors     facts
received, leaks     a request as it arrived, and the headers that should not have
door                what is looked at before the body: key, version, content type, model
rules/              what each vendor refuses, in its words
script, reply       what is answered: the steering in the user's text, or a default
routing             what an LLM that routes would answer
tokens              what it cost, and what the prompt cache knew
*_wire              the vendor's bytes, streamed and whole
steps, faults       an answer as steps, and how it goes wrong
server              the only I/O
"""

from archgw.simulate.faults import FAULTS, Fault
from archgw.simulate.leaks import Leak
from archgw.simulate.models import Model
from archgw.simulate.received import Received
from archgw.simulate.server import Simulator
from archgw.simulate.vendors import ALL, Vendor

VENDORS: dict[str, Vendor] = {vendor.name: vendor for vendor in ALL}

__all__ = ["FAULTS", "VENDORS", "Fault", "Leak", "Model", "Received", "Simulator", "Vendor"]
