"""`mlreg webhook` and `mlreg events`: who is told of what, and reading on by oneself."""

from __future__ import annotations

import json
import select
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from mlreg.cli.options import Before, Limit
from mlreg.cli.output import OUTPUT, plain, print_table, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import UnreachableError
from mlreg.client.wire.webhooks import HookKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.client.client import Client
    from mlreg.client.wire.webhooks import DeliveryAnswer, EventsAnswer, WebhookAnswer

app = typer.Typer(add_completion=False)
TEST_SECONDS = 30.0
POLL_SECONDS = 1.0

WebhookName = Annotated[str, typer.Argument(metavar="NAME", help="The webhook's name.")]


@app.command("create")
def create(
    name: WebhookName,
    url: Annotated[str | None, typer.Option(help="https://…; PagerDuty's own needs none.")] = None,
    kind: Annotated[HookKind, typer.Option(help="What the receiver understands.")] = "cloudevents",
    topic: Annotated[
        list[str] | None, typer.Option(help="A topic, repeatable. [default: all of them]")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Only events of this model, repeatable.")
    ] = None,
    routing_key: Annotated[
        str | None, typer.Option(help="Of PagerDuty's integration.", envvar="MLREG_ROUTING_KEY")
    ] = None,
) -> None:
    """Have somebody told of events; print the secret that signs them, this once."""
    with open_client() as client:
        made = client.webhooks.create(
            name,
            url=url,
            kind=kind,
            topics=topic or ["*"],
            models=model,
            routing_key=routing_key,
        )
    secret = f"\nsecret (shown this once): {made.secret}" if made.secret else ""
    show(made, text=f"webhook {name} is told of {', '.join(made.topics)}{secret}")


@app.command("list")
def list_webhooks() -> None:
    """List webhooks, and how each of them is."""
    with open_client() as client:
        found = client.webhooks.list()
    rows = [
        (one.name, one.kind, one.url, _state(one), one.behind, one.last_outcome) for one in found
    ]
    headers = ("name", "kind", "url", "state", "behind", "last")
    show(found, table=Table(headers, rows, "no webhooks", spare=("kind",)))


@app.command("show")
def show_webhook(name: WebhookName) -> None:
    """Show a webhook."""
    with open_client() as client:
        show(client.webhooks.get(name))


@app.command("deliveries")
def deliveries(
    name: WebhookName,
    before: Before = None,
    limit: Limit = 50,
) -> None:
    """List what became of events at a webhook, newest first."""
    with open_client() as client:
        found = client.webhooks.deliveries(name, before=before, limit=limit)
    show(found, table=_table(found.items), more="--before")


@app.command("test")
def test(name: WebhookName) -> None:
    """Send an event the way of all the others, and wait for what becomes of it."""
    with open_client() as client:
        before = client.events.after(2**62).newest
        client.webhooks.test(name)
        outcome = _await_outcome(client, name, before)
    show(
        outcome,
        text=outcome.state if outcome.status is None else f"{outcome.state}: {outcome.status}",
    )


@app.command("enable")
def enable(name: WebhookName) -> None:
    """Have a webhook told again, and of all that it has missed."""
    with open_client() as client:
        show(client.webhooks.enable(name), text=f"webhook {name} is enabled")


@app.command("disable")
def disable(name: WebhookName) -> None:
    """Have a webhook told no more; it keeps its place for 30 days."""
    with open_client() as client:
        show(client.webhooks.disable(name), text=f"webhook {name} is disabled")


@app.command("delete")
def delete(name: WebhookName) -> None:
    """Delete a webhook."""
    with open_client() as client:
        client.webhooks.delete(name)
    show({"deleted": name}, text=f"webhook {name} is deleted")


def events(
    after: Annotated[
        int | None, typer.Option(min=0, help="Read on after this place. [default: the last 100]")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until interrupted.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many at once.")] = 100,
) -> None:
    """Print what happened; with --follow, go on, one JSON document per line with --json."""
    with open_client() as client:
        if after is None:
            after = max(client.events.after(2**62).newest - limit, 0)
        found = client.events.after(after, limit=limit)
        if not follow:
            show(found, table=_lines(found))
            return
        while True:
            _print(found)
            if not found.items:
                _check_reader()
                time.sleep(POLL_SECONDS)
            found = client.events.after(found.after, limit=limit)


def _await_outcome(client: Client, name: str, before: int) -> DeliveryAnswer:
    """Return what became of the test after some place."""
    until = time.monotonic() + TEST_SECONDS
    while time.monotonic() < until:
        for one in client.webhooks.deliveries(name, limit=10).items:
            if one.seq > before and one.topic == "webhook.test":
                return _checked(name, one)
        webhook = client.webhooks.get(name)
        if webhook.attempts and webhook.last_outcome:
            raise UnreachableError(
                f"webhook {name} fails: {webhook.last_outcome}", code="webhook_fails"
            )
        time.sleep(POLL_SECONDS)
    raise UnreachableError(
        f"webhook {name} was not called within {TEST_SECONDS:.0f} seconds",
        code="webhook_silent",
        hint="Are controller and worker running?",
    )


def _checked(name: str, outcome: DeliveryAnswer) -> DeliveryAnswer:
    if outcome.state != "delivered":
        raise UnreachableError(f"webhook {name} fails: {outcome.error}", code="webhook_fails")
    return outcome


def _state(webhook: WebhookAnswer) -> str:
    if not webhook.enabled:
        return "disabled"
    return f"failing ({webhook.attempts})" if webhook.attempts else "well"


def _table(found: Sequence[DeliveryAnswer]) -> Table:
    rows = [
        (one.seq, f"{one.at:%Y-%m-%d %H:%M:%S}", one.topic, one.state, one.attempts, one.error)
        for one in found
    ]
    headers = ("seq", "at", "topic", "state", "attempts", "error")
    return Table(headers, rows, "nothing yet", spare=("attempts",))


def _lines(found: EventsAnswer) -> Table:
    rows = [(one.seq, f"{one.at:%Y-%m-%d %H:%M}", one.topic, one.line) for one in found.items]
    return Table(("seq", "at", "topic", "what"), rows, "nothing happened")


def _print(found: EventsAnswer) -> None:
    if OUTPUT.json:
        for one in found.items:
            print(json.dumps(plain(one), ensure_ascii=False), flush=True)
    elif found.items:
        print_table(_lines(found))
        sys.stdout.flush()


def _check_reader() -> None:
    """End where stdout is a pipe that nobody reads any more: the next event may be days away.

    Raises:
        BrokenPipeError: it is so.
    """
    watch = select.poll()
    watch.register(sys.stdout, 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0)):
        raise BrokenPipeError
