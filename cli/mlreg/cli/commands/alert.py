"""`mlreg alert`: what is unusual for long enough to be told, and not to be told of it."""

from __future__ import annotations

from datetime import timedelta
from textwrap import fill
from typing import Annotated

import typer

from mlreg.cli.forms import moment
from mlreg.cli.options import Before, Limit
from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import WIDTH, Table
from mlreg.client.errors import InvalidError
from mlreg.client.wire.alerts import AlertAnswer

app = typer.Typer(add_completion=False)

MINUTE = "%Y-%m-%d %H:%M"
SHOWN_READINGS = 10
Number = Annotated[int, typer.Argument(help="The alert's number.", min=1)]


@app.command("list")
def list_alerts(
    model: Annotated[str, typer.Option(help="Of this model only.")] = "",
    open_only: Annotated[bool, typer.Option("--open", help="Only those that are open.")] = False,
    before: Before = None,
    limit: Limit = 50,
) -> None:
    """List alerts, newest first."""
    with open_client() as client:
        found = client.alerts.list(
            model=model or None,
            state="open" if open_only else None,
            before=before,
            limit=limit,
        )
    rows = [
        (one.number, one.severity, _state(one), f"{one.opened_at:{MINUTE}}", one.model, one.title)
        for one in found.items
    ]
    headers = ("number", "severity", "state", "opened", "model", "title")
    show(found, table=Table(headers, rows, "no alerts", spare=("opened",)), more="--before")


@app.command("show")
def show_alert(number: Number) -> None:
    """Show an alert, what happened to it, and its readings."""
    with open_client() as client:
        answer = client.alerts.get(number)
    show(answer, text=_title(answer), table=_entries(answer))


@app.command("snooze")
def snooze(
    number: Number,
    length: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="For so long: 8h, 3d.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Until a moment.")] = "",
) -> None:
    """Have nobody told of an alert for a while; if it is open then, it is told again."""
    if bool(length) == bool(until):
        raise InvalidError("say --for or --until", code="invalid_option")
    with open_client() as client:
        answer = client.alerts.snooze(
            number, _length(length) if length else moment(until, "--until")
        )
    show(answer, text=f"alert {number} is snoozed until {answer.snoozed_until:{MINUTE}}")


@app.command("unsnooze")
def unsnooze(number: Number) -> None:
    """End the snooze of an alert."""
    with open_client() as client:
        answer = client.alerts.unsnooze(number)
    show(answer, text=f"alert {number} is snoozed no more")


@app.command("close")
def close(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why it is over.")] = "closed by hand",
) -> None:
    """End an alert by hand; it begins anew only with more unusual windows."""
    with open_client() as client:
        answer = client.alerts.close(number, reason)
    show(answer, text=f"alert {number} is closed")


def _length(text: str) -> timedelta:
    from mlreg.controller.domain.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidError(f"--for: {error}", code="invalid_option") from error


def _state(answer: AlertAnswer) -> str:
    return "snoozed" if answer.state == "open" and answer.snoozed_until else answer.state


def _title(answer: AlertAnswer) -> str:
    lines = [
        fill(f"alert {answer.number} ({answer.severity}, {_state(answer)}): {answer.title}", WIDTH),
        f"{answer.model} in {answer.environment}, {answer.kind}, opened {answer.opened_at:{MINUTE}}"
        + (f", over {answer.ended_at:{MINUTE}}" if answer.ended_at else ""),
    ]
    if answer.incident is not None:
        lines.append(f"incident {answer.incident}")
    if answer.snoozed_until is not None and answer.state == "open":
        lines.append(f"nobody is told until {answer.snoozed_until:{MINUTE}}")
    newest = next((one for one in reversed(answer.entries) if one.readings), None)
    for one in (newest.readings or [])[:SHOWN_READINGS] if newest else []:
        subject = f" of {one['subject']}" if one["subject"] else ""
        lines.append(f"  {one['monitor']}{subject}: {one['value']:.4g} ({one['rows']} rows)")
    if newest and newest.count > SHOWN_READINGS:
        lines.append(f"  and {newest.count - SHOWN_READINGS} more")
    return "\n".join(lines) + "\n"


def _entries(answer: AlertAnswer) -> Table:
    rows = [
        (f"{one.at:{MINUTE}}", one.what, one.actor, "yes" if one.topic else "no", one.line)
        for one in answer.entries
    ]
    return Table(("at", "what", "who", "told", "line"), rows, spare=("who",))
