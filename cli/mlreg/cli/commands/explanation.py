"""`mlreg monitor explain` and `explanation`: where a window went wrong, by what, in which rows."""

from __future__ import annotations

from textwrap import fill
from typing import Annotated

import typer

from mlreg.cli.forms import find_moment
from mlreg.cli.options import TIME, Environment, Model
from mlreg.cli.output import progress, show
from mlreg.cli.session import open_client
from mlreg.cli.tables import WIDTH, Table, table_lines
from mlreg.client.states import became
from mlreg.client.wire.explanations import (
    By,
    Contributions,
    ExplainAnswer,
    ExplainedSlice,
    ExplainRequest,
    Explanation,
    WorstRow,
)

TOP = 8
KINDS = {
    "wrong": "wrong: it loses more than its own scores promised",
    "hard": "hard: it loses more than the rest, as its scores promised",
}


def explain(
    model: Model,
    window: Annotated[
        str | None,
        typer.Option(metavar=TIME, help="The window that begins then (UTC); else the newest."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="So many days; else that window.", min=1, max=92)
    ] = None,
    env: Environment = "production",
    by: Annotated[
        By | None, typer.Option(help="What slices are ranked by; loss, where labels are there.")
    ] = None,
    least: Annotated[int | None, typer.Option(help="Rows that a slice needs.", min=20)] = None,
    worst: Annotated[int, typer.Option(help="How many rows to name.", min=0, max=100)] = 10,
    features: Annotated[
        str, typer.Option(help="Values to keep beside these rows: FEATURE,FEATURE; else none.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end.")] = False,
) -> None:
    """Explain a bad window: its worst slices, what features add, rows to look at."""
    request = ExplainRequest(
        environment=env,
        start=find_moment(window, "--window"),
        days=days,
        by=by,
        least=least,
        worst=worst,
        show=[name for name in features.split(",") if name],
    )
    with open_client() as client:
        asked = client.explanations.request(model, request)
        if wait:
            with progress(f"explanation {asked.number}"):
                asked = client.explanations.wait(asked.number)
    show(asked, text=described(asked))


def explanation(
    number: Annotated[int, typer.Argument(help="The number of the explanation.", min=1)],
) -> None:
    """Show an explanation that was asked for."""
    with open_client() as client:
        found = client.explanations.get(number)
    show(found, text=described(found))


def described(answer: ExplainAnswer) -> str:
    """Return an explanation as text."""
    if answer.found is None:
        why = f": {answer.error}" if answer.error else ""
        look = f"\nmlreg monitor explanation {answer.number}" if answer.is_open else ""
        return f"explanation {answer.number} {became(answer.state)}{why}{look}"
    found = answer.found
    parts = [
        _title(answer, found),
        "\n".join(map(_wrapped, found.notes)),
        "\n".join(table_lines(_slices(found))) + f"\n{_looks(found)}",
    ]
    if found.contributions is not None:
        parts.append("\n".join(table_lines(_added(found.contributions))))
    if found.worst:
        parts.append("\n".join(table_lines(_rows(found.worst))))
    return "\n\n".join(part for part in parts if part)


def _title(answer: ExplainAnswer, found: Explanation) -> str:
    since = "" if found.before is None else f", in the week before {found.before:.4f}"
    if found.promised is not None:
        since = f", promised {found.promised:.4f}"
    mean = "" if found.mean is None else f"; mean {_word(found.value)} {found.mean:.4f}{since}"
    return (
        f"{answer.model} in {answer.environment},"
        f" {found.start:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC\n"
        f"{found.rows:,} rows, {found.labelled:,} labelled{mean}"
    )


def _looks(found: Explanation) -> str:
    kinds = {one.kind for one in found.slices}
    left_out = (
        f" Left out, for they lie in too little of the time to be told from a bad hour:"
        f" {found.confined:,}."
        if found.confined
        else ""
    )
    looked = (
        f"{found.looked_at:,} slices of {found.least:,} rows or more were looked at; the bounds"
        f" hold at {found.confidence:.0%} for all of them together.{left_out}"
    )
    return "\n".join([*(KINDS[kind] for kind in KINDS if kind in kinds), _wrapped(looked)])


def _slices(found: Explanation) -> Table:
    empty = "no slice is surely worse than the rest"
    if found.by == "score":
        empty = "the score of no slice has surely moved otherwise than that of the rest"
        rows = [(_shift(one), _bound(one), one.rows, _where(one)) for one in found.slices]
        return Table(("before > now", "moved at least", "rows", "slice"), rows, empty)
    told = any(one.promised is not None for one in found.slices)
    rows_ = [
        (
            one.kind,
            f"{one.mean:.4f}",
            *([f"{one.promised:.4f}"] if one.promised is not None else []),
            f"{one.rest:.4f}",
            _bound(one),
            one.rows,
            _where(one),
        )
        for one in found.slices
    ]
    promised = ("promised",) if told else ()
    headers = ("kind", _word(found.value), *promised, "elsewhere", "worse by", "rows", "slice")
    return Table(headers, rows_, empty)


def _shift(one: ExplainedSlice) -> str:
    return f"{one.before or 0.0:.4f} > {one.mean:.4f}"


def _bound(one: ExplainedSlice) -> str:
    return f"{one.low:+.4f}"


def _where(one: ExplainedSlice) -> str:
    return " and ".join(f"{part.feature} {part.text}" for part in one.conditions)


def _added(found: Contributions) -> Table:
    rows = [
        (one.feature, one.first, one.second, f"{one.difference:+.4f}")
        for one in found.features[:TOP]
    ]
    first, second = found.groups
    return Table((f"v{found.version} adds, in size", first, second, "difference"), rows)


def _rows(found: list[WorstRow]) -> Table:
    rows = [
        (
            f"{one.time:%Y-%m-%d %H:%M}",
            one.loss,
            one.score,
            one.label,
            " ".join([one.prediction_id, *(f"{k}={v}" for k, v in one.features.items())]),
        )
        for one in found
    ]
    return Table(("row of", "loss", "score", "label", "prediction"), rows)


def _wrapped(text: str) -> str:
    return fill(text, WIDTH, break_on_hyphens=False)


def _word(value: str) -> str:
    return value.replace("_", " ")
