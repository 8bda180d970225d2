"""Second persons: protect a deployment, approve versions for it, see what waits."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.commands.deployment import (
    PRODUCTION,
    Environment,
    Expect,
    Reason,
    expected_revision,
    version_number,
)
from mlreg.cli.options import Before, Limit, Model
from mlreg.cli.output import show, warn
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.wire.approvals import ApprovalsAnswer, GivenAnswer, WaitingAnswer

app = typer.Typer(add_completion=False)

VersionWord = Annotated[str, typer.Argument(help="Number of the version.")]


def protect(
    model: Model,
    approvals: Annotated[
        int, typer.Option("--approvals", min=0, max=10, help="So many per promote; 0 ends it.")
    ],
    env: Environment = PRODUCTION,
    reason: Reason = "",
    expect: Expect = None,
) -> None:
    """Ask for approvals before every promote to a deployment."""
    with open_client() as client:
        changed = client.deployments.protect(
            model,
            approvals,
            environment=env,
            reason=reason,
            expect=expected_revision(client, model, env, expect),
        )
    needed = changed.approvals_required
    show(changed, text=f"a promote of {model} in {env} needs {needed} approvals now")


def approve(
    model: Model, version: VersionWord, env: Environment = PRODUCTION, reason: Reason = ""
) -> None:
    """Stand behind the promote of a version that somebody else made."""
    with open_client() as client:
        given = client.approvals.give(
            model, version_number(version), environment=env, reason=reason
        )
    tell_given(given)


@app.command("list")
def list_approvals(
    model: Model,
    env: Environment = PRODUCTION,
    before: Before = None,
    limit: Limit = 50,
) -> None:
    """List who approved or rejected what, newest first, and which promotes wait."""
    with open_client() as client:
        page = client.approvals.list(model, environment=env, before=before, limit=limit)
    rows = [
        (
            one.number,
            one.version,
            one.verdict,
            one.approver,
            one.decision,
            one.holds,
            one.reason,
        )
        for one in page.items
    ]
    headers = ("approval", "version", "verdict", "by", "decision", "counts", "reason")
    table = Table(headers, rows, "no approvals", spare=("decision",))
    show(page, text=_needs(model, env, page), table=table, more="--before")


@app.command()
def withdraw(
    model: Model,
    number: Annotated[int, typer.Argument(help="The approval's number.", min=1)],
    env: Environment = PRODUCTION,
    reason: Reason = "",
) -> None:
    """Take an approval or a rejection back."""
    with open_client() as client:
        taken = client.approvals.withdraw(model, number, environment=env, reason=reason)
    who, verdict = taken.approver, taken.verdict
    show(taken, text=f"{who}'s word on {model}/{taken.version} ({verdict}) is withdrawn")


@app.command()
def request(
    model: Model, version: VersionWord, env: Environment = PRODUCTION, reason: Reason = ""
) -> None:
    """Have a promote wait for its approvals; the last one does it."""
    with open_client() as client:
        waiting = client.approvals.request(
            model, version_number(version), environment=env, reason=reason
        )
    show(waiting, text=f"the promote of {model}/{waiting.version} in {env} waits for approvals")


def tell_given(given: GivenAnswer) -> None:
    """Print what an approver said, and what came of it."""
    counted = f"{given.approvals} of {given.approvals_required} approvals"
    text = f"{given.model}/{given.version} in {given.environment} is {given.verdict}: {counted}"
    if given.promoted is not None:
        text += f"; it is champion since revision {given.promoted}"
    show(given, text=text)
    for note in given.notes:
        warn(note)


def _needs(model: str, env: str, page: ApprovalsAnswer) -> str:
    lines = [f"a promote of {model} in {env} needs {page.approvals_required} approvals"]
    lines += [_wait(one, page.approvals_required) for one in page.waiting]
    return "\n".join(lines)


def _wait(one: WaitingAnswer, required: int) -> str:
    said = f"version {one.version} waits, asked for by {one.requester}"
    if not one.holds:
        return f"{said}: outdated, ask again"
    if one.objectors:
        return f"{said}: rejected by {', '.join(one.objectors)}"
    return f"{said}: {len(one.approvers)} of {required}"
