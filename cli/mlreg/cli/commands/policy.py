"""`mlreg policy`: the declared automation of a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.output import OUTPUT, say, show, warn
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.cli.text_files import STDIN, read_text
from mlreg.client.wire.policies import FiringAnswer, PolicyAnswer

app = typer.Typer(add_completion=False)

Model = Annotated[str, typer.Argument(help="The model.")]
Environment = Annotated[str, typer.Option("--env", help="The environment.")]


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Option("-f", "--file", help="The policy file; - is stdin.")],
) -> None:
    """Put a policy file in force; runs inherit the commit of the folder it lies in."""
    from mlreg.client.provenance import capture_git

    text = read_text(file, "invalid_policy")
    git = capture_git(None if file == STDIN else file.resolve().parent)
    with open_client() as client:
        answer = client.policies.apply(text, git=git)
    where = f"{answer.model} in {answer.environment}"
    show(answer, text=f"policy {answer.number} is in force for {where}; {_next(answer)}")
    for warning in answer.warnings:
        warn(f"warning: {warning}")
    if git is None:
        say("The file lies in no git working tree: its runs will have no commit to name.")


@app.command("show")
def show_policy(
    model: Model,
    env: Environment = "production",
    source: Annotated[bool, typer.Option(help="Print the file as it was applied.")] = False,
) -> None:
    """Show the policy in force and its newest firings."""
    with open_client() as client:
        answer = client.policies.get(model, env)
        firings = client.policies.firings(model, env, limit=10)
    if source and not OUTPUT.json:
        print(answer.source, end="")
        return
    document = {**answer.model_dump(mode="json"), "firings": firings}
    state = "enabled" if answer.enabled else "disabled"
    title = (
        f"policy {answer.number} of {answer.model} in {answer.environment} ({state}),"
        f" applied {answer.applied_at:%Y-%m-%d %H:%M} by {answer.applied_by}; {_next(answer)}\n"
    )
    show(document, text=title, table=_firings(firings))


@app.command("firings")
def list_firings(
    model: Model,
    env: Environment = "production",
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
) -> None:
    """List when triggers fired and what came of it, newest first."""
    with open_client() as client:
        found = client.policies.firings(model, env, limit=limit)
    show(found, table=_firings(found))


@app.command("enable")
def enable(model: Model, env: Environment = "production") -> None:
    """Let the policy act again."""
    with open_client() as client:
        answer = client.policies.enable(model, env)
    show(answer, text=f"policy {answer.number} of {model} in {env} is enabled; {_next(answer)}")


@app.command("disable")
def disable(model: Model, env: Environment = "production") -> None:
    """Stop the policy; nothing is forgotten."""
    with open_client() as client:
        answer = client.policies.disable(model, env)
    show(answer, text=f"policy {answer.number} of {model} in {env} is disabled")


def _next(answer: PolicyAnswer) -> str:
    if not answer.enabled or answer.next_due is None:
        return "nothing is due"
    return f"next look {answer.next_due:%Y-%m-%d %H:%M} UTC, next lane {answer.next_lane}"


def _firings(found: list[FiringAnswer]) -> Table:
    rows = [
        (
            f"{one.fire_at:%Y-%m-%d %H:%M}",
            ", ".join(one.triggers),
            one.outcome,
            one.run,
            "; ".join(str(reading.get("because", "")) for reading in one.readings),
        )
        for one in found
    ]
    return Table(("fired", "triggers", "outcome", "run", "because"), rows, "no trigger has fired")
