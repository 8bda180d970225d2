"""Fill an MLflow server; run by MLflow's own Python. Prints the sha256 of every file it stored."""

import hashlib
import json
import pickle
import sys
import tempfile
from pathlib import Path

import lightgbm
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

NAME = "churn"
NAMES = ["age", "income", "visits"]
mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
rng = np.random.default_rng(7)
rows = rng.normal(size=(300, 3))
labels = (rows[:, 0] + rng.normal(size=300) > 0).astype(int)


def train(rounds):
    params = {"objective": "binary", "num_leaves": 7, "seed": 7, "verbose": -1}
    booster = lightgbm.train(params, lightgbm.Dataset(rows, labels, feature_name=NAMES), rounds)
    mlflow.log_params({**params, "learning_rate": 0.05, "note": "007", "shuffled": True})
    mlflow.log_metric("auc", 0.1)
    mlflow.log_metric("auc", 0.5 + rounds / 100)
    mlflow.log_metric("broken", float("nan"))
    mlflow.set_tag("team", "risk")
    mlflow.set_tag("mlflow.source.git.commit", "3f2a" * 10)
    return booster


with mlflow.start_run():
    mlflow.lightgbm.log_model(train(5), name="model", registered_model_name=NAME)
with mlflow.start_run():
    frame = pd.DataFrame(rows, columns=NAMES)
    signature = infer_signature(frame, labels)
    mlflow.lightgbm.log_model(
        train(9), name="model", registered_model_name=NAME, signature=signature
    )
with mlflow.start_run():
    skops = LogisticRegression().fit(rows, labels)
    mlflow.sklearn.log_model(skops, name="model", registered_model_name=NAME)
with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:  # the way of MLflow 2
    pickled = Path(folder) / "model" / "deep" / "model.pkl"
    pickled.parent.mkdir(parents=True)
    pickled.write_bytes(pickle.dumps(skops))
    mlflow.log_artifacts(folder)
    client.create_model_version(NAME, f"runs:/{run.info.run_id}/model", run.info.run_id)
client.set_registered_model_alias(NAME, "champion", 2)
client.set_model_version_tag(NAME, "1", "reviewed", "yes")
client.update_model_version(NAME, "2", description="the good one")
stored = {}
for version in client.search_model_versions(f"name='{NAME}'"):
    place = Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/{version.version}"))
    stored[version.version] = {
        str(file.relative_to(place)): "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()
        for file in place.rglob("*")
        if file.is_file() and file.name != "registered_model_meta"
    }
print(json.dumps(stored))
