"""`mlreg invariant`: what is declared to hold in a model's rows, and whether it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.options import Before, Limit, Model
from mlreg.cli.output import OUTPUT, progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.cli.text_files import read_text
from mlreg.client.errors import RefusedError
from mlreg.client.states import became
from mlreg.client.wire.invariants import CheckFound, InvariantAnswer, InvariantsAnswer

app = typer.Typer(add_completion=False)

Environment = Annotated[str, typer.Option("--env", help="Readings of this environment.")]


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Option("-f", "--file", help="The YAML file; - is stdin.")],
) -> None:
    """Declare invariants of a model's rows, in place of those before."""
    text = read_text(file, "invalid_invariants")
    with open_client() as client:
        answer = client.invariants.apply(text)
    count = len(answer.invariants)
    show(answer, text=f"set {answer.number} of {answer.model}: {count} invariants are declared")


@app.command("list")
def list_(model: Model, env: Environment = "production") -> None:
    """List the invariants of a model, each with what was last read of it in the log."""
    with open_client() as client:
        answer = client.invariants.get(model, env)
    show(answer.invariants, text=_title(answer), table=_declared(answer.invariants))


@app.command("show")
def show_(
    model: Model,
    number: Annotated[
        int | None, typer.Option(help="This set of invariants; else the newest.", min=1)
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="All sets, newest first.")] = False,
    before: Before = None,
    limit: Limit = 50,
) -> None:
    """Print the file of invariants as it was applied."""
    with open_client() as client:
        if history:
            page = client.invariants.history(model, before=before, limit=limit)
            rows = [
                (one.number, f"{one.applied_at:%Y-%m-%d %H:%M}", one.applied_by, _count(one))
                for one in page.items
            ]
            headers = ("set", "applied", "by", "invariants")
            empty = f"nothing was declared of {model}"
            show(page, table=Table(headers, rows, empty), more="--before")
            return
        answer = client.invariants.get(model, number=number)
    if OUTPUT.json:
        show(answer)
        return
    print(answer.source, end="")


@app.command("check")
def check(
    model: Model,
    snapshot: Annotated[str, typer.Option(help="The snapshot's digest.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for what is found.")] = False,
) -> None:
    """Check a snapshot; with --wait it ends with 1 where a run would be refused."""
    with open_client() as client:
        asked = client.invariants.check(model, snapshot)
        if not wait:
            show(asked, text=f"check {asked.number} {became(asked.state)}")
            return
        with progress(f"check {asked.number}"):
            found = client.invariants.wait(asked.number)
    show(found, text=_found(found), table=_checked(found))
    if found.blocked:
        message = f"a run would not train on these rows: {', '.join(found.blocked)}"
        raise RefusedError(message, code="invariant_broken")


def _title(answer: InvariantsAnswer) -> str:
    applied = f"{answer.applied_at:%Y-%m-%d %H:%M} by {answer.applied_by}"
    return f"set {answer.number} of {answer.model}, applied {applied}\n"


def _count(one: InvariantsAnswer) -> int:
    return len(one.invariants)


def _declared(found: list[InvariantAnswer]) -> Table:
    rows = [
        (
            one.name,
            one.severity,
            one.at_most,
            None if one.latest is None else one.latest.value,
            None if one.latest is None else one.latest.verdict or one.latest.state,
            one.rule,
        )
        for one in found
    ]
    headers = ("name", "severity", "at most", "newest", "verdict", "rule")
    return Table(headers, rows, "nothing is declared", spare=("at most",))


def _found(found: CheckFound) -> str:
    held = sum(one.holds is not False for one in found.invariants)
    all_ = len(found.invariants)
    return f"{found.rows:,} rows under set {found.number}: {held} of {all_} invariants hold\n"


def _checked(found: CheckFound) -> Table:
    rows = [
        (
            one.name,
            one.severity,
            {True: "holds", False: "broken", None: "not judged"}[one.holds],
            one.broken,
            one.checked,
            one.value if one.at_most is None else None,
            " ".join(one.examples),
        )
        for one in found.invariants
    ]
    headers = ("name", "severity", "verdict", "broken", "checked", "value", "examples")
    return Table(headers, rows, "nothing is declared", spare=("value", "severity"))
