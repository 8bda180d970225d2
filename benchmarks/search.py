"""Searches and deep pages at 100,000 versions over HTTP, authenticated, on one API process.

`python -m benchmarks.search` starts `mlreg up`, seeds 100,000 versions of ten
models with their facts, and asks each question several times with one client. The milliseconds are
of the whole call: request, search, answer with up to 100 versions, read as bytes.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.report import report
from benchmarks.seed import START, digest, seed_versions
from mlreg.cli.folder import DataFolder
from mlreg.cli.postgres import EmbeddedPostgres
from mlreg.cli.postgres.roles import OWNER
from mlreg.client.transport import Call
from tests.servers.running import RunningMlreg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.client.client import Client

COUNT = 100_000
MODELS = 10
CALLS = 15
SHAPES = {
    "one_commit": "git:{commit}",
    "prefix": "git:{commit:.2}*",
    "everything": "lane:*",
    "common": "metric.auc>=0.7",
    "rare": "metric.auc>=0.93",
    "old": "created<2024-02 lane:refit",
    "filtered": "model:seed-3 tag.team=risk",
    "many": (
        "features:temp params.num_leaves>31 trained_by:ci metric.auc>=0.8 created>2024-06-01"
        " tag.team=risk"
    ),
    "issue": (
        "features:temp git:{commit:.4}* params.num_leaves>31 data:{data} trained_by:ci"
        " metric.auc>=0.5 created>2024-01-01 tag.team=risk"
    ),
    "nothing": "metric.auc>2",
    "contradiction": "metric.auc>0.8 metric.auc<0.5",
    "hidden_contradiction": "metric.auc>=0.8 metric.log_loss>0.5",
    "three_halves": "metric.metric_1>0.5 metric.metric_2>0.5 metric.metric_3>0.5 metric.auc>0.9",
    "negation": "-lane:refit -tag.team=risk",
    "empty_negation": "-lane:refit -lane:full -lane:continue",
    "either": "(lane:full or -tag.team=risk) package.lightgbm=4.6",
    "champions": "champion:production",
    "two_of_four": (
        "metric.metric_1>0.99 metric.metric_2>0.5 or metric.metric_3>0.99 metric.metric_4>0.5"
    ),
    "eight_halves": " ".join(f"metric.metric_{number}>0.5" for number in range(8)),
    "none_of_eight": " ".join(f"-metric.metric_{number}>0.5" for number in range(8)),
    "none_of_eight_common": (
        "-(" + " or ".join(f"metric.metric_{number}>0.05" for number in range(8)) + ")"
    ),
    "eight_alternatives": " ".join(
        f"(metric.metric_{number}>0.7 or metric.metric_{number}<0.3)" for number in range(8)
    )
    + " metric.auc>0.9",
    "sets": "features:temp package.numpy>=2 metric.metric_1>0.9 metric.metric_2>0.9"
    " metric.metric_3>0.9",
    "rare_together": "lane:full trained_by:anna tag.team=ops git:0* metric.auc>0.85",
    "fifty": " ".join(f"metric.metric_{number % 8}>0.0{number}" for number in range(48)),
    "fifty_tickets": " or ".join(f"tag.ticket=ML-{number * 2000}" for number in range(50)),
}


def milliseconds(client: Client, path: str, query: Mapping[str, object]) -> float:
    """Return the median time of a call."""
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        client.transport.send(Call("GET", path, query))
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1e3


def seed(mlreg: RunningMlreg) -> str:
    """Write the versions and return the commit of one in the middle."""
    folder = DataFolder(mlreg.data)
    url = EmbeddedPostgres(folder.cluster).url("mlreg", OWNER)
    seed_versions(url, COUNT, MODELS, searchable=True)
    with mlreg.client() as client:
        return str(client.versions.get("seed-3", COUNT // MODELS // 2).git["commit"])


def measure() -> dict[str, float]:
    """Measure everything."""
    mlreg = RunningMlreg(environ={"MLREG_UNSAFE_NO_SYNC": ""})
    mlreg.start()
    try:
        commit, found = seed(mlreg), {}
        middle = COUNT // 2 // 4
        data = digest("snapshot", middle)
        with mlreg.client() as client:
            for name, shape in SHAPES.items():
                query = {"q": shape.format(commit=commit, data=data), "limit": 100}
                found[f"{name}_ms"] = milliseconds(client, "/api/v1/search", query)
            deep = {"cursor": COUNT // 10, "limit": 100, "q": f"created>={START:%Y}"}
            found["search_page_at_90_percent_ms"] = milliseconds(client, "/api/v1/search", deep)
            deep["q"] = SHAPES["none_of_eight"]
            found["search_deep_negation_ms"] = milliseconds(client, "/api/v1/search", deep)
            for place, cursor in (("first", None), ("at_90_percent", COUNT // MODELS // 10)):
                page = {"cursor": cursor, "limit": 100}
                found[f"page_{place}_ms"] = milliseconds(
                    client, "/api/v1/models/seed-3/versions", page
                )
        found["search_worst_ms"] = max(found[f"{name}_ms"] for name in SHAPES)
        return found
    finally:
        mlreg.stop()


TARGETS = {
    **{f"{name}_ms": ("<=", 50.0) for name in SHAPES},
    "search_worst_ms": ("<=", 50.0),
    "search_page_at_90_percent_ms": ("<=", 50.0),
    "search_deep_negation_ms": ("<=", 50.0),
    "page_first_ms": ("<=", 10.0),
    "page_at_90_percent_ms": ("<=", 10.0),
}


if __name__ == "__main__":
    report(measure, TARGETS)
