"""What Envoy is told: three files in the run folder, of which it reads two anew whenever they are replaced.

A reload puts what is new beside what is there. What nobody names any more stays until no request can be under way that
knew it; so none is cut short, and none fails for it.
"""

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from archgw.home import Home, write_private
from archgw.render import envoy
from archgw.render.envoy_pieces import Json
from router_service.plan import Plan
from router_service.shell import envoy_admin

_TAKEN_WITHIN = 20.0  # seconds, in which an Envoy that has just ended is there again
_RESOLVED_WITHIN = 5.0  # seconds in which the addresses of new providers are looked up
_ASKED_EVERY = 0.02


class NotTaken(Exception):
    """Envoy does not take what it was told; in words."""


@dataclass(frozen=True, slots=True)
class _Leaving:
    until: float  # on the monotonic clock
    clusters: dict[str, Json]


@dataclass
class EnvoyFiles:
    """`ca_file`: what providers' certificates are checked against."""

    home: Home
    ca_file: str
    _clusters: dict[str, Json] = field(default_factory=dict)
    _routes: tuple[Json, ...] = ()
    _leaving: list[_Leaving] = field(default_factory=list)
    _edition: int = 0

    def begin(self, plan: Plan) -> None:
        """Write all three, for an Envoy that is to start."""
        files = self._files(plan)
        self._clusters, self._routes, self._leaving = _by_name(files.clusters), files.routes, []
        write_private(self.home.envoy_config, json.dumps(files.bootstrap, indent=1))
        self._write(self._clusters, self._routes)

    def whole(self, plan: Plan) -> str:
        """All in one file, for Envoy's strict check, which looks into no others."""
        return json.dumps(envoy.render(plan, self._place))

    def listens_alike(self, old: Plan, new: Plan) -> bool:
        """Whether Envoy as it was started does for the new plan, too."""
        return self._files(old).bootstrap == self._files(new).bootstrap

    async def offer(self, plan: Plan) -> None:
        """Tell Envoy what the plan names, beside what it knows. Raises NotTaken, and then nothing has changed."""
        files = self._files(plan)
        self._write(self._present() | _by_name(files.clusters), files.routes)
        try:
            await self._taken()
        except NotTaken:
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Back to what it was before the offer."""
        self._write(self._present(), self._routes)

    def settle(self, plan: Plan, *, leave_after: float) -> None:
        """The offer holds: what it does not name leaves after so many seconds."""
        files = self._files(plan)
        new = _by_name(files.clusters)
        gone = {name: cluster for name, cluster in self._clusters.items() if name not in new}
        if gone:
            self._leaving.append(_Leaving(time.monotonic() + leave_after, gone))
        self._clusters, self._routes = new, files.routes

    def tidy(self) -> None:
        """Let go whose time has come."""
        staying = [leaving for leaving in self._leaving if leaving.until > time.monotonic()]
        if len(staying) < len(self._leaving):
            before, self._leaving = self._leaving, staying
            try:
                self._write(self._present(), self._routes)
            except OSError:
                self._leaving = before
                raise

    @property
    def _place(self) -> envoy.Place:
        return envoy.Place(
            router_socket=str(self.home.router_socket),
            admin_socket=str(self.home.admin_socket),
            ca_file=self.ca_file,
            access_log=str(self.home.log("access")),
        )

    def _files(self, plan: Plan) -> envoy.Files:
        return envoy.files(plan, self._place, routes=str(self._file("routes")), clusters=str(self._file("clusters")))

    def _file(self, name: str) -> Path:
        return self.home.discovery / f"{name}.json"

    def _present(self) -> dict[str, Json]:
        present: dict[str, Json] = {}
        for leaving in self._leaving:
            present |= leaving.clusters
        return present | self._clusters

    def _write(self, clusters: dict[str, Json], routes: tuple[Json, ...]) -> None:
        self._edition += 1
        for name, resources in (("routes", routes), ("clusters", clusters.values())):
            write_private(self._file(name), json.dumps(envoy.resources(str(self._edition), resources)))

    def _statistics(self) -> dict[str, str]:
        try:
            return envoy_admin.statistics(
                self.home.admin_socket, r"(\.version_text|\.update_rejected|\.warming_clusters)$"
            )
        except OSError:  # it is just being started again
            return {}

    async def _taken(self) -> None:
        """Until Envoy has this edition of both, and has looked up the addresses. Raises NotTaken."""
        begun, rejected = time.monotonic(), None
        while time.monotonic() - begun < _TAKEN_WITHIN:
            found = await asyncio.to_thread(self._statistics)
            editions = found.get("cluster_manager.cds.version_text"), found.get("http.front.rds.front.version_text")
            warming = found.get("cluster_manager.warming_clusters", "0") != "0"
            if set(editions) == {f'"{self._edition}"'} and not (
                warming and time.monotonic() - begun < _RESOLVED_WITHIN
            ):
                return
            now = (
                found.get("cluster_manager.cds.update_rejected"),
                found.get("http.front.rds.front.update_rejected"),
            )
            if rejected and now != rejected and None not in now:
                raise NotTaken("Envoy does not accept it; its log says why: archgw logs")
            rejected = now if None not in now else rejected
            await asyncio.sleep(_ASKED_EVERY)
        raise NotTaken(f"Envoy has not taken it within {_TAKEN_WITHIN:g} s")


def _by_name(clusters: Iterable[Json]) -> dict[str, Json]:
    return {cluster["name"]: cluster for cluster in clusters}
