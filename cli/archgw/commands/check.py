"""archgw check, example: look before you run."""

import json
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

from rich.markup import escape

from archgw import configs, lint, report
from archgw.home import home
from archgw.machine import CannotStart, ca_file, refusal
from archgw.render import envoy
from router_service.config import Budget, Client, Config, RemoteModel
from router_service.plan import Candidate, Plan


def check(config: configs.Argument = None) -> None:
    """Check the config, the keys, the preferences and the Envoy configuration. Changes nothing, asks nobody.

    Preferences that overlap, say little or reach nothing are told, each with a suggestion.
    """
    path = configs.find(config)
    settings, plan = configs.resolve(path)
    report.warn(settings.warnings)
    out = report.console
    out.print(f"{escape(str(path))}: {len(plan.candidates)} models, {len(plan.routes)} preferences\n", soft_wrap=True)
    out.print(report.routes_table(plan))
    out.print()
    for candidate in plan.candidates:
        out.print(f"  {escape(candidate.label)}: {escape(_proof(candidate))}", soft_wrap=True)
    for item in plan.disabled:
        out.print(f"  [yellow]{escape(item.label)}: {escape(item.reason)}[/yellow]", soft_wrap=True)
    configs.check_model(settings)
    for client in plan.clients:
        out.print(f"  client {escape(client.name)}: {_until(client, time.time())}", soft_wrap=True)
    for budget in plan.budgets:
        out.print(f"  budget {escape(_limit(budget))}", soft_wrap=True)
    remote = isinstance(settings.routing.model, RemoteModel)
    _note(lint.idle(plan, learns=settings.learning.enabled, tells_difficulty=not remote))
    report.warn(filter(None, [_nothing_learned(plan)]))
    _lint(settings)
    if home().sockets:
        out.print("\nEnvoy is in a container of its own, and checks what it is told when it starts.")
        out.print("\n[green]Everything is in order.[/green]")
        return
    _validate(plan)
    out.print("\n[green]Everything is in order.[/green]  Start it: archgw up")


def _limit(budget: Budget) -> str:
    """`everything: $50 a month, from 80 % of it: warn (UTC)`."""
    said = budget.name if budget.name.startswith(budget.amount) else f"{budget.name}: {budget.amount} a {budget.per}"
    begins = f", from {budget.begins * 100:g} % of it" if budget.begins < 1 else ""
    zone = f" ({budget.time_zone})" if budget.per != "session" else ""
    return f"{said}{begins}: {budget.then}{zone}"


def _until(client: Client, now: float) -> str:
    if client.expires is None:
        return "a key"
    last = time.strftime("%Y-%m-%d", time.gmtime(client.expires - 1))
    return f"a key until {last}" if now < client.expires else f"[yellow]a key that ended with {last}[/yellow]"


def example() -> None:
    """Print the example config, to start your own from: archgw example > config.yaml"""
    sys.stdout.write(example_text())


def example_text() -> str:
    """The config.yaml of the package, or of the repository that this is run from."""
    packaged = Path(str(files("archgw") / "config.yaml"))
    path = packaged if packaged.is_file() else Path(str(files("archgw"))).parents[1] / "config.yaml"
    return path.read_text("utf-8")


def _proof(candidate: Candidate) -> str:
    """By what its vendor knows us."""
    if candidate.key:
        return candidate.key.source
    if candidate.identity and candidate.provider.cloud:
        where = f" for {candidate.identity.region}" if candidate.identity.region else ""
        return f"{candidate.provider.cloud.credentials}{where}"
    return "the client's own login" if candidate.passthrough else "no key needed"


def _lint(settings: Config) -> None:
    """Says where the preferences do not tell asks apart. Notes, not errors: routing works, less well.

    An LLM that routes is not asked: what can be said without it is said by the model that comes along.
    """
    wanted = settings.routing.model
    if isinstance(wanted, RemoteModel):
        report.console.print(
            f"\nRouted by {escape(wanted.name)} at {escape(wanted.base_url)}: what is asked is sent there, too.",
            soft_wrap=True,
        )
    if not settings.preferences:
        return
    with report.errors.status("asking the router model about the preferences ..."):
        from router_service.shell.onnx_model import BadModel  # loads the tokenizer library: a second
        from router_service.shell.onnx_router import OnnxRouter
        from router_service.shell.router_model import onnx_model

        preferences = [(p.name, p.description) for p in settings.preferences]
        probes = (files("archgw") / "probes.txt").read_text("utf-8").splitlines()

        def router(some: lint.Preferences) -> lint.Score:
            return OnnxRouter([(name, name, text) for name, text in some], model).score

        try:
            model = onnx_model(None if isinstance(wanted, RemoteModel) else wanted)
            if isinstance(wanted, RemoteModel):
                found = lint.findings_beside_an_llm(preferences, probes, router)
            else:
                found = lint.findings(preferences, probes, router, model.preference_reading, ours=wanted is None)
        except BadModel as error:
            report.fail(f"routing.model: {error}")
    _note(found)


def _note(found: list[lint.Finding]) -> None:
    for finding in found:
        said = f"{' and '.join(finding.names)}: {finding.message}"
        report.console.print(f"\n[yellow]note:[/yellow] {escape(said)}\n  {escape(finding.suggestion)}", soft_wrap=True)


def _validate(plan: Plan) -> None:
    """Envoy's own strict check of what we render."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "envoy.json"
            file.write_text(json.dumps(envoy.render(plan, envoy.Place(ca_file=ca_file()))))
            refused = refusal(file)
    except CannotStart as error:
        report.fail(str(error))
    if refused:
        report.fail(refused)
    report.console.print("\nEnvoy accepts its configuration.")


def _nothing_learned(plan: Plan) -> str:
    """Why nothing is learned from feedback, in words; empty where it is."""
    if plan.learning.enabled and plan.ledger.url == "none":
        return "nothing is learned from feedback: that is kept in the ledger, and the config keeps none (ledger.url)"
    return ""
