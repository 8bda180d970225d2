"""The training step: rows.parquet and features.yaml in; model.txt, contract.json, params.json out.

Any program in any framework can stand here. `--spoil` trains on shuffled labels, to see how the
pipeline refuses what it should.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow.parquet as pq
import yaml

from mlreg.client.scoring.encoding import encode

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--spoil", action="store_true")
options = parser.parse_args()

features = yaml.safe_load(Path("features.yaml").read_text())
rows = pq.read_table("rows.parquet")
matrix, labels = encode({"features": features}, rows).matrix, rows["label"].to_numpy()
known = ~np.isnan(labels)
matrix, labels = matrix[known], labels[known]
if options.spoil:
    labels = np.random.default_rng(options.seed).permutation(labels)

params = {"objective": "binary", "num_leaves": 7, "learning_rate": 0.1, "seed": options.seed}
learned = lightgbm.Dataset(
    matrix,
    labels,
    feature_name=[feature["name"] for feature in features],
    categorical_feature=[f["name"] for f in features if f["dtype"] == "category"],
)
lightgbm.train({**params, "verbosity": -1}, learned, 60).save_model("model.txt")
Path("contract.json").write_text(json.dumps(features))
Path("params.json").write_text(json.dumps({**params, "rounds": 60}))
print(f"60 trees on {len(labels)} rows")
