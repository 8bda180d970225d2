"""`mlreg history`: every revision of a deployment, or what served at a moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlreg.cli.options import Before, Environment, Model
from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.paging import page_of_any_size

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.client.wire.decisions import DecisionAnswer
    from mlreg.client.wire.deployments import RevisionAnswer
    from mlreg.client.wire.reigns import HandAnswer, ReignAnswer

DAY_AND_MINUTE = "%Y-%m-%d %H:%M"
WIDTH = 80
INDENT = 9
"""So that a digest fits."""


def history(
    model: Model,
    env: Environment = "production",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 100,
    before: Before = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="What served then: 2026-03-01T12:00 (UTC without zone)."),
    ] = None,
) -> None:
    """Show every revision of a deployment, or with --at what served then and on what evidence."""
    with open_client() as client:
        if at is not None:
            reign = client.deployments.at(model, at, environment=env)
            show(reign, text="\n".join(_lines(reign)))
            return
        page = page_of_any_size(
            lambda cursor, size: client.deployments.revisions(
                model, env, before=cursor, limit=size
            ),
            limit,
            before,
        )
    headers = ("revision", "champion", "cause", "actor", "at", "reason")
    show(page, table=Table(headers, [_row(item) for item in page.items]), more="--before")


def _row(item: RevisionAnswer) -> list[object]:
    cause = item.cause + (", forced" if item.forced else "")
    cause += ", glass broken" if item.broke_glass else ""
    cause += ", undone" if item.ended_by_rollback else ""
    champion = f"{item.champion or '-'} ({item.fallback})" if item.fallback else item.champion
    return [item.number, champion, cause, item.actor, item.at.strftime(DAY_AND_MINUTE), item.reason]


def _lines(reign: ReignAnswer) -> Iterator[str]:
    yield f"{reign.model} in {reign.environment} at {_spell(reign.time)}"
    if reign.assumed_utc:
        yield "(no zone was given: taken as UTC)"
    for name, fact in _facts(reign):
        yield from _wrapped(f"{name:<{INDENT}}", fact)


def _facts(reign: ReignAnswer) -> Iterator[tuple[str, str]]:
    brought, ended = reign.brought, reign.ended
    yield "served", f"version {reign.champion}" if reign.champion else "no model"
    if reign.digest:
        yield "artifact", reign.digest
    if reign.fallback:
        yield "but", f"clients were told to serve their fallback {reign.fallback!r}"
    yield "since", f"{_spell(brought.at)}, revision {brought.revision}"
    yield "by", _hand(brought)
    if brought.reason:
        yield "reason", brought.reason
    yield from _decided(reign.decision)
    if ended is None:
        yield "until", "now: it still serves"
    else:
        successor = f"version {ended.champion}" if ended.champion else "nothing"
        yield "until", f"{_spell(ended.at)}, revision {ended.revision} brought {successor}"
        yield "ended by", _hand(ended)
    if reign.frozen:
        yield "frozen", "automation was stopped then"


def _hand(hand: HandAnswer) -> str:
    words = [f"{hand.actor} ({hand.cause}{', forced' if hand.forced else ''})"]
    if hand.approvers:
        words.append(f"approved by {', '.join(hand.approvers)}")
    if hand.broke_glass:
        words.append("broke the glass: went without approvals")
    return "; ".join(words)


def _decided(decision: DecisionAnswer | None) -> Iterator[tuple[str, str]]:
    """Yield the evidence that the promotion stood on."""
    if decision is None:
        yield "decision", "none"
        return
    against = f"version {decision.champion}" if decision.champion else "no champion"
    gates = decision.evidence.get("gates", [])
    because = f": {decision.reason}" if decision.reason and not gates else ""
    yield "decision", f"{decision.number}: {decision.verdict} against {against}{because}"
    for role, values in decision.evidence.get("metrics", {}).items():
        shown = [f"{name} {value:.5g}" for name, value in values.items() if value is not None]
        yield "metrics", f"{role}: {', '.join(shown)}"
    for gate in gates:
        yield "gate", _gate(gate)
    if decision.snapshot:
        yield "rows", decision.snapshot


def _gate(gate: dict[str, Any]) -> str:
    return f"{gate['gate']}: {gate['outcome']}: {gate['reason']}"


def _wrapped(head: str, fact: str) -> Iterator[str]:
    """Yield a fact in lines of at most 80 columns; a digest is never cut."""
    import textwrap

    lines = textwrap.wrap(fact, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False)
    for line in lines or ["-"]:
        yield head + line
        head = " " * INDENT


def _spell(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
