"""`mlreg`: the table of commands, their lazy loading, and the end of every call.

What always holds: a command's file is imported only when the command is called; every command
takes `--json`; whatever goes wrong ends as one line on stderr and an exit code, never a traceback.
"""

from __future__ import annotations

import signal
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group
from typing_extensions import override

from mlreg.cli.output import OUTPUT
from mlreg.cli.session import explain
from mlreg.client.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
TERMINATED = 143


class Entry(NamedTuple):
    """Where a command lives: a function, or a Typer of sub-commands, in `commands/<file>.py`."""

    file: str
    attribute: str
    help: str


COMMANDS = {
    "up": Entry("server", "up", "Run everything on this machine."),
    "serve": Entry("server", "serve", "Run the API and the dashboard."),
    "control": Entry("server", "control", "Run the controller."),
    "work": Entry("server", "work", "Run a worker."),
    "demo": Entry("demo", "demo", "Replay a year of real flights."),
    "db": Entry("db", "app", "The database's schema."),
    "doctor": Entry("doctor", "doctor", "Check this installation."),
    "login": Entry("login", "login", "Remember a server and a token to it."),
    "issuer": Entry("issuer", "app", "Which CI pipelines come in without a secret."),
    "whoami": Entry("whoami", "whoami", "Whose token this is, and what it may do."),
    "token": Entry("token", "app", "Create, list, revoke and grant: who may do what."),
    "model": Entry("model", "app", "Create, list, show, archive and delete models."),
    "version": Entry("version", "app", "Register, list, show, download and verify versions."),
    "import": Entry("importing", "app", "Bring models over from other registries."),
    "search": Entry("search", "search", "Find versions by what is true of them."),
    "card": Entry("card", "app", "Show a version's model card, and write into it."),
    "key": Entry("key", "app", "Make signing keys; say whose signatures are trusted."),
    "promote": Entry("deployment", "promote", "Make a version the champion."),
    "approve": Entry("approval", "approve", "Stand behind the promote of a version."),
    "approval": Entry("approval", "app", "List, ask for and withdraw approvals."),
    "protect": Entry("approval", "protect", "Ask for approvals before every promote."),
    "rollback": Entry("deployment", "rollback", "Return to an earlier champion, at once."),
    "fallback": Entry("deployment", "fallback", "Serve the declared fallback instead of a model."),
    "freeze": Entry("deployment", "freeze", "Stop automation for a deployment."),
    "unfreeze": Entry("deployment", "unfreeze", "Let automation go on."),
    "unbar": Entry("deployment", "unbar", "Lift a guard's bar from a version."),
    "environment": Entry("environment", "app", "Declare and list places to deploy to."),
    "status": Entry("status", "status", "What is live, and who is behind."),
    "lineage": Entry("lineage", "lineage", "What a thing was made of, and what came of it."),
    "history": Entry("history", "history", "Every revision of a deployment, or what served when."),
    "alert": Entry("alert", "app", "List, show, snooze and close alerts."),
    "incident": Entry("incident", "app", "List, show, close and report incidents."),
    "policy": Entry("policy", "app", "Apply, show, enable and disable policies."),
    "budget": Entry("cost", "budget", "What all policies together may spend."),
    "cost": Entry("cost", "cost", "What runs took and cost."),
    "retrain": Entry("run", "retrain", "Request a retrain."),
    "run": Entry("run", "app", "List, show, follow, cancel and retry runs."),
    "evaluate": Entry("decision", "evaluate", "Judge a version against the champion."),
    "decision": Entry("decision", "app", "List, show, approve and reject decisions."),
    "log": Entry("log", "app", "Log predictions and labels; keep and erase them."),
    "monitor": Entry("monitor", "app", "Show monitors and their readings."),
    "invariant": Entry("invariant", "app", "Declare what holds in the rows; check it."),
    "drift": Entry("drift", "drift", "Show how far the features have drifted."),
    "parity": Entry("parity", "parity", "Score logged predictions again, and compare."),
    "snapshot": Entry("snapshot", "app", "Create, show and export snapshots."),
    "clock": Entry("clock", "app", "Show and advance the virtual clock."),
    "webhook": Entry("webhook", "app", "Have others told of events: create, test, switch."),
    "events": Entry("webhook", "events", "What happened, in order; --follow goes on."),
    "scrub": Entry("cleanup", "scrub", "Hash stored files anew."),
    "gc": Entry("cleanup", "collect", "Collect what nobody needs."),
    "audit": Entry("audit", "app", "List, verify and export the audit log."),
}


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and loads one when it is called."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            self.add_command(load(cmd_name))
        return super().get_command(ctx, cmd_name)

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS:
            for meant in get_close_matches(args[0], COMMANDS):
                self.get_command(ctx, meant)  # Typer proposes only what is loaded
        return super().resolve_command(ctx, args)

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _choose_json(value: bool) -> None:
    OUTPUT.json = OUTPUT.json or value


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"mlreg {version('mlreg')}")
        raise typer.Exit


JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON document.",
        callback=_choose_json,
        expose_value=False,
        is_eager=True,
    ),
]
VersionOption = Annotated[
    bool,
    typer.Option(
        "--version",
        help="Print the version and exit.",
        callback=_print_version,
        expose_value=False,
        is_eager=True,
    ),
]

root = typer.Typer(
    name="mlreg", cls=LazyGroup, rich_markup_mode=None, add_completion=False, no_args_is_help=True
)


@root.callback()
def mlreg(json: JsonOption = False, version: VersionOption = False) -> None:
    """A self-hosted model registry and continual-learning controller."""


def load(name: str) -> TyperGroup | TyperCommand:
    """Import a command's file and return the command, with `--json` added to every leaf."""
    entry = COMMANDS[name]
    found = getattr(import_module(f"mlreg.cli.commands.{entry.file}"), entry.attribute)
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = None
        group = get_group(found)
        group.name, group.help, group.no_args_is_help = name, entry.help, True
        for leaf in group.commands.values():
            _finish(leaf)
        return group
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(found)
    command = cast("TyperCommand", get_command(app))
    _finish(command)
    return command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _terminated)
    errors: list[Exception] = []
    try:
        with Edge(errors.append):
            code = get_group(root).main(args=words, prog_name="mlreg", standalone_mode=False)
            sys.stdout.flush()  # while there is an exit code for a reader who is gone
            sys.exit(code if isinstance(code, int) else 0)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    OUTPUT.json = OUTPUT.json or "--json" in words  # the options may not have been read yet
    sys.exit(explain(errors[0]))


def _terminated(_number: int, _frame: object) -> None:
    """End as after Ctrl-C: what is half-written is removed on the way out."""
    sys.exit(TERMINATED)


def _finish(leaf: Any) -> None:  # noqa: ANN401 - a command of Typer's private click
    """Add `--json`; write every argument in capitals, and a command's whole first sentence."""
    leaf.params.append(get_group(root).params[0])
    leaf.short_help = " ".join((leaf.help or "").split("\n\n")[0].split())
    for param in leaf.params:
        if param.param_type_name == "argument" and param.metavar is None:
            param.metavar = param.name.upper()
