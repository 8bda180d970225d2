"""A trainer command, as one may bring: logistic regression in numpy. See docs/how-to.

Called as `linear.py FOLDER`; FOLDER holds `job.json`, which says what to do.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def read_matrix(job, scales):
    rows = pq.read_table(job["rows"])
    columns = []
    for feature in job["features"]:
        values = rows[feature["name"]].to_numpy()
        if feature["dtype"] == "category":
            codes = np.arange(len(feature["categories"]) + feature["buckets"])
            columns.append((values[:, None] == codes).astype(float))
        else:
            columns.append(np.nan_to_num(values)[:, None] / scales[feature["name"]])
    return rows, np.hstack([*columns, np.ones((len(rows), 1))])


def train(job):
    rows = pq.read_table(job["rows"])
    numbers = [one["name"] for one in job["features"] if one["dtype"] != "category"]
    scales = {name: float(np.nanmax(np.abs(rows[name].to_numpy()))) or 1.0 for name in numbers}
    if job["parent"]:
        parent = json.loads((Path(job["parent"]) / "model.json").read_text())
        scales = parent["scales"]
    rows, matrix = read_matrix(job, scales)
    labels = rows[job["label"]].to_numpy()
    weights = rows[job["weight"]].to_numpy() if job["weight"] else np.ones(len(labels))
    shape = (matrix.shape[1], job["classes"]) if job["classes"] > 2 else matrix.shape[1]
    found = np.array(parent["weights"]) if job["parent"] else np.zeros(shape)
    goal = labels if job["classes"] <= 2 else np.eye(job["classes"])[labels.astype(int)]
    for step in range(job["rounds"]):
        error = (score(matrix, found, job) - goal).T * weights
        found = found - job["params"].get("rate", 0.5) * (error @ matrix).T / len(labels)
        if step % 10 == 9:
            print(f"step {step + 1} of {job['rounds']}", flush=True)
    if job["params"].get("diverge"):
        found = found * np.nan
    model = {"task": job["task"], "weights": found.tolist(), "scales": scales}
    (Path(job["artifact"]) / "model.json").write_text(json.dumps(model))
    mistakes = np.mean((score(matrix, found, job) - goal) ** 2)
    Path(job["metrics"]).write_text(json.dumps({"squared_error": float(mistakes)}))


def score(matrix, weights, job):
    raw = matrix @ weights
    if job["task"] == "regression":
        return raw
    if raw.ndim == 1:
        return 1 / (1 + np.exp(-raw))
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def predict(job):
    model = json.loads((Path(job["artifact"]) / "model.json").read_text())
    _, matrix = read_matrix(job, model["scales"])
    found = score(matrix, np.array(model["weights"]), model)
    pq.write_table(pa.table({"score": list(found)}), job["scores"])


job = json.loads((Path(sys.argv[1]) / "job.json").read_text())
{"train": train, "predict": predict}[job["do"]](job)
