"""How good the models of a pool are: as learned, as far as they were judged; as they stood before, as far as not.

So what is learned comes in by and by, of each model as much as was seen of that one: one answer of one model says next
to nothing, and of who has not answered yet nothing is known but where he stood.
"""

from collections.abc import Sequence

from router_service.plan import Candidate
from router_service.policies.policy import Setting


def blended(ranked: Sequence[Candidate], setting: Setting) -> dict[str, float]:
    """Points by id, 0 to 1. `ranked`: the best first, as they stand while nothing is learned: of three 1, 2/3 and 1/3.
    What is learned is told as the share of the best that it is.
    """
    stood = {one.id: (len(ranked) - at) / len(ranked) for at, one in enumerate(ranked)}
    most = max((setting.beliefs[id].mean for id in stood if id in setting.beliefs), default=0.0)
    if not most:
        return stood
    known = {id: setting.beliefs[id] for id in stood if id in setting.beliefs}
    learned = {id: one.trust * one.mean / most + (1 - one.trust) * stood[id] for id, one in known.items()}
    return stood | learned
