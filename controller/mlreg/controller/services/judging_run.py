"""One judgement: challenger, champion and anchor on the rows of one snapshot, in a child.

What always holds: without rows there is nothing to conclude, and the judgement says so; the
revision of the deployment is read together with its champion, so whoever acts on the judgement can
say which deployment it was made against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlreg.controller.executors.executor import ignore_lines
from mlreg.controller.services import decisions
from mlreg.controller.services.ancestry import trained_until
from mlreg.controller.services.run_folder import (
    ChildCall,
    ModelSource,
    call_child,
    files_of,
    get_source,
    place_model,
    write_rows,
)
from mlreg.controller.services.snapshot_rows import read_rows
from mlreg.controller.services.snapshots import Snapshot
from mlreg.registry.domain.errors import RefusedError
from mlreg.registry.services import catalog, deployments
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.controller.domain.commands import Commands
    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.store.database import ReadSession
    from mlreg.registry.store.tables import Version

ENTRY = "mlreg.controller.services.judging:judge"
ROWS = "evaluate.parquet"


class ChampionOnTrialError(RefusedError):
    """The version serves already; there is nobody to judge it against."""

    code = "champion_on_trial"

    def __init__(self, *, model: str, number: int, environment: str) -> None:
        super().__init__(f"{model}/{number} is the champion of {environment} itself")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be judged.

    Attributes:
        snapshot: the rows; None when there are none to freeze.
        gates: in the JSON form of a policy.
        trainer: the kind of trainer that can score all of them.
    """

    model: Model
    environment: str
    challenger: int
    snapshot: Snapshot | None
    gates: Sequence[dict[str, Any]]
    trainer: str
    seed: int
    on_lines: Callable[[Sequence[str]], None] = ignore_lines


@dataclass(frozen=True, slots=True)
class Rivals:
    """Who a challenger is judged against, and at which revision that was so.

    Attributes:
        anchor: None where it is the champion itself.
    """

    revision: int
    champion: int | None
    anchor: int | None

    @property
    def roles(self) -> dict[str, int]:
        """The rivals that are there, by role."""
        found = {"champion": self.champion, "anchor": self.anchor}
        return {role: number for role, number in found.items() if number is not None}


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement in its JSON form, and who it was against."""

    judgement: dict[str, Any]
    rivals: Rivals


@dataclass(frozen=True, slots=True)
class _Contestant:
    role: str
    source: ModelSource
    train_end: datetime | None

    def to_json(self, commands: Commands) -> dict[str, Any]:
        end = None if self.train_end is None else self.train_end.isoformat()
        named = {"role": self.role, "version": self.source.number, "train_end": end}
        return {**named, **files_of(self.role, self.source, commands)}


def judge_challenger(attempt: Attempt, folder: Path, question: Question) -> Judged:
    """Judge a challenger against the champion and the anchor of this moment.

    Raises:
        ChampionOnTrialError: the challenger serves already.
        NotLoadableError: one of them is no model that mlreg can score.
        ChildRefusedError: a model was trained on these rows, or the rows break a contract.
        ChildOverLimitError, ChildCrashedError, HaltedError: as `call_child`.
    """
    with attempt.database.reading() as session:
        rivals = find_rivals(session, question.model, question.environment)
        contestants = _contestants(session, question, rivals)
    rows = None
    if question.snapshot is not None and not question.snapshot.body.is_empty:
        rows = read_rows(attempt.sources, question.model, question.snapshot.body)
    if rows is None or rows.num_rows == 0:
        return Judged(_nothing_to_judge(), rivals)
    write_rows(folder, ROWS, rows)
    for contestant in contestants:
        place_model(attempt.store, contestant.source, folder, contestant.role)
    job = _job(question, [one.to_json(attempt.commands) for one in contestants])
    call = ChildCall(ENTRY, job, question.on_lines)
    answer = call_child(attempt, folder, call)
    return Judged(dict(answer.result["judgement"]), rivals)


def find_rivals(session: ReadSession, model: Model, environment: str) -> Rivals:
    """Return who a challenger would be judged against now."""
    state = deployments.find_deployment(session, model.name, environment)
    if state is None or state.champion is None:
        return Rivals(0 if state is None else state.revision, None, None)
    anchor = decisions.find_anchor(session, model, environment)
    return Rivals(state.revision, state.champion, None if anchor == state.champion else anchor)


def rival_versions(session: ReadSession, model: Model, rivals: Rivals) -> dict[str, Version]:
    """Return the versions of the rivals, by role."""
    return {
        role: catalog.get_version(session, model, number) for role, number in rivals.roles.items()
    }


def _contestants(session: ReadSession, question: Question, rivals: Rivals) -> list[_Contestant]:
    if question.challenger == rivals.champion:
        raise ChampionOnTrialError(
            model=question.model.name,
            number=question.challenger,
            environment=question.environment,
        )
    versions = {
        "challenger": catalog.get_version(session, question.model, question.challenger),
        **rival_versions(session, question.model, rivals),
    }
    return [
        _Contestant(
            role,
            get_source(session, version),
            trained_until(session, question.model, version),
        )
        for role, version in versions.items()
        if role != "anchor" or version.number != question.challenger
    ]


def _job(question: Question, contestants: Sequence[dict[str, Any]]) -> dict[str, Any]:
    snapshot = question.snapshot
    return {
        "format": 1,
        "data": [ROWS],
        "trainer": question.trainer,
        "models": list(contestants),
        "target": catalog.target_contract_of(question.model).to_json(),
        "gates": list(question.gates),
        "seed": question.seed,
        "context": {} if snapshot is None else {"snapshot": snapshot.digest},
    }


def _nothing_to_judge() -> dict[str, Any]:
    return {
        "verdict": "inconclusive",
        "superior": False,
        "reason": "there are no rows in the evaluation window",
        "gates": [],
        "format": 1,
        "rows": 0,
    }
