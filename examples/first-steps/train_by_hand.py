"""Trains a model outside of mlreg, on the rows of a snapshot, for `mlreg version register`.

Reads `rows.parquet` (`mlreg snapshot export`) and `features.yaml`; writes `by-hand.txt`. Categories
are numbers here: their place in the list that the contract pins.
"""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import pyarrow.parquet as pq
import yaml

from mlreg.client.scoring.encoding import encode

features = yaml.safe_load(Path("features.yaml").read_text())
rows = pq.read_table("rows.parquet")
matrix, labels = encode({"features": features}, rows).matrix, rows["label"].to_numpy()
known = ~np.isnan(labels)

learned = lightgbm.Dataset(
    matrix[known],
    labels[known],
    feature_name=[feature["name"] for feature in features],
    categorical_feature=[f["name"] for f in features if f["dtype"] == "category"],
)
parameters = {"objective": "binary", "num_leaves": 15, "seed": 3, "verbosity": -1}
lightgbm.train(parameters, learned, 40).save_model("by-hand.txt")
print(f"by-hand.txt: 40 trees on {int(known.sum())} rows")
