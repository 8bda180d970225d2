"""What a child process of the executor runs: `train`, `score` and `judge`, each on one folder.

The contract is files. All paths in a job are relative to the folder; rows are Parquet files with
the columns of `read_snapshot` (prediction_id, time, version, score, label, weight, features ...).

**train**: `job.json` →
```
{"format": 1, "trainer": "lightgbm", "lane": "full" | "continue" | "refit",
 "data": ["rows.parquet", ...],
 "target": {...target contract...},
 "schema": [...features...] | null,      the model's feature schema: pinned here, when no contract
 "contract": {...} | null,               the feature contract to keep to
 "params": {...}, "rounds": 200, "max_trees": 400 | null, "decay_rate": 0.9,
 "seed": 7, "threads": 2,
 "outages": {"features": [...], "share": 0.1} | null,
 "parent": {"model": "parent/model.txt", "contract": "parent/contract.json"} | null,
 "bins": "bins.bin" | null}              the contract's profile bins; made here when there are none
```
writes `out/model.txt` and `out/contract.json` (these two are the artifact), `profile.bin` (the
reference profile) and `bins.bin` into the folder, and `result.json`:
```
{"outcome": "trained", "rows": n, "unlabelled": n, "positives": n | null, "trees": n,
 "new_trees": n, "lane": ..., "trainer": "lightgbm/4.7.0", "params": {all that were used},
 "seeds": {...}, "contract": {...}, "contract_digest": "sha256:...", "unseen": {feature: n},
 "augmented": {"rows": n, "features": [...], "share": x, "seed": n} | null,
 "model_digest": "sha256:...", "seconds": {"load": x, "train": x, "profile": x}}
```

**score**: `job.json` →
```
{"format": 1, "data": [...], "threads": 2,
 "models": [{"role": "challenger", "model": "challenger/model.txt",
             "contract": "challenger/contract.json"}, ...]}
```
writes `scores.parquet` (float64 columns named by role, in the order of the rows) and `result.json`
`{"outcome": "scored", "rows": n, "unseen": {role: {feature: n}}, "seconds": {...}}`.

**judge**: a `score` job with, on top,
```
{"target": {...}, "gates": [...as in the policy...], "seed": 7, "draws": 1000,
 "models": [{..., "role": "challenger" | "champion" | "anchor", "version": n,
             "train_end": "2013-02-01T00:00:00+00:00" | null}]}
```
writes the same and in `result.json` `{"outcome": "judged", "judgement": {...}}`, the JSON form of
`domain.judging.Judgement`: verdict, superior, and all evidence.

A refusal (bad label, wrong parent, ...) is `{"outcome": "failed", "code": ..., "message": ...,
"hint": ...}` and the entry point returns normally: the run is `failed`. Anything else that ends the
child is a crash, which may be tried again.
"""
