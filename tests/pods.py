"""Runs a Deployment's pod as processes of this machine: by the manifests' own commands, probes and hooks.

In the order of a kubelet: init containers to their end, and
sidecars one after the other, each when the startup probe of the one before has passed; then
the containers, until they are ready; and at the end each container's hook and its TERM, and the sidecars' in reverse.
Paths of the pod lead into a folder; `python` and `envoy` are this machine's.
"""

import asyncio
import base64
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from archgw.machine import envoy_binary

Json = dict[str, Any]
PATIENCE = 60.0  # seconds


@dataclass
class Pod:
    """`objects`: all that the kustomization builds. `instead`: words of its files and commands, as they are here."""

    objects: list[Json]
    folder: Path
    instead: Mapping[str, str]
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def spec(self) -> Json:
        (deployment,) = (one for one in self.objects if one["kind"] == "Deployment")
        return deployment["spec"]["template"]["spec"]

    async def start(self) -> None:
        for volume in self.spec["volumes"]:
            self._fill(volume)
        for sidecar in self.spec["initContainers"]:
            await self._start(sidecar)
            if sidecar.get("restartPolicy") != "Always":
                assert await self.running.pop(sidecar["name"]).wait() == 0, self.log(sidecar["name"])
            elif "startupProbe" in sidecar:
                await self._until(lambda one=sidecar: self._exec(one, one["startupProbe"]["exec"]["command"]))
        for container in self.spec["containers"]:
            await self._start(container)
            await self._until(lambda one=container: self._is_ready(one))

    async def end(self) -> None:
        for container in self.spec["containers"]:
            assert await self._exec(container, container["lifecycle"]["preStop"]["exec"]["command"])
            await self._terminate(container)
        for sidecar in reversed(self.spec["initContainers"]):
            if sidecar["name"] in self.running:
                await self._terminate(sidecar)

    async def restart(self, name: str) -> None:
        """A sidecar, as the kubelet does when it has ended by itself: no other container is started anew."""
        (sidecar,) = (one for one in self.spec["initContainers"] if one["name"] == name)
        await self._terminate(sidecar)
        await self._start(sidecar)
        await self._until(lambda: self._exec(sidecar, sidecar["startupProbe"]["exec"]["command"]))

    async def kill(self) -> None:
        for process in self.running.values():
            if process.returncode is None:
                process.kill()
                await process.wait()

    def url(self, container: Json) -> str:
        """Where its port `http` is."""
        (port,) = (one for one in container["ports"] if one["name"] == "http")
        return f"http://127.0.0.1:{port['containerPort']}"

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def _fill(self, volume: Json) -> None:
        folder = self.folder / volume["name"]
        folder.mkdir()
        if "configMap" in volume:
            for name, text in self._named("ConfigMap", volume["configMap"]["name"])["data"].items():
                (folder / name).write_text(self._within(self._here(text)))
        if "secret" in volume:
            for name, text in self._named("Secret", volume["secret"]["secretName"])["data"].items():
                (folder / name).write_bytes(base64.b64decode(text))

    def _named(self, kind: str, name: str) -> Json:
        (found,) = (one for one in self.objects if one["kind"] == kind and one["metadata"]["name"] == name)
        return found

    def _here(self, text: str) -> str:
        for pod, here in self.instead.items():
            text = text.replace(pod, here)
        return text

    def _command(self, container: Json, words: Iterable[str]) -> list[str]:
        first, *rest = (self._mounted(container, self._here(word)) for word in words)
        return [{"python": sys.executable, "envoy": str(envoy_binary())}.get(first, first), *rest]

    def _mounted(self, container: Json, word: str) -> str:
        """The longest first: /run/archgw begins /run/archgw-keys."""
        mounts = {mount["mountPath"]: str(self.folder / mount["name"]) for mount in container["volumeMounts"]}
        known = "|".join(sorted(map(re.escape, mounts), key=len, reverse=True))
        return re.sub(rf"(?<![\w/])({known})\b", lambda found: mounts[found[1]], word)

    def _within(self, text: str) -> str:
        """A file that names paths of the pod: those of the first sidecar that has all of them."""
        return self._mounted(self.spec["containers"][0], text)

    def _environment(self, container: Json) -> dict[str, str]:
        given = {one["name"]: self._mounted(container, one["value"]) for one in container.get("env", ())}
        return {"PATH": "/usr/bin:/bin", **{n: os.environ[n] for n in ("PYTHONPATH",) if n in os.environ}, **given}

    async def _start(self, container: Json) -> None:
        with (self.folder / f"{container['name']}.log").open("wb") as log:
            self.running[container["name"]] = await asyncio.create_subprocess_exec(
                *self._command(container, container["command"]),
                env=self._environment(container),
                stdout=log,
                stderr=log,
            )

    async def _exec(self, container: Json, words: Iterable[str]) -> bool:
        process = await asyncio.create_subprocess_exec(
            *self._command(container, words), env=self._environment(container), stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait() == 0

    async def _is_ready(self, container: Json) -> bool:
        probe = container["readinessProbe"]["httpGet"]
        try:
            async with aiohttp.ClientSession() as client, client.get(self.url(container) + probe["path"]) as reply:
                return reply.status == 200
        except aiohttp.ClientError:
            return False

    async def _terminate(self, container: Json) -> None:
        process = self.running[container["name"]]
        process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)

    async def _until(self, true: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not await true():
                assert all(process.returncode is None for process in self.running.values()), "a container has ended"
                await asyncio.sleep(0.1)
