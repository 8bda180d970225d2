"""A policy file to begin with: short, commented, about one model; it can be applied as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mlreg.controller.domain.durations import spell_duration
from mlreg.controller.domain.objectives import OBJECTIVES
from mlreg.controller.domain.windows import HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_FILE = "policy.schema.json"
SKILLS = {"binary": "auc", "multiclass": "log_loss", "regression": "mae", "ranking": "ndcg"}
LOSSES = {"binary": "log_loss", "multiclass": "log_loss", "regression": "mae", "ranking": "ndcg"}
MARGINS = {"auc": "0.002", "log_loss": "0.001", "ndcg": "0.002"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What the file is about.

    Attributes:
        at_risk: the features whose feed may break.
        categories: the features that rows may be cut by.
    """

    model: str
    environment: str
    task: str
    longest_delay: timedelta
    features: Sequence[str] = ()
    at_risk: Sequence[str] = ()
    categories: Sequence[str] = ()


def starter(subject: Subject) -> str:
    """Return the text of the file."""
    return "\n".join([*_head(subject), *_triggers(subject), *_rest(subject), ""])


def _head(subject: Subject) -> Iterator[str]:
    delay = spell_duration(max(subject.longest_delay, HOUR))
    yield f"# yaml-language-server: $schema={SCHEMA_FILE}"
    yield f"# (`mlreg policy schema > {SCHEMA_FILE}`: the editor completes and checks the keys)"
    yield f"# The policy of {subject.model}, a {subject.task} model."
    yield "# Lines that are commented out show defaults, or what else can be said."
    yield f"model: {subject.model}"
    if subject.environment != "production":
        yield f"environment: {subject.environment}"
    yield ""
    yield "# data:"
    yield "#   train_window: 90d       # how much is trained on"
    yield "#   evaluate_window: 14d    # the newest labelled rows: they judge, and never train"
    yield f"#   label_delay: {delay:<11}# after that a window's labels are taken to be complete"
    yield ""


def _triggers(subject: Subject) -> Iterator[str]:
    skill = SKILLS[subject.task]
    yield "triggers:                   # when to retrain; each look is recorded with its readings"
    yield '  - {schedule: "0 3 * * 1"} # Mondays at three, UTC; or {…, timezone: Europe/Berlin}'
    if subject.features:
        yield "  # - {drift: psi, above: 0.25, features: any, windows: 2}"
    yield f"  # - {{performance: {skill}, drop: 0.02}}"
    yield "  # - {labelled_rows: 20000}"
    yield "# combine: any              # any, all, or {at_least: 2}"
    yield "# cooldown: 6h              # the least time between two runs"
    yield "# budget: {runs_per_day: 4, train_seconds_per_week: 3600}"
    yield ""


def _rest(subject: Subject) -> Iterator[str]:
    objectives = OBJECTIVES.get(subject.task, ("?",))
    yield "# retrain:"
    yield "#   trainer: lightgbm"
    yield f"#   params: {{objective: {objectives[0]}, num_leaves: 31, learning_rate: 0.05}}"
    yield "#   rounds: 200"
    yield "#   lanes:                  # how: the longest age of the last run of each"
    yield "#     refit: {}             # the champion's trees with new leaves"
    yield "#     continue: {every: 7d, rounds: 20, max_trees: 400}   # more trees on the champion"
    yield "#     full: {every: 28d}    # anew"
    if subject.at_risk:
        named = ", ".join(subject.at_risk)
        yield f"#   steps: [{{outages: [{named}], share: 0.1}}]   # copies with a broken feed"
    yield ""
    yield from _gates(subject)
    yield "# rollout: immediate        # or manual: a person promotes what was accepted"
    loss = LOSSES[subject.task]
    yield f"# guards: [{{metric: {loss}, worse_than_champion: 0.01}}]   # roll back by itself"
    if subject.categories:
        yield f"# monitors: {{slices: [{', '.join(subject.categories[:3])}]}}"


def _gates(subject: Subject) -> Iterator[str]:
    loss = LOSSES[subject.task]
    margin = f", margin: {MARGINS[loss]}" if loss in MARGINS else ""
    yield "# gates:                    # what a challenger must pass; these are the usual ones"
    yield f"#   - {{champion: {loss}{margin}}}   # how much worse is still as good"
    yield f"#   - {{baseline: prior, metric: {loss}}}"
    if subject.categories:
        named = ", ".join(subject.categories[:3])
        yield f"#   - {{slices: [{named}], metric: {loss}, margin: 0.02, min_rows: 200}}"
