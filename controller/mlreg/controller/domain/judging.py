"""Judging: from a trial and the gates of a policy to a verdict with all its evidence.

What always holds: a challenger is accepted only if every gate passes; one gate that fails rejects
it; anything that cannot be concluded (no rows, one class, NaN, too few blocks, no gates) is
inconclusive, which means hold. The same input, gates and seed give the same judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlreg.controller.domain.gates import Gate, GateReport, Outcome, worst
from mlreg.controller.domain.trial import CONFIDENCE, DRAWS, Trial

if TYPE_CHECKING:
    from mlreg.controller.domain.judging_input import JudgingInput

Verdict = Literal["accepted", "rejected", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a challenger with its evidence; `reason` says in one line what decided."""

    verdict: Verdict
    superior: bool
    reason: str
    gates: tuple[GateReport, ...]
    evidence: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the whole evidence of a decision as JSON."""
        return {
            "verdict": self.verdict,
            "superior": self.superior,
            "reason": self.reason,
            "gates": [gate.to_json() for gate in self.gates],
            **self.evidence,
        }


def judge(
    given: JudgingInput, gates: Sequence[Gate], rng: np.random.Generator, *, draws: int = DRAWS
) -> Judgement:
    """Judge a challenger.

    Raises:
        TrainedOnEvaluationError: a model was trained on rows of the trial.
    """
    trial = Trial(given, rng, draws=draws)
    evidence = _evidence(trial, given, draws)
    if trial.problem is not None or not gates:
        reason = trial.problem or "the policy has no gates"
        return Judgement("inconclusive", superior=False, reason=reason, gates=(), evidence=evidence)
    reports = tuple(gate.judge(trial) for gate in gates)
    verdict, reason = _combine(reports)
    superior = verdict == "accepted" and _is_superior(reports)
    return Judgement(verdict, superior, reason, reports, evidence)


VERDICTS: Mapping[Outcome, Verdict] = {
    "pass": "accepted",
    "fail": "rejected",
    "inconclusive": "inconclusive",
}


def _combine(reports: Sequence[GateReport]) -> tuple[Verdict, str]:
    outcome = worst(report.outcome for report in reports)
    deciding = [report for report in reports if report.outcome == outcome]
    return VERDICTS[outcome], "; ".join(f"{report.gate}: {report.reason}" for report in deciding)


def _is_superior(reports: Sequence[GateReport]) -> bool:
    """Whether every gate that compares with the champion finds the challenger better."""
    compared = [report.superior for report in reports if report.superior is not None]
    return bool(compared) and all(compared)


def _evidence(trial: Trial, given: JudgingInput, draws: int) -> dict[str, Any]:
    return {
        "format": 1,
        "task": trial.task,
        "versions": trial.versions,
        "trained_until": {
            role: None if one.train_end is None else one.train_end.isoformat()
            for role, one in given.contestants.items()
        },
        "rows": len(trial.rows),
        "unlabelled": trial.unlabelled,
        "positives": int((trial.rows.labels > 0).sum()) if trial.task == "binary" else None,
        **_of_task(trial),
        "blocks": {"unit": trial.blocks.unit, "count": trial.blocks.count},
        "window": _window(trial),
        "prior": {"value": trial.prior, "of": "these rows" if given.prior is None else "training"},
        "draws": draws,
        "confidence": CONFIDENCE,
        "metrics": trial.metrics() if trial.problem is None else {},
        "context": dict(given.context),
    }


def _of_task(trial: Trial) -> dict[str, Any]:
    """Return how many rows each class has, or how many groups there are to order."""
    if trial.task == "ranking":
        count = trial.units(np.ones(len(trial.rows), dtype=bool))
        return {"groups": count, "rows_left_out": trial.left_out}
    if trial.task != "multiclass" or trial.problem is not None:
        return {}
    counts = np.bincount(trial.rows.labels.astype(np.intp), minlength=len(trial.classes))
    return {"classes": dict(zip(trial.classes, counts.tolist(), strict=True))}


def _window(trial: Trial) -> dict[str, str] | None:
    """Return the times of the first and the last labelled row."""
    if not len(trial.times):
        return None
    first, last = trial.times.min(), trial.times.max()
    return {
        "first": f"{first.astype('datetime64[s]')}Z",
        "last": f"{last.astype('datetime64[s]')}Z",
    }
