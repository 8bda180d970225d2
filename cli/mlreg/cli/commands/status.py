"""`mlreg status`: what is live, and who is behind."""

from __future__ import annotations

from typing import Annotated

import typer

from mlreg.cli.output import show, warn
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.wire.deployments import StatusAnswer
from mlreg.client.wire.members import ControllerAnswer, MemberAnswer

DAY_AND_MINUTE = "%Y-%m-%d %H:%M"


def status(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    controllers: Annotated[
        bool, typer.Option("--controllers", help="The controllers instead: which one leads.")
    ] = False,
    workers: Annotated[
        bool, typer.Option("--workers", help="The workers instead: what each does.")
    ] = False,
) -> None:
    """Show what is live, and which serving processes are behind."""
    if controllers or workers:
        _show_members(controllers=controllers, workers=workers)
        return
    with open_client() as client:
        found = client.deployments.status(model)
    headers = ("model", "environment", "revision", "champion", "since", "clients", "state")
    empty = "nothing is deployed yet (`mlreg promote MODEL VERSION`)"
    rows = [_status_row(item) for item in found]
    show(found, table=Table(headers, rows, empty, spare=("since",)))
    if found and found[0].controller.startswith("silent"):
        warn(f"the controller is {found[0].controller}: nothing is watched or retrained")
    for item in found:
        _warn_of(item)


def _show_members(*, controllers: bool, workers: bool) -> None:
    with open_client() as client:
        leading = client.members.controllers() if controllers else []
        working = client.members.workers() if workers else []
    rows = [[*_member_row(one, "controller"), _duty(one)] for one in leading]
    rows += [
        [*_member_row(one, "worker"), ", ".join(one.doing) or "idle", ", ".join(one.labels)]
        for one in working
    ]
    headers = ("name", "role", "version", "since", "seen", "does", "labels")
    rows = [[*row, *[""] * (len(headers) - len(row))] for row in rows]
    table = Table(headers, rows, "nobody is there", spare=("version", "since", "role"))
    show([*leading, *working], table=table)


def _member_row(member: MemberAnswer, role: str) -> list[object]:
    seen = "now" if member.there else f"GONE {member.seen_at:%H:%M}"
    return [member.name, role, member.version, f"{member.since:%m-%d %H:%M}", seen]


def _duty(member: ControllerAnswer) -> str:
    return f"leads (epoch {member.epoch})" if member.leads else "stands by"


def _status_row(item: StatusAnswer) -> list[object]:
    behind = sum(client.behind > 0 for client in item.clients)
    clients = f"{len(item.clients)}" + (f", {behind} behind" if behind else "")
    return [
        item.model,
        item.environment,
        item.revision,
        item.champion,
        item.at.strftime(DAY_AND_MINUTE),
        clients,
        _state(item),
    ]


def _state(item: StatusAnswer) -> str:
    words = [f"fallback {item.fallback}"] if item.fallback else []
    plural = "s" if item.open_incidents > 1 else ""
    words += [f"{item.open_incidents} open incident{plural}"] if item.open_incidents else []
    plural = "s" if item.open_alerts > 1 else ""
    words += [f"{item.open_alerts} open alert{plural}"] if item.open_alerts else []
    words += ["frozen"] if item.frozen else []
    words += ["cooling down"] if item.cooldown_until and item.cooldown_until > item.at else []
    words += [f"barred {', '.join(map(str, item.barred))}"] if item.barred else []
    return "; ".join(words) or "ok"


def _warn_of(item: StatusAnswer) -> None:
    if item.frozen:
        reason = f" ({item.frozen_reason})" if item.frozen_reason else ""
        warn(f"automation of {item.model} in {item.environment} is frozen{reason}")
    for client in item.clients:
        if client.behind:
            warn(
                f"{client.client} serves revision {client.revision} of {item.model}, "
                f"{client.behind} behind, since {client.at.strftime(DAY_AND_MINUTE)}"
            )
