"""Replaying a model's history under a grid of policies, in one child of the executor: `backtest`.

The job:
```
{"format": 1, "data": ["rows.parquet"],      by time; with label_time where it is known
 "target": {...}, "schema": [...] | null, "contract": {...} | null,
 "base": {...a policy's JSON...}, "grid": {...a grid's JSON...},
 "outages": [["2024-01-01T00:00:00+00:00", "2024-01-01T06:00:00+00:00"], ...],
 "seed": 0, "seconds": 600,
 "kept": "/where/models/of/an/attempt/before/are" | null}
```
Writes `result.json` `{"outcome": "replayed", "found": {...}}`, what `backtest_replay.replay_all`
answers, and prints a line of progress for each policy.

What always holds: models are trained and parsed here, in a child with limits, and nowhere else;
they are thrown away once the backtest has ended.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, Field

from mlreg.controller.domain.backtest import Terms, TooLittleHistoryError
from mlreg.controller.domain.backtest_grid import Grid, candidates, live_after
from mlreg.controller.domain.lanes import trees_per_round
from mlreg.controller.domain.windows import Interval
from mlreg.controller.services.backtest_history import History
from mlreg.controller.services.backtest_replay import Plan, replay_all
from mlreg.controller.services.policy_texts import parse_policy
from mlreg.controller.services.recipe import Recipe
from mlreg.controller.trainers.child import answer
from mlreg.controller.trainers.job import Job, TrainJob
from mlreg.controller.trainers.rows import read_table
from mlreg.controller.trainers.tasks import contract_of
from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.target_contract import TargetContract

if TYPE_CHECKING:
    import pyarrow as pa

    from mlreg.controller.domain.policy import Policy

MODELS = "models"


class BacktestJob(Job):
    """A job of `backtest`."""

    target: dict[str, Any]
    feature_schema: list[dict[str, Any]] | None = Field(default=None, alias="schema")
    contract: dict[str, Any] | None = None
    base: dict[str, Any]
    grid: Grid
    metric: str
    outages: list[tuple[AwareDatetime, AwareDatetime]] = Field(default_factory=list)
    seed: int = Field(default=0, ge=0, lt=2**31)
    seconds: float = Field(default=600.0, gt=0)
    kept: str | None = None


def backtest(folder: Path) -> None:
    """Do the `backtest` job of a folder."""
    answer(folder, BacktestJob, _backtest)


def _backtest(folder: Path, job: BacktestJob) -> dict[str, object]:
    base = parse_policy(json.dumps(job.base))
    table = read_table(folder, job.data)
    if not table.num_rows:
        raise TooLittleHistoryError(cause="there are no rows")
    target = TargetContract.from_json(job.target)
    history = History.of(table, target, _contract(job, base, table))
    plan = Plan(
        base=base,
        candidates=candidates(job.base, job.grid, parse_policy),
        metric=job.metric,  # type: ignore[arg-type]  # checked when it was asked for
        terms=Terms(
            job.grid.gates,
            live_after(job.grid),
            tuple(Interval(start, end) for start, end in job.outages),
            trees_per_round(target),
        ),
        price=job.grid.price,
        seed=job.seed,
        seconds=job.seconds,
        workers=job.threads,
    )
    models = folder / MODELS if job.kept is None else Path(job.kept)
    models.mkdir(exist_ok=True)
    out = sys.stdout

    def tell(line: str) -> None:
        out.write(f"{line}\n")
        out.flush()

    with redirect_stdout(io.StringIO()):  # trainers tell each round
        found = replay_all(history, plan, models, tell)
    return {"outcome": "replayed", "found": found}


def _contract(job: BacktestJob, base: Policy, table: pa.Table) -> FeatureContract:
    """Return the contract that a first training on these rows would make."""
    contract = None if job.contract is None else FeatureContract.from_json(job.contract)
    schema = job.feature_schema if contract is None else None
    recipe = Recipe(base.retrain, "full", job.target, schema, contract, has_bins=False)
    return contract_of(TrainJob.model_validate(recipe.to_job()), table)
