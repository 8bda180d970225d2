"""`mlreg policy why`, `fire`, `call`: what triggers were found to be, and calls of them."""

from __future__ import annotations

from textwrap import fill
from typing import Annotated, Any

import typer

from mlreg.cli.forms import document, moment
from mlreg.cli.options import TIME, Environment, Model
from mlreg.cli.output import show
from mlreg.cli.session import open_client
from mlreg.cli.tables import WIDTH
from mlreg.client.errors import InvalidError
from mlreg.client.wire.triggers import FoundTrigger, WaitingAnswer, WhyAnswer

INDENT = " " * 4


def why(
    model: Model,
    env: Environment = "production",
    at: Annotated[
        str, typer.Option("--at", metavar=TIME, help="The newest look by then; else the newest.")
    ] = "",
) -> None:
    """Say of each trigger whether it held at the newest look, why, and what was missing."""
    with open_client() as client:
        answer = client.triggers.why(model, env, at=moment(at, "--at") if at else None)
    show(answer, text="\n".join(_lines(answer)))


def fire(
    model: Model,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the firing.")],
    env: Environment = "production",
) -> None:
    """Fire a policy by hand: its run starts at once, whatever cooldown or budget say."""
    with open_client() as client:
        answer = client.triggers.fire(model, reason, env)
    show(answer, text=f"the policy of {model} in {env} fires at the next look; `mlreg run list`")


def call(
    model: Model,
    trigger: Annotated[str, typer.Argument(help="The name of the webhook.")],
    payload: Annotated[
        str, typer.Option("--payload", metavar="FILE", help="JSON, kept as evidence; - is stdin.")
    ] = "",
    env: Environment = "production",
) -> None:
    """Call a webhook trigger, as a pipeline would over the API."""
    said = _payload(payload) if payload else None
    with open_client() as client:
        answer = client.triggers.call(model, trigger, said, env)
    show(answer, text=f"call {answer.serial} of {trigger} ({model}, {env}) was taken in")


def _payload(place: str) -> dict[str, Any]:
    found = document(place)
    if not isinstance(found, dict):
        message = f"--payload {place}: a JSON object is wanted"
        raise InvalidError(message, code="invalid_option")
    return found


def _lines(answer: WhyAnswer) -> list[str]:
    count = len(answer.triggers)
    needed = "any" if answer.needed == 1 else "all" if answer.needed == count else answer.needed
    came = "no firing" if answer.outcome is None else f"a firing: {answer.outcome}"
    run = "" if answer.run is None else f" (run {answer.run})"
    title = (
        f"{answer.model} in {answer.environment}, policy {answer.number}, looked at"
        f" {answer.moment:%Y-%m-%d %H:%M:%S} UTC: {came}{run}; {needed} of {count} must hold"
    )
    lines = [fill(title, WIDTH)]
    for one in answer.triggers:
        lines += _of_trigger(one, answer)
    if answer.waiting is not None:
        lines.append(_waiting(answer.waiting))
    if answer.next_due is not None:
        lines.append(f"next look {answer.next_due:%Y-%m-%d %H:%M} UTC")
    return lines


def _waiting(one: WaitingAnswer) -> str:
    until = "" if one.until is None else f", until {one.until:%Y-%m-%d %H:%M} UTC"
    names = ", ".join(f"{name} (since {at:%Y-%m-%d %H:%M})" for name, at in one.triggers.items())
    return fill(f"waits for {one.what}{until}: {names}", WIDTH)


def _of_trigger(one: FoundTrigger, answer: WhyAnswer) -> list[str]:
    since = answer.held.get(one.trigger)
    held = f", held since {since:%Y-%m-%d %H:%M}" if since is not None and not one.holds else ""
    found = [f"  {one.trigger}: {'holds' if one.holds else 'does not hold'}{held}"]
    said = [one.because, *([f"missing: {one.missing}"] if one.missing and not one.holds else [])]
    wrapped = (fill(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT) for text in said)
    return [*found, *wrapped]
