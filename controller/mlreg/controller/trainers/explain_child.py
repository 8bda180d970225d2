"""What a child process does to say what each feature adds to the scores of two groups of rows.

`job.json` is a `ContributionJob`: two Parquet files, the first and the second group, and one model.
It writes `result.json` `{"outcome": "explained", "rows": [n, n], "features": [[name, first,
second], ...]}`: the mean size of what each feature adds to the raw score (log-odds of a binary
model; of several classes the mean over them), in the contract's order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from mlreg.client.scoring.encoding import encode
from mlreg.controller.trainers.child import answer
from mlreg.controller.trainers.errors import NotExplainedError
from mlreg.controller.trainers.job import ContributionJob
from mlreg.controller.trainers.kinds import open_trainer
from mlreg.controller.trainers.rows import read_table
from mlreg.controller.trainers.trainer import Explaining, StoredModel
from mlreg.registry.domain.contracts import FeatureContract

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def contribute(folder: Path) -> None:
    """Do the job of a folder."""
    answer(folder, ContributionJob, _contribute)


def _contribute(folder: Path, job: ContributionJob) -> Mapping[str, object]:
    trainer = open_trainer(job.model.trainer or job.trainer, job.model.command)
    if not isinstance(trainer, Explaining):
        raise NotExplainedError(trainer=trainer.name)
    contract = FeatureContract.from_json(json.loads((folder / job.model.contract).read_bytes()))
    model = StoredModel(folder / job.model.model, contract)
    matrices = [
        encode(contract.to_document(), read_table(folder, [path])).matrix for path in job.data
    ]
    added = trainer.contributions(model, np.concatenate(matrices), threads=job.threads)
    sizes = np.abs(added).mean(axis=1)
    first, second = np.split(sizes, [len(matrices[0])])
    means = zip(contract.names, first.mean(axis=0), second.mean(axis=0), strict=True)
    return {
        "outcome": "explained",
        "rows": [len(first), len(second)],
        "features": [[name, float(one), float(other)] for name, one, other in means],
    }
