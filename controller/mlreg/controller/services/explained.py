"""One explanation: what is found in rows that were drawn.

What always holds: which of the two ways it goes (loss, or drift of the score) follows from how many
rows have a label, unless it was told; whatever should make a reader careful is a note.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.client.wire.explanations import By, Explanation
from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.blame import NOBODY, Blame, blame_losses, blame_moves
from mlreg.controller.domain.contrast import Floats
from mlreg.controller.domain.mistakes import LOSSES, Mistakes, mistakes_of, score_of
from mlreg.controller.domain.monitor_rule import MonitorRule
from mlreg.controller.domain.windows import HOUR, Interval, merge_intervals
from mlreg.controller.domain.worst_slices import CONFIDENCE
from mlreg.controller.services.contributing import Groups, find_contributions
from mlreg.controller.services.explaining_rows import (
    ScoredRows,
    bins_for,
    features_of,
    slice_answer,
    worst_rows,
)
from mlreg.controller.services.policies import policy_in_force
from mlreg.controller.services.profiles import find_bins
from mlreg.controller.store.readings import outage_intervals
from mlreg.controller.store.serving import find_serving
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.services import catalog
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.store.database import ReadSession

LEAST_LABELLED = 200
LEAST_SEARCHED = 200
LEAST_SLICE = 50
SLICE_SHARE = 200
MATURE = 0.9
FEW = f"Fewer than {LEAST_SEARCHED} rows: too few to look for slices."
NO_FEATURES = "No version with a feature contract scored these rows: there are no slices."
NO_VERSION = "nothing serves, and the rows do not say which version scored them."
EARLY = "{share:.0%} of the rows have a label; those that wait for theirs may be of another kind."
SAMPLED = "The rows are a sample of {rows:,}."
UNLABELLED = (
    "Only {labelled:,} rows have a label: this is about the drift of the score since the week"
    " before, and does not tell whether predictions are wrong."
)
ASKED = "This is about the drift of the score since the week before, as was asked."
DOWN = "{hours:.0f} of the hours lie in an outage: their rows are left out."
CLASSES = "The score of a row is its highest probability, its label the place of a class: {named}."
MOST_NAMED = 20
NO_LOSS = "A ranking has no loss of a row: this is about the drift of the score."


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What an explanation is made from.

    Attributes:
        asked: the job's payload.
        rows: those of the window that have a score.
        draw_before: draws those of the week before; it is not asked unless they are needed.
    """

    model: Model
    window: Interval
    asked: Mapping[str, Any]
    rows: ScoredRows
    draw_before: Callable[[], ScoredRows | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    """The version that most of the rows are of, 0 for none, and how its features are binned."""

    version: int
    contract: FeatureContract | None
    bins: Bins | None
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """What is looked at: a value of each row, perhaps against rows before, and two groups of rows.

    Attributes:
        value: the name of the value.
        before: rows to compare with, and their values.
        mistakes: where the value is a loss.
    """

    by: By
    value: str
    rows: ScoredRows
    values: Floats
    before: tuple[ScoredRows, Floats] | None
    groups: Groups
    mistakes: Mistakes | None
    notes: list[str]


def explain(attempt: Attempt, drawn: Drawn) -> Explanation | None:
    """Return what is found, None where there is neither a label nor a week before to compare with.

    Raises:
        HaltedError: the attempt was told to stop.
        UnavailableError: the store gives no answer.
    """
    with attempt.database.reading() as session:
        setting = _setting(session, drawn)
        down = _down(session, drawn)
    attempt.check()
    view = _view(drawn, setting)
    if view is None:
        return None
    notes = view.notes
    if len(drawn.rows) >= drawn.asked["rows"]:
        notes.append(SAMPLED.format(rows=len(drawn.rows)))
    if down:
        notes.append(DOWN.format(hours=down / HOUR))
    rivals = len(view.rows) if view.before is None else len(view.before[0])
    least = drawn.asked["least"] or max(LEAST_SLICE, min(len(view.rows), rivals) // SLICE_SHARE)
    blame = _search(setting, view, least)
    attempt.check()
    contributions = (
        NO_VERSION
        if not setting.version
        else find_contributions(
            attempt, drawn.model, setting.version, view.groups, drawn.asked["seed"]
        )
    )
    if isinstance(contributions, str):
        notes.append(f"No contributions: {contributions}")
    return _answer(drawn, view, blame, least).model_copy(
        update={"contributions": None if isinstance(contributions, str) else contributions}
    )


def _down(session: ReadSession, drawn: Drawn) -> timedelta:
    """Return how much of the window lies in outages."""
    window = drawn.window
    parts = merge_intervals(
        Interval(max(one.start, window.start), min(one.end, window.end))
        for one in outage_intervals(session, catalog.id_of(drawn.model), window)
    )
    return sum((one.length for one in parts), timedelta())


def _view(drawn: Drawn, setting: _Setting) -> _View | None:
    labelled = drawn.rows.labelled
    by = drawn.asked["by"] or ("loss" if len(labelled) >= LEAST_LABELLED else "score")
    if by == "loss" and drawn.model.task in LOSSES and len(labelled):
        return _loss_view(drawn, setting, labelled)
    before = drawn.draw_before()
    return None if before is None else _score_view(drawn, before)


def _loss_view(drawn: Drawn, setting: _Setting, rows: ScoredRows) -> _View:
    """Look at the losses of labelled rows; the groups are of the version whose trees are asked."""
    task, share = drawn.model.task, len(rows) / len(drawn.rows)
    mistakes = mistakes_of(task, rows.labels, rows.scores, setting.threshold)
    own = (rows.versions == setting.version) | (rows.versions == 0)
    wrong, right = (rows.table.filter(own & side) for side in (mistakes.wrong, ~mistakes.wrong))
    return _View(
        by="loss",
        value=LOSSES[task],
        rows=rows,
        values=mistakes.losses,
        before=None,
        groups=Groups(("wrong", "right"), mistakes.split, wrong, right),
        mistakes=mistakes,
        notes=[*([EARLY.format(share=share)] if share < MATURE else []), *_named(drawn.model)],
    )


def _named(model: Model) -> list[str]:
    """Return what the numbers of a multiclass model's rows stand for."""
    if model.task != "multiclass":
        return []
    classes = catalog.target_contract_of(model).classes
    named = [f"{place} {name}" for place, name in enumerate(classes[:MOST_NAMED])]
    more = ["…"] if len(classes) > MOST_NAMED else []
    return [CLASSES.format(named=", ".join([*named, *more]))]


def _score_view(drawn: Drawn, before: ScoredRows) -> _View:
    """Look at how the score has moved."""
    task, rows = drawn.model.task, drawn.rows
    note = UNLABELLED.format(labelled=len(rows.labelled))
    if task not in LOSSES:
        note = NO_LOSS
    elif drawn.asked["by"] == "score":
        note = ASKED
    return _View(
        by="score",
        value="confidence" if task == "multiclass" else "score",
        rows=rows,
        values=score_of(task, rows.scores),
        before=(before, score_of(task, before.scores)),
        groups=Groups(("now", "before"), "time", rows.table, before.table),
        mistakes=None,
        notes=[note],
    )


def _search(setting: _Setting, view: _View, least: int) -> Blame:
    """Search the rows for slices, unless they are too few or have no features."""
    if setting.contract is None or len(view.rows) < LEAST_SEARCHED:
        view.notes.append(NO_FEATURES if setting.contract is None else FEW)
        return NOBODY
    bins = bins_for(setting.contract, setting.bins, view.rows.table)
    before = None if view.before is None else view.before[0]
    features, now = features_of(view.rows, before, bins, least), view.rows.sample(view.values)
    if view.mistakes is not None:
        return blame_losses(features, now, view.mistakes, least)
    if view.before is None:
        return NOBODY
    return blame_moves(features, now, view.before[0].sample(view.before[1]), least)


def _answer(drawn: Drawn, view: _View, blame: Blame, least: int) -> Explanation:
    asked, mistakes = drawn.asked, view.mistakes
    promised = None if mistakes is None else mistakes.promised
    worst = (
        []
        if mistakes is None
        else worst_rows(view.rows, mistakes.losses, asked["worst"], asked["show"])
    )
    return Explanation(
        by=view.by,
        value=view.value,
        start=drawn.window.start,
        end=drawn.window.end,
        rows=len(drawn.rows),
        labelled=len(drawn.rows.labelled),
        mean=float(view.values.mean()),
        promised=None if promised is None else float(promised.mean()),
        before=None if view.before is None else float(view.before[1].mean()),
        confidence=CONFIDENCE,
        least=least,
        looked_at=blame.looked_at,
        confined=blame.confined,
        slices=[slice_answer(one, view.values, promised) for one in blame.slices],
        worst=worst,
        notes=view.notes,
    )


def _setting(session: ReadSession, drawn: Drawn) -> _Setting:
    """Return the version that scored most of the rows; where they do not say, the champion."""
    model_id, environment = catalog.id_of(drawn.model), drawn.asked["environment"]
    serving = find_serving(session, model_id, environment)
    number = int(np.bincount(drawn.rows.versions).argmax())
    number = number or (0 if serving is None else serving.champion)
    version = catalog.find_version(session, drawn.model, number)
    contract = None if version is None else catalog.find_feature_contract(session, version)
    bins = None if contract is None else find_bins(session, contract.digest)
    in_force = policy_in_force(session, model_id, environment)
    rule = MonitorRule() if in_force is None else in_force.policy.monitors
    return _Setting(0 if version is None else number, contract, bins, rule.threshold)
