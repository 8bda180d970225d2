"""Many realistic versions in seconds: `seed_versions(url, count)` copies them into a database.

`python -m benchmarks.seed URL COUNT [MODELS]` does it from a shell; the URL is the owner's. Each
version has the provenance that the SDK captures: a commit, a snapshot, 30 features, 20 parameters,
10 metrics, 60 packages, tags, a manifest with one verified blob of its own, and its lineage. Equal
arguments make equal rows. Nothing is in the artifact store, and no audit entries are made.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import text

from mlreg.registry.domain.contracts import FeatureContract
from mlreg.registry.domain.manifests import Manifest, ManifestFile
from mlreg.registry.store.database import Database
from mlreg.registry.store.search_index import index_models

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2024, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=1000)
LANES = ("full", "continue", "refit", "refit")
TEAMS = ("risk", "growth", "ops", "search")
PEOPLE = ("ci", "ci", "ci", "anna", "bert", "policy:flights/3")
LEAVES = (7, 15, 31, 63, 127)
LOCKFILES = 40  # a lock file changes now and then, not with every version
CONTRACTS = 25
VERSION = (
    *("model_id", "number", "manifest_digest", "flavour", "lane", "trainer", "parent", "git"),
    *("snapshots", "feature_contract", "hyperparameters", "seeds", "environment", "metrics"),
    *("tags", "missing", "train_start", "train_end", "description", "created_at", "created_by"),
)


@dataclass(frozen=True)
class Seeded:
    """What was made: model names in order, and the id of each in the database."""

    names: Sequence[str]
    ids: Sequence[int]
    per_model: int


def seed_versions(
    url: str, count: int, models: int = 1, *, prefix: str = "seed", searchable: bool = False
) -> Seeded:
    """Write `count` versions, spread evenly over new models `seed-0`, `seed-1` and so on.

    Args:
        url: of the database, as its owner or superuser; `+psycopg` in it is fine.
        count: all versions together; a multiple of `models`.
        models: how many models share them.
        prefix: the beginning of the models' names; a second call needs another.
        searchable: whether to index them for search too, which takes longer than all the rest.
    """
    per_model = count // models
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        cursor = connection.cursor()
        contracts = _contracts(cursor)
        names = [f"{prefix}-{number}" for number in range(models)]
        ids = [_model(cursor, name, per_model) for name in names]
        manifests = _files(cursor, prefix, count)
        rows = _versions(manifests, ids, contracts)
        _copy(cursor, "version", VERSION, rows)
        _lineage(cursor, ids)
        connection.commit()
        connection.autocommit = True
        if searchable:
            _index(url, ids)
        connection.execute("VACUUM ANALYZE")
    return Seeded(names, ids, per_model)


def digest(*words: object) -> str:
    """Return the digest that stands for some words."""
    return "sha256:" + hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()


def _model(cursor: psycopg.Cursor, name: str, versions: int) -> int:
    target = {"task": "binary", "classes": ["0", "1"], "positive_class": "1"}
    row = cursor.execute(
        "INSERT INTO model (name, task, description, target_contract, last_version, created_at,"
        " created_by) VALUES (%s, 'binary', '', %s, %s, %s, 'seed') RETURNING id",
        (name, json.dumps(target), versions, START),
    ).fetchone()
    return row[0]


def _contracts(cursor: psycopg.Cursor) -> list[str]:
    """Write feature contracts of 30 columns; each is one column away from the one before."""
    found = []
    for number in range(CONTRACTS):
        features = [{"name": f"feature_{n}", "dtype": "float"} for n in range(number, number + 27)]
        features += [{"name": name, "dtype": "float"} for name in ("temp", "wind_speed")]
        features.append({"name": "carrier", "dtype": "category", "categories": ["AA", "UA", "DL"]})
        contract = FeatureContract.from_json(features)
        cursor.execute(
            "INSERT INTO contract (digest, kind, body) VALUES (%s, 'feature', %s)"
            " ON CONFLICT DO NOTHING",
            (contract.digest, json.dumps(contract.to_document())),
        )
        found.append(contract.digest)
    return found


def _files(cursor: psycopg.Cursor, prefix: str, count: int) -> list[str]:
    """Write a blob and a manifest of one file for each version; return the manifests' digests."""
    blobs = [digest("blob", prefix, number) for number in range(count)]
    manifests = [_manifest(blob) for blob in blobs]
    at = START.isoformat()
    _copy(
        cursor,
        "blob",
        ("digest", "size", "state", "created_at", "verified_at"),
        ((blob, 300_000, "verified", at, at) for blob in blobs),
    )
    _copy(
        cursor,
        "manifest",
        ("digest", "body", "total_size", "created_at"),
        ((name, body, 300_000, at) for name, body in manifests),
    )
    _copy(
        cursor,
        "blob_reference",
        ("digest", "kind", "owner"),
        ((blob, "manifest", name) for blob, (name, _) in zip(blobs, manifests, strict=True)),
    )
    return [name for name, _ in manifests]


