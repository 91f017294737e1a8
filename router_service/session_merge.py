"""One session that two services have gone on with at once, made one: what can be added up is, and counts once."""

from dataclasses import replace
from typing import Any

from router_service.session import NEW, Read, Session

_COUNTED = ("turns", "requests", "written", "spent", "baseline", "switched", "unpriced")


def merged(mine: Session, theirs: Session, base: Session) -> Session:
    """`theirs` is what the store holds now, `base` what it held when it was last read or written here: `mine` is what
    was made of it.

    The pin is that of who has set another since, mine where both have; the last answer, and what each model has read,
    are the later ones. A store that holds less than it did has lost what it held: then the greater count of each holds.
    """
    if theirs == base:
        return mine
    lost = theirs.requests < base.requests or theirs.unpriced < base.unpriced or theirs.spent < base.spent
    before = NEW if lost else base
    last = _last(mine, theirs, before)
    return replace(
        mine,
        pin=theirs.pin if mine.pin == before.pin and theirs.pin else mine.pin,
        reads=_reads(mine, theirs),
        served=last.served,
        before=last.before,
        **{name: _counted(name, mine, theirs, None if lost else base) for name in _COUNTED},
    )


def _counted(name: str, mine: Session, theirs: Session, base: Session | None) -> Any:
    ours, others = getattr(mine, name), getattr(theirs, name)
    return max(ours, others) if base is None else others + (ours - getattr(base, name))


def _last(mine: Session, theirs: Session, base: Session) -> Session:
    """Of two who say it of the same answer, who has said something new."""
    if mine.served is None or theirs.served is None:
        return mine if mine.served else theirs
    if mine.served == base.served:
        return theirs
    return mine if theirs.served == base.served or mine.served.at >= theirs.served.at else theirs


def _reads(mine: Session, theirs: Session) -> dict[str, Read]:
    found = dict(theirs.reads)
    for id, read in mine.reads.items():
        if id not in found or found[id].at <= read.at:
            found[id] = read
    return found
