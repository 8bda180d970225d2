"""`mlreg policy`: the declared automation of a deployment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mlreg.cli.commands.backtest import backtest, backtests
from mlreg.cli.commands.policy_triggers import call, fire, why
from mlreg.cli.options import Before, Environment, Limit, Model
from mlreg.cli.output import OUTPUT, say, show, warn
from mlreg.cli.policy_texts import change_lines, firings_table, next_words, preview_lines
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.cli.text_files import STDIN, read_text
from mlreg.client.wire.policies import PolicyAnswer

app = typer.Typer(add_completion=False)

Number = Annotated[int, typer.Argument(help="The number of a version of the policy.", min=1)]


@app.command("init")
def init(model: Model, env: Environment = "production") -> None:
    """Print a policy file to begin with, for this model, with comments."""
    with open_client() as client:
        text = client.policies.starter(model, env)
    show({"text": text}, text=text.rstrip("\n"))


@app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a policy file, for editors."""
    with open_client() as client:
        schema = client.policies.schema()
    print(json.dumps(schema, indent=2, ensure_ascii=False))


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Option("-f", "--file", help="The policy file; - is stdin.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would change and do.")
    ] = False,
) -> None:
    """Put a policy file in force; runs inherit the commit of the folder it lies in."""
    from mlreg.client.provenance import capture_git

    text = read_text(file, "invalid_policy")
    if dry_run:
        with open_client() as client:
            preview = client.policies.preview(text)
        show(preview, text="\n".join(preview_lines(preview)))
        _warn(preview.warnings)
        return
    git = capture_git(None if file == STDIN else file.resolve().parent)
    with open_client() as client:
        answer = client.policies.apply(text, git=git)
    _tell_applied(answer)
    if git is None:
        say("The file lies in no git working tree: its runs will have no commit to name.")


@app.command("show")
def show_policy(
    model: Model,
    env: Environment = "production",
    number: Annotated[
        int | None, typer.Option(help="An earlier version of it, not the one in force.", min=1)
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Print the file as it was applied.")
    ] = False,
) -> None:
    """Show the policy in force and its newest firings."""
    with open_client() as client:
        answer = client.policies.get(model, env, number=number)
        firings = [] if number else client.policies.firings(model, env, limit=10).items
    if source and not OUTPUT.json:
        print(answer.source, end="")
        return
    document = {**answer.model_dump(mode="json"), "firings": firings}
    state = "enabled" if answer.enabled else "not in force" if number else "disabled"
    title = (
        f"policy {answer.number} of {answer.model} in {answer.environment} ({state}),"
        f" applied {answer.applied_at:%Y-%m-%d %H:%M} by {answer.applied_by}"
    )
    if number:
        show(document, text=f"{title}\n\n{answer.source.rstrip()}")
        return
    show(document, text=f"{title}; {next_words(answer)}\n", table=firings_table(firings))


@app.command("history")
def list_versions(
    model: Model,
    env: Environment = "production",
    before: Before = None,
    limit: Limit = 50,
) -> None:
    """List the versions of a policy, newest first."""
    with open_client() as client:
        page = client.policies.history(model, env, before=before, limit=limit)
    rows = [
        (
            one.number,
            f"{one.applied_at:%Y-%m-%d %H:%M}",
            one.applied_by,
            one.commit and one.commit[:12],
            one.changes,
        )
        for one in page.items
    ]
    table = Table(("number", "applied", "by", "commit", "changes"), rows, "no policy was applied")
    show(page, table=table, more="--before")


@app.command("diff")
def diff(model: Model, old: Number, new: Number, env: Environment = "production") -> None:
    """Say what is different between two versions of a policy, key by key."""
    with open_client() as client:
        found = client.policies.diff(model, old, new, env)
    show(found, text="\n".join(change_lines(found.changes)) or "the two do the same")


@app.command("revert")
def revert(
    model: Model,
    to: Annotated[int, typer.Option("--to", help="The number of the version.", min=1)],
    env: Environment = "production",
) -> None:
    """Put the text of an earlier version in force again, as a new version."""
    with open_client() as client:
        answer = client.policies.revert(model, to, env)
    _tell_applied(answer)


@app.command("firings")
def list_firings(
    model: Model,
    env: Environment = "production",
    before: Before = None,
    limit: Limit = 50,
) -> None:
    """List when triggers fired and what came of it, newest first."""
    with open_client() as client:
        page = client.policies.firings(model, env, before=before, limit=limit)
    show(page, table=firings_table(page.items), more="--before")


@app.command("enable")
def enable(model: Model, env: Environment = "production") -> None:
    """Let the policy act again."""
    with open_client() as client:
        answer = client.policies.enable(model, env)
    show(
        answer, text=f"policy {answer.number} of {model} in {env} is enabled; {next_words(answer)}"
    )


@app.command("disable")
def disable(model: Model, env: Environment = "production") -> None:
    """Stop the policy; nothing is forgotten."""
    with open_client() as client:
        answer = client.policies.disable(model, env)
    show(answer, text=f"policy {answer.number} of {model} in {env} is disabled")


app.command("why")(why)
app.command("fire")(fire)
app.command("call")(call)
app.command("backtest")(backtest)
app.command("backtests")(backtests)


def _tell_applied(answer: PolicyAnswer) -> None:
    where = f"{answer.model} in {answer.environment}"
    lines = [
        f"policy {answer.number} is in force for {where}; {next_words(answer)}"
        if answer.enabled
        else f"policy {answer.number} is applied for {where}, and disabled:"
        f" `mlreg policy enable {answer.model}` lets it act"
    ]
    if answer.number > 1:
        lines += change_lines(answer.changes)
    show(answer, text="\n".join(lines))
    _warn(answer.warnings)


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        warn(f"warning: {warning}")
