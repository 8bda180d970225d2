"""What earlier windows tell: how long labels take, and what became of scores.

What always holds: a window counts once, as it was last looked at; a mature window is not
overwritten by a look that comes too late; only so many windows back are asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.controller.domain.bins import SCORE
from mlreg.controller.domain.delays import Arrival, DelayCounts, share_labelled, shares_by_class
from mlreg.controller.domain.outcomes import Outcomes, binary_outcomes, class_outcomes
from mlreg.controller.services import profiles
from mlreg.controller.store import label_profiles as rows
from mlreg.registry.store.tables import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.controller.domain.metrics import Floats
    from mlreg.controller.domain.monitor_rule import MonitorRule
    from mlreg.controller.domain.windows import Interval
    from mlreg.controller.services.labelled_rows import LabelledRows
    from mlreg.controller.store.readings import Place
    from mlreg.registry.store.database import ReadSession, WriteSession

HISTORY = 28
EVEN = "even"
"""The bins of class scores, which belong to no contract."""


@dataclass(frozen=True, slots=True)
class KnownDelays:
    """How long a deployment's labels take.

    Attributes:
        labelled: the share of predictions that is labelled by an age; None: not known yet.
        by_class: the share of each class's labels that has come by an age.
    """

    labelled: Arrival | None
    by_class: Sequence[Arrival | None]


@dataclass(frozen=True, slots=True)
class PastOutcomes:
    """What became of the scores of one version in one window, in the bins of a contract."""

    version: int
    contract: str
    outcomes: Outcomes


def known_delays(session: ReadSession, place: Place, until: datetime, classes: int) -> KnownDelays:
    """Return what the newest windows tell of the delay of labels."""
    found = rows.newest_profiles(session, place, until, limit=HISTORY)
    counts = [DelayCounts.from_json(one.body["delays"]) for one in found]
    counts = [one for one in counts if len(one.labelled) == classes]
    if not counts:
        return KnownDelays(None, [None] * classes)
    total = sum(counts[1:], counts[0])
    return KnownDelays(share_labelled(total), shares_by_class(total))


def past_outcomes(session: ReadSession, place: Place, until: datetime) -> list[list[PastOutcomes]]:
    """Return what became of scores in the newest mature windows, window by window."""
    return past_outcomes_of(session, [(place, until)])[0]


def past_outcomes_of(
    session: ReadSession, asked: Sequence[tuple[Place, datetime]]
) -> list[list[list[PastOutcomes]]]:
    """Return the same for many deployments, each up to a moment."""
    found = rows.mature_bodies(session, asked, HISTORY)
    return [[_outcomes(body) for body in bodies] for bodies in found]


def _outcomes(body: Mapping[str, Any]) -> list[PastOutcomes]:
    return [
        PastOutcomes(int(version), one["contract"], Outcomes.from_json(one["table"]))
        for version, one in body["outcomes"].items()
    ]


def score_edges(session: ReadSession, contract: str) -> Floats | None:
    """Return the inner edges of the bins of a contract's score, None before it has bins."""
    bins = profiles.find_bins(session, contract)
    return None if bins is None else bins.columns[bins.places[SCORE]].edges


def outcomes_of(
    session: ReadSession, model_id: int, taken: LabelledRows, rule: MonitorRule
) -> Mapping[str, Any]:
    """Return what became of the scores of each version, as a profile keeps it."""
    found: dict[str, Any] = {}
    for version in np.unique(taken.versions[taken.window.known]):
        mine = taken.window.known & (taken.versions == version)
        one = _version_outcomes(session, (model_id, int(version)), taken, mine, rule)
        if one is not None:
            found[str(version)] = one
    return found


def _version_outcomes(
    session: ReadSession,
    key: tuple[int, int],
    taken: LabelledRows,
    mine: np.ndarray,
    rule: MonitorRule,
) -> dict[str, Any] | None:
    labels, scores = taken.window.labels[mine], taken.window.scores[mine]
    if taken.shape.task == "multiclass":
        return {"contract": EVEN, "table": class_outcomes(labels, scores).to_json()}
    version = session.get(Version, key)
    contract = None if version is None else version.feature_contract
    edges = None if contract is None else score_edges(session, contract)
    if taken.shape.task != "binary" or edges is None:
        return None
    table = binary_outcomes(labels, scores, edges, rule.threshold)
    return {"contract": contract, "table": table.to_json()}


def keep_profile(
    session: WriteSession,
    place: Place,
    look: tuple[Interval, datetime, str],
    taken: LabelledRows,
    outcomes: Mapping[str, Any],
) -> None:
    """Write what the labels of a window say.

    Args:
        session: the transaction of the caller.
        place: the model's id and the environment.
        look: the window, up to when labels are known, and its state.
        taken: its rows.
        outcomes: what became of its scores.
    """
    window, labels_until, state = look
    body = {"delays": taken.count_delays(labels_until).to_json(), "outcomes": outcomes}
    rows.keep_profile(
        session,
        {
            "model_id": place[0],
            "environment": place[1],
            "start": window.start,
            "end": window.end,
            "labels_until": labels_until,
            "state": state,
            "rows": len(taken),
            "labelled": int(taken.labelled.sum()),
            "body": json.dumps(body, allow_nan=False),
        },
    )
