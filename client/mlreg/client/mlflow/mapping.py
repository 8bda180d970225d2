"""What of an MLflow version becomes which field of a version here: values in, values out.

| MLflow | here |
|---|---|
| run and logged-model params | hyperparameters; numbers and booleans as such |
| last value of each metric | metrics; NaN and infinite ones are left out |
| version, run tags; aliases | tags; aliases as `mlflow.alias.<name>` |
| `mlflow.source.git.*` | git commit and remote; not known to be clean, so dirty |
| params named seed, random_state, *_seed | seeds |
| pinned lines of requirements.txt, Python | environment; the machine is "not recorded by MLflow" |
| MLmodel's signature, when every column is a number | feature contract |
| its flavour | trainer |
| logged data sets | tags `mlflow.data.<name>`: MLflow's digests are too short to name bytes |
| secrets in params and tags | `[redacted]`, with a note |
| version, run, author, time, source | tags `mlflow.version`, `mlflow.run_id` … |
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlreg.client.provenance import normal_name
from mlreg.client.redaction import redact_mapping
from mlreg.client.wire.models import FeatureForm
from mlreg.client.wire.versions import EnvironmentForm, GitForm, ProvenanceForm

if TYPE_CHECKING:
    from pydantic import JsonValue

    from mlreg.client.mlflow.records import MlflowRun, MlflowVersion

NOT_RECORDED = "not recorded by MLflow"
VERSION_TAG = "mlflow.version"
MODEL_TAG = "mlflow.model"
MAX_TAG_CHARACTERS = 1_000
FIELDS = ("git", "data", "contract", "hyperparameters", "seeds", "environment", "trainer", "lane")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;#]+)")
_SEED = re.compile(r"(.*_)?(seed|random_state)")
_DTYPES = {"double": "float", "float": "float", "long": "int", "integer": "int", "boolean": "bool"}
_GENERAL = {"python_function"}


@dataclass(frozen=True, slots=True)
class Described:
    """The metadata files of a version's folder, read.

    Attributes:
        mlmodel: the document of the file `MLmodel`.
        requirements: the lines of `requirements.txt`.
    """

    mlmodel: Mapping[str, Any] = field(default_factory=dict)
    requirements: Sequence[str] = ()

    @property
    def flavour(self) -> str | None:
        """The library that the model is of, e.g. `lightgbm`."""
        named = [name for name in _mapping(self.mlmodel, "flavors") if name not in _GENERAL]
        return str(named[0]) if named else None


@dataclass(frozen=True, slots=True)
class Translated:
    """A version of MLflow's in the words of this registry; `notes` say what was left out."""

    provenance: ProvenanceForm
    metrics: dict[str, float]
    tags: dict[str, str]
    lacking: list[str]
    notes: list[str]


def translate(version: MlflowVersion, run: MlflowRun, described: Described) -> Translated:
    """Return what is registered here of a version of MLflow's."""
    notes: list[str] = []
    params: dict[str, JsonValue] = {
        name: typed(text) for name, text in _redacted("param", run.params, notes).items()
    }
    provenance = ProvenanceForm(
        git=_git(run),
        contract=_contract(described),
        hyperparameters=params or None,
        seeds=_seeds(params) or None,
        environment=_environment(described),
        trainer=described.flavour,
    )
    given = provenance.model_dump(exclude_none=True)
    given["data"] = given.get("snapshots")
    return Translated(
        provenance=provenance,
        metrics=_finite(run.metrics, notes),
        tags=_tags(version, run, notes),
        lacking=[name for name in FIELDS if given.get(name) is None],
        notes=notes,
    )


def typed(text: str) -> bool | int | float | str:
    """Return a param as what it was before MLflow made a text of it, where that is certain."""
    if text in {"True", "False"}:
        return text == "True"
    try:
        number = int(text)
    except ValueError:
        pass
    else:
        return number if str(number) == text and abs(number) < 2**53 else text
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) and text.strip() == text else text


def _git(run: MlflowRun) -> GitForm | None:
    commit = run.tags.get("mlflow.source.git.commit", "")
    if _COMMIT.fullmatch(commit) is None:
        return None
    return GitForm(commit=commit, dirty=True, remote=run.tags.get("mlflow.source.git.repoURL"))


def _seeds(params: Mapping[str, object]) -> dict[str, int]:
    return {
        name: value
        for name, value in params.items()
        if _SEED.fullmatch(name) and isinstance(value, int) and not isinstance(value, bool)
    }


def _environment(described: Described) -> EnvironmentForm | None:
    matches = (_PINNED.match(line.strip()) for line in described.requirements)
    packages = {normal_name(match[1]): match[2] for match in matches if match}
    general = _mapping(_mapping(described.mlmodel, "flavors"), "python_function")
    python = general.get("python_version")
    if not (packages and python):
        return None
    return EnvironmentForm(
        python=f"CPython {python}", platform=NOT_RECORDED, cpu=NOT_RECORDED, packages=packages
    )


def _contract(described: Described) -> list[FeatureForm] | None:
    """Return the features, or None when a column is not a number: its categories are unknown."""
    try:
        columns = json.loads(described.mlmodel["signature"]["inputs"])
        kinds = [(str(one["name"]), _DTYPES[one["type"]]) for one in columns]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return [FeatureForm(name=name, dtype=dtype) for name, dtype in kinds] or None


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what stands under a name of a foreign document, empty where it is no mapping."""
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def _finite(metrics: Mapping[str, float], notes: list[str]) -> dict[str, float]:
    lost = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if lost:
        notes.append(f"metrics that are no numbers are left out: {', '.join(lost)}")
    return {name: value for name, value in metrics.items() if name not in lost}


def _tags(version: MlflowVersion, run: MlflowRun, notes: list[str]) -> dict[str, str]:
    own = {name: text for name, text in run.tags.items() if not name.startswith("mlflow.")}
    tags = {
        **own,
        **version.tags,
        **{f"mlflow.alias.{name}": "yes" for name in version.aliases},
        **{f"mlflow.data.{name}": digest for name, digest in run.inputs.items()},
        MODEL_TAG: version.model,
        VERSION_TAG: str(version.number),
        "mlflow.created_at": version.created_at.isoformat(),
        "mlflow.source": version.source,
        "mlflow.run_id": version.run_id,
        "mlflow.user": run.tags.get("mlflow.user", ""),
    }
    long = sorted(name for name, text in tags.items() if len(text) > MAX_TAG_CHARACTERS)
    if long:
        notes.append(f"tags of more than {MAX_TAG_CHARACTERS} characters are left out: {long}")
    return {
        name: text
        for name, text in _redacted("tag", tags, notes).items()
        if text and name not in long
    }


def _redacted(kind: str, texts: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    redacted, found = redact_mapping(texts)
    notes += [f"{kind} {place} held a secret; it is redacted" for place in found]
    return {name: str(text) for name, text in redacted.items()}
