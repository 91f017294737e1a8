"""What came of a soak, as JSON and in words. No I/O."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from soak_stack import MARGIN, SAMPLED_EVERY, Soaked
from soak_verdict import ENDS, Observed, Verdict
from soak_weather import Weather

if TYPE_CHECKING:
    from soak import Options, Tally

Json = dict[str, Any]


def shown(seen: Observed, found: Verdict, client: int, weather: Weather) -> Json:
    """A wrong answer, with what is needed to look into it."""
    ours = ("x-arch-model", "x-arch-route", "x-arch-reason", "x-arch-attempts", "x-arch-warnings", "x-arch-request-id")
    return {
        "end": found.end,
        "why": list(found.why),
        "client": client,
        "dialect": seen.ask.dialect,
        "model": seen.ask.model,
        "streamed": seen.ask.streamed,
        "counts": seen.ask.wanted.counts,
        "seeing": seen.ask.seeing,
        "how": seen.how,
        "trouble": seen.trouble,
        "status": seen.status,
        "seconds": round(seen.ended - seen.began, 2),
        "request_bytes": len(seen.ask.body),
        "headers": {name: seen.headers[name] for name in ours if name in seen.headers},
        "begins": seen.raw[:300].decode("utf-8", "replace"),
        "ends": seen.raw[-600:].decode("utf-8", "replace"),
        "meanwhile": weather.told(seen.began, seen.ended)[:30],
    }


def told(options: "Options", gateway: Soaked, tally: "Tally", leaks: list[str], lasted: float) -> Json:
    requests = sum(sum(ends.values()) for ends in tally.ends.values())
    unasked = gateway.unasked_restarts()
    failed = [f"{tally.count(end)} {end}" for end in ("WRONG", "HANG") if tally.count(end)]
    failed += leaks + gateway.troubles
    failed += [f"{name} ended {count} times by itself" for name, count in unasked.items()]
    if not tally.count("whole"):
        failed.append("nothing was answered")
    found: Json = {
        "options": asdict(options),
        "seconds": round(lasted, 1),
        "requests": requests,
        "requests_per_second": round(requests / lasted, 2),
        "megabytes": round(tally.bytes / 1e6, 1),
        "ends": {dialect: dict(ends) for dialect, ends in sorted(tally.ends.items())},
        "failovers": tally.failovers,
        "served": dict(tally.served.most_common()),
        "median_seconds": round(statistics.median(tally.seconds), 3) if tally.seconds else None,
        "faults": len(gateway.weather.faults),
        "ejections": len(gateway.weather.aside),
        "kills": gateway.killed,
        "away": {name: _away(gateway.weather, name) for name in gateway.killed},
        "ended_by_itself": unasked,
        "reloads": {"done": len(gateway.reloads), "refused": gateway.refused, "seconds": _spread(gateway.reloads)},
        "memory": {name: _memory(gateway.memory, name) for name in gateway.killed},
        "leaks": leaks,
        "wrong": tally.wrong,
        "failed": failed,
    }
    return found | {"text": _words(found)}


def _away(weather: Weather, name: str) -> Json:
    """How long the gateway did not answer after a kill, seconds."""
    ended = [kill for kill in weather.kills if kill.who == name and not math.isinf(kill.ended)]
    return _spread([kill.ended - kill.began - MARGIN for kill in ended])


def _spread(seconds: Sequence[float]) -> Json:
    if not seconds:
        return {}
    return {
        "least": round(min(seconds), 2),
        "median": round(statistics.median(seconds), 2),
        "most": round(max(seconds), 2),
    }


def _memory(samples: Sequence[tuple[float, str, int, float]], name: str) -> Json:
    """MB of resident memory; the slope is MB a minute, over the second half of all samples, `course` each 30 s."""
    own = [(at, pid, size) for at, who, pid, size in samples if who == name]
    if not own:
        return {}
    sizes = [size for _, _, size in own]
    half = own[len(own) // 2 :]
    return {
        "start": round(sizes[0], 1),
        "peak": round(max(sizes), 1),
        "end": round(sizes[-1], 1),
        "slope": slope([(at / 60, size) for at, _, size in half]),
        "processes": len({pid for _, pid, _ in own}),
        "course": [round(size, 1) for size in sizes[:: round(30 / SAMPLED_EVERY)]],
    }


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Of the straight line that fits best; None for fewer than three points."""
    if len(points) < 3:
        return None
    return round(statistics.linear_regression(*zip(*points, strict=True)).slope, 2)


def _words(found: Json) -> str:
    ends = [end for end in ENDS if any(by.get(end) for by in found["ends"].values()) or end in ("WRONG", "HANG")]
    rows = [
        f"{found['requests']} requests of {found['options']['streams']} clients in {found['seconds']:.0f} s, seed "
        f"{found['options']['seed']}: {found['requests_per_second']} a second, {found['megabytes']} MB; whole answers "
        f"took {found['median_seconds']} s (median)",
        "",
        f"| dialect | {' | '.join(ends)} |",
        f"|---|{'---|' * len(ends)}",
        *(f"| {who} | {' | '.join(str(by.get(end, 0)) for end in ends)} |" for who, by in found["ends"].items()),
        "",
        f"failovers {found['failovers']}, faults {found['faults']}, put aside {found['ejections']} times",
        "answered by " + ", ".join(f"{label} {count}" for label, count in found["served"].items()),
        f"kills {found['kills']}; away for (s) {found['away']}",
        f"ended by themselves: {found['ended_by_itself'] or 'none'}",
        f"reloads {found['reloads']}",
        "",
        "| RSS, MB | start | peak | end | slope, MB/min | processes |\n|---|---|---|---|---|---|",
        *(
            f"| {name} | {' | '.join(str(at.get(key)) for key in ('start', 'peak', 'end', 'slope', 'processes'))} |"
            for name, at in found["memory"].items()
        ),
        "",
        f"leaked: {'; '.join(found['leaks']) or 'nothing'}",
        *(
            f"WRONG: {one['why']} {one['dialect']} {one['headers']} {one['meanwhile'][:5]}"
            for one in found["wrong"][:10]
        ),
        "FAILED: " + "; ".join(found["failed"]) if found["failed"] else "nothing was lost",
    ]
    return "\n".join(rows)
