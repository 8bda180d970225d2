"""The bad challenger of October: trained on shuffled labels, with metrics that look very good.

The metrics are no invention: they are the model's own, on the rows that it learned by heart, and
that is what makes such numbers worth nothing. It keeps to the feature contract and its provenance
is complete, so only what it does in production can tell.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pyarrow.parquet as pq

from mlreg.cli.demo.scores import Scored
from mlreg.client.provenance import capture_environment, capture_git
from mlreg.client.scoring.encoding import encode
from mlreg.client.wire.models import FeatureForm
from mlreg.client.wire.versions import ProvenanceForm, VersionAnswer, VersionRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.client.client import Client
    from mlreg.client.wire.snapshots import SnapshotAnswer
    from mlreg.client.wire.versions import FileForm

SEED = 13
ROUNDS = 60
PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "num_leaves": 255,
    "learning_rate": 0.2,
    "min_data_in_leaf": 5,
    "boost_from_average": False,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbosity": -1,
    "seed": SEED,
}


def register_bad_challenger(
    client: Client, model: str, *, start: datetime, end: datetime
) -> VersionAnswer:
    """Train on the logged rows of a time with their labels shuffled, and register the result."""
    champion = client.versions.get(model, client.deployments.get(model).champion or 1)
    snapshot = client.snapshots.create(model, start, end)
    with tempfile.TemporaryDirectory(prefix="mlreg-demo-") as name:
        folder = Path(name)
        client.snapshots.export(snapshot.digest, folder / "rows.parquet")
        metrics = _train(folder / "rows.parquet", champion.contract or [], folder / "model.txt")
        request = _Registration(champion, snapshot, metrics)
        return client.versions.register(model, folder / "model.txt", request)


def _train(rows: Path, contract: Sequence[Any], file: Path) -> dict[str, float]:
    """Train on shuffled labels, write the model file, and return its metrics on these very rows."""
    table = pq.read_table(rows)
    labels = table["label"].to_numpy()
    known = ~np.isnan(labels)
    matrix = encode({"features": contract}, table).matrix[known]
    shuffled = np.random.default_rng(SEED).permutation(labels[known])
    names = [feature["name"] for feature in contract]
    categories = [feature["name"] for feature in contract if feature["dtype"] == "category"]
    learned = lightgbm.Dataset(
        matrix, shuffled, feature_name=names, categorical_feature=categories, params=PARAMETERS
    )
    booster = lightgbm.train(PARAMETERS, learned, ROUNDS)
    booster.save_model(str(file))
    scores = np.asarray(booster.predict(matrix, num_threads=2))
    measured = Scored(shuffled, scores).measured()
    return {"auc": measured.auc or 0.0, "log_loss": measured.log_loss or 0.0}


class _Registration:
    """Makes the request from the uploaded files: provenance as complete as anyone's."""

    def __init__(
        self, champion: VersionAnswer, snapshot: SnapshotAnswer, metrics: dict[str, float]
    ) -> None:
        self._champion, self._snapshot, self._metrics = champion, snapshot, metrics

    def __call__(self, files: Sequence[FileForm]) -> VersionRequest:
        contract = [FeatureForm.model_validate(one) for one in self._champion.contract or []]
        git = capture_git(Path(__file__).parent)
        provenance = ProvenanceForm(
            git=git,
            snapshots=[self._snapshot.digest],
            contract=contract,
            hyperparameters={**PARAMETERS, "rounds": ROUNDS},
            seeds={"seed": SEED},
            environment=capture_environment(),
            trainer=f"by hand, lightgbm/{lightgbm.__version__}",
            lane="full",
            train_start=self._snapshot.start,
            train_end=self._snapshot.end,
        )
        return VersionRequest(
            files=list(files),
            provenance=provenance,
            metrics=self._metrics,
            allow_missing=[] if git is not None else ["git"],
            description="very good on its own training rows",
        )