def _manifest(blob: str) -> tuple[str, str]:
    manifest = Manifest((ManifestFile("model.txt", 300_000, blob),))
    return manifest.digest, manifest.body


def _versions(
    manifests: Sequence[str], ids: Sequence[int], contracts: Sequence[str]
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of all models, oldest first, the models taking turns."""
    chance = random.Random(7)
    environments = [environment_of(number) for number in range(LOCKFILES)]
    count = len(manifests)
    for index in range(count):
        number, model = index // len(ids) + 1, ids[index % len(ids)]
        at = START + SPAN * index / count
        lane = LANES[index % len(LANES)] if number > 1 else "full"
        commit = hashlib.sha1(f"commit {index // 3}".encode()).hexdigest()
        git = {"commit": commit, "dirty": False, "remote": "https://github.com/acme/models.git"}
        team = TEAMS[chance.randrange(len(TEAMS))]
        yield (
            model,
            number,
            manifests[index],
            "lightgbm-text",
            lane,
            "lightgbm",
            None if lane == "full" else number - 1,
            json.dumps(git),
            json.dumps([digest("snapshot", index // 4)]),
            contracts[index * len(contracts) // count],
            hyperparameters_of(chance),
            json.dumps({"seed": index % 10, "bagging_seed": 3}),
            environments[index * LOCKFILES // count],
            metrics_of(chance),
            json.dumps({"team": team, "ticket": f"ML-{index}", "stage": "candidate"}),
            "[]",
            (at - timedelta(days=90)).isoformat(),
            at.isoformat(),
            f"nightly retrain {index}",
            at.isoformat(),
            PEOPLE[chance.randrange(len(PEOPLE))],
        )


def environment_of(number: int) -> str:
    """Return what a lock file of that number installs, and where, as JSON."""
    packages = {f"package-{n}": f"{n % 7}.{n % 13}.{number if n == 5 else 0}" for n in range(56)}
    packages |= {
        "lightgbm": "4.6.0" if number >= LOCKFILES // 2 else "4.5.0",
        "numpy": f"2.{number // 10}.1",
        "pyarrow": "21.0.0",
        "scikit-learn": "1.7.2",
    }
    return json.dumps(
        {
            "python": "CPython 3.11.9",
            "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
            "cpu": "AMD EPYC 7B13 x 8",
            "packages": packages,
        }
    )


def hyperparameters_of(chance: random.Random) -> str:
    """Return 20 parameters as JSON, some of them by chance."""
    return json.dumps(
        {
            "objective": "binary",
            "boosting": "gbdt",
            "num_leaves": LEAVES[chance.randrange(len(LEAVES))],
            "learning_rate": round(10 ** chance.uniform(-3, -0.5), 5),
            "num_iterations": chance.randrange(50, 1000),
            "feature_fraction": round(chance.random(), 3),
            "bagging_fraction": round(chance.random(), 3),
            "lambda_l2": round(chance.expovariate(1), 4),
            "force_row_wise": True,
            **{f"option_{n}": n * 0.5 for n in range(11)},
        }
    )


def metrics_of(chance: random.Random) -> str:
    """Return 10 metrics as JSON, all of them by chance."""
    auc = chance.betavariate(40, 12)
    return json.dumps(
        {
            "auc": round(auc, 6),
            "log_loss": round(0.9 - auc * 0.6 + chance.gauss(0, 0.02), 6),
            **{f"metric_{n}": round(chance.random(), 6) for n in range(8)},
        }
    )


def _lineage(cursor: psycopg.Cursor, ids: Sequence[int]) -> None:
    cursor.execute(
        "INSERT INTO lineage_edge (source_kind, source, target_kind, target, model_id,"
        " created_at) SELECT 'snapshot', snapshots->>0, 'version', model.name || '/' || number,"
        " model_id, version.created_at FROM version JOIN model ON model.id = model_id"
        " WHERE model_id = ANY(%s)",
        (list(ids),),
    )


def _index(url: str, ids: Sequence[int]) -> None:
    database = Database(url)
    with database.writing() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("SET LOCAL work_mem = '256MB'"))
        index_models(session, ids)
    database.dispose()


def _copy(
    cursor: psycopg.Cursor, table: str, columns: Sequence[str], rows: Iterator[tuple[object, ...]]
) -> None:
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


if __name__ == "__main__":
    seed_versions(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
