"""What an MLflow server knows of a registered model, as values of our own.

Read leniently: a field that a release of MLflow lacks is empty here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MlflowFile:
    """One file of a version: its path in the model's folder, and its size in bytes if known."""

    path: str
    size: int | None


@dataclass(frozen=True, slots=True)
class MlflowRun:
    """The run (or the logged model) that a version came from.

    Attributes:
        metrics: the last value of each.
        tags: all of them, MLflow's own (`mlflow.…`) too.
        inputs: names and MLflow's own short digests of the data sets that were logged.
    """

    run_id: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MlflowVersion:
    """One version of a registered model."""

    model: str
    number: int
    created_at: datetime
    description: str
    source: str
    run_id: str
    status: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...] = ()


def run_of(answer: Json) -> MlflowRun:
    """Return a run from `runs/get`."""
    run = answer.get("run", {})
    facts = run.get("data", {})
    datasets = [item.get("dataset", {}) for item in run.get("inputs", {}).get("dataset_inputs", ())]
    return MlflowRun(
        run_id=str(run.get("info", {}).get("run_id", "")),
        params=_pairs(facts.get("params", ())),
        metrics=_numbers(facts.get("metrics", ())),
        tags=_pairs(facts.get("tags", ())),
        inputs={str(one.get("name", "")): str(one.get("digest", "")) for one in datasets},
    )


def logged_model_of(answer: Json) -> MlflowRun:
    """Return what MLflow 3 keeps with the model itself, in the shape of a run."""
    model = answer.get("model", {})
    facts = model.get("data", {})
    return MlflowRun(
        run_id=str(model.get("info", {}).get("source_run_id", "")),
        params=_pairs(facts.get("params", ())),
        metrics=_numbers(facts.get("metrics", ())),
        tags=_pairs(model.get("info", {}).get("tags", ())),
    )


def version_of(answer: Json, aliases: Mapping[str, int]) -> MlflowVersion:
    """Return a version from `model-versions/search`; `aliases` are those of its model."""
    number = int(answer["version"])
    moment = int(answer.get("creation_timestamp", 0)) / 1000
    return MlflowVersion(
        model=str(answer["name"]),
        number=number,
        created_at=datetime.fromtimestamp(moment, UTC),
        description=str(answer.get("description") or ""),
        source=str(answer.get("source") or ""),
        run_id=str(answer.get("run_id") or ""),
        status=str(answer.get("status") or "READY"),
        tags=_pairs(answer.get("tags", ())),
        aliases=tuple(sorted(name for name, of in aliases.items() if of == number)),
    )


def aliases_of(answer: Json) -> dict[str, int]:
    """Return the aliases of a registered model."""
    listed = answer.get("registered_model", {}).get("aliases", ())
    return {str(one["alias"]): int(one["version"]) for one in listed}


def entries_of(answer: Json, root: str = "") -> list[tuple[MlflowFile, bool]]:
    """Return the entries of a folder, and of each whether it is a folder; paths below `root`."""
    return [
        (
            MlflowFile(
                str(item["path"]).removeprefix(f"{root}/"),
                None if item.get("file_size") is None else int(item["file_size"]),
            ),
            bool(item.get("is_dir")),
        )
        for item in answer.get("files", ())
    ]


def _pairs(listed: Any) -> dict[str, str]:  # noqa: ANN401 - a foreign answer
    return {str(one["key"]): str(one.get("value", "")) for one in listed or ()}


def _numbers(listed: Any) -> dict[str, float]:  # noqa: ANN401 - as above
    return {str(one["key"]): float(one["value"]) for one in listed or ()}
