"""Changing what serves: promote, rollback, fallback, freeze, unfreeze, unbar."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.options import Model
from mlreg.cli.output import OUTPUT, say, show, warn
from mlreg.cli.session import open_client
from mlreg.client.client import Client
from mlreg.client.errors import InvalidError
from mlreg.client.wire.deployments import ChangeAnswer

Version = Annotated[int, typer.Argument(help="Number of the version.", min=1)]
Environment = Annotated[str, typer.Option("--env", help="Where to.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
Expect = Annotated[
    int | None,
    typer.Option("--expect", min=0, help="Refuse if the deployment is not at this revision."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")]
PRODUCTION = "production"


def promote(
    model: Model,
    version: Annotated[str, typer.Argument(help="Number of the version.")],
    env: Environment = PRODUCTION,
    reason: Reason = "",
    expect: Expect = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go without an accepted decision; needs --reason.")
    ] = False,
    break_glass: Annotated[
        bool,
        typer.Option(
            "--break-glass", help="Go without the approvals; needs --reason, alerts, for ever seen."
        ),
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Make a version the champion."""
    with open_client() as client:
        changed = client.deployments.promote(
            model,
            version_number(version),
            environment=env,
            reason=reason,
            expect=expected_revision(client, model, env, expect),
            force=force,
            break_glass=break_glass,
            dry_run=dry_run,
        )
    _tell(changed)


def rollback(
    model: Model,
    to: Annotated[int | None, typer.Option("--to", min=1, help="A former champion.")] = None,
    env: Environment = PRODUCTION,
    reason: Reason = "",
    expect: Expect = None,
    dry_run: DryRun = False,
) -> None:
    """Return to the last champion that was not itself rolled back, and freeze automation."""
    with open_client() as client:
        changed = client.deployments.rollback(
            model,
            to=to,
            environment=env,
            reason=reason,
            expect=expected_revision(client, model, env, expect),
            dry_run=dry_run,
        )
    _tell(changed)


def fallback(
    model: Model,
    name: Annotated[str, typer.Option("--name", help="What clients serve instead.")] = "prior",
    off: Annotated[bool, typer.Option("--off", help="Return to the champion.")] = False,
    env: Environment = PRODUCTION,
    reason: Reason = "",
    expect: Expect = None,
) -> None:
    """Have clients serve their fallback instead of the model, or end that."""
    with open_client() as client:
        changed = client.deployments.fall_back(
            model,
            None if off else name,
            environment=env,
            reason=reason,
            expect=expected_revision(client, model, env, expect),
        )
    _tell(changed)


def freeze(
    model: Model, env: Environment = PRODUCTION, reason: Reason = "", expect: Expect = None
) -> None:
    """Stop automation for a deployment; people can still promote and roll back."""
    with open_client() as client:
        expected = expected_revision(client, model, env, expect)
        changed = client.deployments.freeze(model, environment=env, reason=reason, expect=expected)
    _tell(changed)


def unfreeze(
    model: Model, env: Environment = PRODUCTION, reason: Reason = "", expect: Expect = None
) -> None:
    """Let automation go on."""
    with open_client() as client:
        expected = expected_revision(client, model, env, expect)
        changed = client.deployments.unfreeze(
            model, environment=env, reason=reason, expect=expected
        )
    _tell(changed)


def unbar(
    model: Model, version: Version, env: Environment = PRODUCTION, reason: Reason = ""
) -> None:
    """Let a version that a guard took down be promoted again."""
    with open_client() as client:
        client.deployments.lift_bar(model, version, environment=env, reason=reason)
    lifted = {"model": model, "version": version, "environment": env}
    show(lifted, text=f"{model}/{version} may be promoted in {env} again")


def version_number(text: str) -> int:
    """Return the number in `12` or `v12`.

    Raises:
        InvalidError: it is neither.
    """
    digits = text.removeprefix("v")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 2**31):
        raise InvalidError(f"{text!r} is not a version's number", code="invalid_version")
    return int(digits)


def expected_revision(client: Client, model: str, env: str, expect: int | None) -> str:
    """Return the ETag to send: of the revision asked for, else of the one that is read now."""
    state = client.deployments.find(model, env)
    if expect is not None:
        return f'"{state.incarnation}-{expect}"' if state else f'"-{expect}"'
    if state is None:
        return "*"
    if not OUTPUT.json:  # there, an error is the only thing on stderr
        say(f"{model} in {env} is at revision {state.revision}: {_serving(state.champion)}")
    return state.etag


def _tell(changed: ChangeAnswer) -> None:
    would = "would be" if changed.dry_run else "is now"
    text = (
        f"{changed.model} in {changed.environment} {would} at revision {changed.revision}: "
        f"{_serving(changed.champion)} (was {_serving(changed.previous)})"
    )
    if changed.frozen:
        text += ", automation is frozen"
    if changed.fallback:
        text += f", clients serve the fallback {changed.fallback!r}"
    show(changed, text=text)
    for note in changed.notes:
        warn(note)


def _serving(version: int | None) -> str:
    return "nothing" if version is None else f"version {version}"
