"""archgw render kubernetes: a folder of manifests."""

import os
import shlex
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from archgw import configs, report, simulated
from archgw.render import kubernetes, kubernetes_overlays
from archgw.render.config_text import url_in, variables, without
from archgw.render.containers import Several
from archgw.render.kubernetes_overlays import Simulated
from router_service.config import Config, ConfigErrors, LocalModel, RemoteModel
from router_service.config.addresses import host_of, is_local
from router_service.config.keys import redact
from router_service.plan import Plan

_LEFT_OUT = "In a pod, localhost is the pod itself, where nobody answers:"


def render_kubernetes(
    config: configs.Argument = None,
    out: Annotated[Path, typer.Option(help="The folder to write into; what else is in it stays.")] = Path(
        "deploy/kubernetes"
    ),
) -> None:
    """Write a kustomize base, the overlays single, ha and dev, and components that some clusters have use for.

    Keys are in none of it. A model at localhost is left out: in a pod that is the pod itself.
    """
    path = configs.find(config)
    given, written = configs.complete(path), path.read_text("utf-8")
    if told := list(_in_the_open(given, written)):
        report.fail("what is written there would stand in a ConfigMap: " + "; ".join(told))
    try:
        text = kubernetes.in_pod(written, given.listener, guarded=bool(given.clients))
        text, plan = _without_local(path, text, given)
        texts = kubernetes.Texts(text, rules_text(), _variables(configs.unsettled(path), text))
        rendered = kubernetes.render(plan, texts, _simulated(path, text))
        _check(path, plan, rendered["overlays/ha/config.yaml"])
    except (ConfigErrors, ValueError) as error:
        report.fail(f"{path} cannot be changed for a pod: {error}")
    except Several as error:
        report.fail(f"{path}: {error}")
    for name, content in rendered.items():
        file = out / name
        with report.written(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, "utf-8")
    report.warn((*_like_a_key(path, written), *_nobody_there(plan)))
    _tell(plan, out, len(rendered))


def rules_text() -> str:
    """The alerts of the package, or of the repository that this is run from."""
    packaged = Path(str(files("archgw") / "archgw.rules.yml"))
    beside = Path(str(files("archgw"))).parents[1] / "deploy" / "prometheus" / "archgw.rules.yml"
    return (packaged if packaged.is_file() else beside).read_text("utf-8")


def _in_the_open(plan: Plan, text: str) -> Iterable[str]:
    """Where the config says a key or a password itself."""
    keys = [(candidate.label, candidate.key) for candidate in plan.candidates]
    if isinstance(plan.routing.model, RemoteModel):
        keys.append(("routing.model", plan.routing.model.key))
    for where, key in keys:
        if key and not key.source.startswith("$"):
            yield f"the key of {where} (write access_key: $A_NAME)"
    for section in ("state", "ledger"):
        if "@" in url_in(text, section):
            yield f"{section}.url (write url: $A_NAME)"


def _like_a_key(path: Path, text: str) -> Iterable[str]:
    """What no key of the config says, such as one in a comment. Digests of clients' keys may be read by anybody."""
    for number, line in enumerate(text.splitlines(), 1):
        if "sha256:" not in line and redact(line) != line:
            yield f"{path}:{number} looks like a key or a password, and stands in the ConfigMap now"


def _check(path: Path, plan: Plan, shared: str) -> None:
    """That what was changed as text says what it is to say. Raises ConfigErrors, ValueError."""
    stores = {kubernetes_overlays.REDIS_URL: "redis://a", kubernetes_overlays.LEDGER_URL: "postgresql://b"}
    replicas = configs.rewritten(path, shared, {**os.environ, **stores})
    if plan.listener.address != kubernetes.ADDRESS or [replicas.state.url, replicas.ledger.url] != [*stores.values()]:
        raise ValueError("write listeners, state and ledger as sections of their own, each line by line")


def _nobody_there(plan: Plan) -> Iterable[str]:
    """What the router service itself asks at localhost, which nothing can be left out for."""
    model = plan.routing.model
    asked = {"telemetry.otlp": plan.telemetry.otlp, "state.url": plan.state.url, "ledger.url": plan.ledger.url}
    if isinstance(model, RemoteModel):
        asked["routing.model"] = model.base_url
    for place, url in asked.items():
        if "://" in url and is_local(host_of(url)):
            yield f"{place} is at localhost, which in a pod is the pod itself: nobody answers there"
    if isinstance(model, LocalModel):
        yield "routing.model is a folder of this machine: mount it into the container router, beside the config"


def _without_local(path: Path, text: str, given: Plan) -> tuple[str, Plan]:
    """Without models of this machine, if that leaves a config; the rest of it may need them by name."""
    local = [candidate.label for candidate in given.candidates if is_local(candidate.address.host)]
    plan = configs.rewritten(path, text)
    if not local:
        return text, plan
    try:
        shorter = without(text, dict.fromkeys(local, _LEFT_OUT))
        without_them = configs.rewritten(path, shorter)
    except (ConfigErrors, ValueError):
        without_them = plan
    if any(candidate.label in local for candidate in without_them.candidates):
        report.warn(f"{name} is at localhost, which in a pod is the pod itself: nobody answers there" for name in local)
        return text, plan
    report.warn(f"{name} is at localhost, which in a pod is the pod itself: left out" for name in local)
    return shorter, without_them


def _variables(config: Config, text: str) -> tuple[str, ...]:
    """What the config wants to be told, by name, those that vendors' keys have of themselves among them."""
    kept = variables(text)
    for entry in config.providers:
        if entry.missing_key:
            kept.add(entry.missing_key)
        elif entry.access_key and entry.access_key.source.startswith("$"):
            kept.add(entry.access_key.source.strip("${}"))
    return tuple(sorted(kept))


def _simulated(path: Path, text: str) -> Simulated | None:
    """With a stand-in for each vendor; None where one has none."""
    from archgw.simulate import VENDORS  # with the server that simulates them

    try:
        names = simulated.vendors(text)
        urls = {name: f"http://127.0.0.1:{kubernetes_overlays.FIRST_VENDOR + n}" for n, name in enumerate(names)}
        rewired, keys = simulated.rewired(text, urls), simulated.keys(names)
        if set(names) <= set(VENDORS):
            configs.rewritten(path, rewired, keys)  # that it is a config
            return Simulated(rewired, tuple(names), keys)
    except (KeyError, ConfigErrors):  # not every model is of a vendor that we know, below `llm_providers`
        pass
    report.warn(["no overlay dev: it wants `llm_providers`, and a simulated vendor for each of them"])
    return None


def _tell(plan: Plan, out: Path, count: int) -> None:
    print_ = report.console.print
    print_(f"{count} files in {escape(str(out))}.", soft_wrap=True)
    if not plan.clients:
        print_("Whoever the NetworkPolicy lets in may ask; with `clients`, only who has a key: archgw client-key")
    folder = escape(shlex.quote(str(out)))
    print_(f"Next: cp {folder}/secrets.env.example {folder}/secrets.env, fill it in, then:", soft_wrap=True)
    print_("  kubectl create namespace archgw", soft_wrap=True)
    secret = f"generic archgw-keys --from-env-file={folder}/secrets.env"
    print_(f"  kubectl -n archgw create secret {secret}", soft_wrap=True)
    print_(f"  kubectl apply -k {folder}/overlays/single", soft_wrap=True)
