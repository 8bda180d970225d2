"""What a training says of itself while it runs: parameters, metrics, curves, trials, seeds, lines.

What always holds: secrets are redacted before anything is kept; what cannot be JSON is kept as its
text; a number that is not finite is a gap in a curve and no metric. Files are written at the end,
each only if there is something in it (`FILES`).
"""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlreg.client.errors import InvalidError
from mlreg.client.redaction import redact_mapping, redact_text

if TYPE_CHECKING:
    from pathlib import Path

    from mlreg.client.wire.versions import StageKind

MAX_INTEGER = 2**53
LOG = logging.getLogger("mlreg.training")
FILES: Mapping[str, StageKind] = {
    "curves.csv": "loss_curve",
    "search.csv": "search_table",
    "predictions.csv": "predictions",
    "training.log": "log",
}


@dataclass
class Records:
    """Everything that was logged so far."""

    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    seeds: dict[str, int] = field(default_factory=dict)
    curves: dict[str, dict[float, float]] = field(default_factory=dict)
    trials: list[dict[str, Any]] = field(default_factory=list)
    predictions: dict[str, list[Any]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def add_params(self, params: Mapping[str, object]) -> None:
        """Keep parameters, without secrets; says so when there was one."""
        self.params |= without_secrets(params, "parameter")

    def add_metric(self, name: str, value: object, step: float | None) -> None:
        """Keep a metric; with a step it is a point of a curve, and the newest point the metric."""
        number = number_of(value, f"metric {name!r}")
        if step is not None:
            self.curves.setdefault(name, {})[float(step)] = number
        if math.isfinite(number):
            self.metrics[name] = number
        else:
            LOG.warning("mlreg: metric %r is %r, which is kept as a gap", name, number)

    def add_curve(self, name: str, values: Iterable[object], steps: Iterable[object]) -> None:
        """Keep a whole curve."""
        points = self.curves.setdefault(name, {})
        for step, value in zip(steps, values, strict=False):
            points[number_of(step, "a step")] = number_of(value, f"curve {name!r}")

    def add_trials(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Keep the rows of a search."""
        self.trials += [without_secrets(row, "column of the search") for row in rows]

    def set_predictions(self, columns: Mapping[str, object]) -> None:
        """Keep the columns of the hold-out; they must be of one length."""
        listed = {name: list_of(values) for name, values in columns.items()}
        if len({len(values) for values in listed.values()}) != 1:
            lengths = ", ".join(f"{name}: {len(values)}" for name, values in listed.items())
            raise InvalidError(
                f"columns of predictions differ in length ({lengths})", code="invalid_predictions"
            )
        self.predictions = listed

    def write(self, folder: Path) -> None:
        """Write the files of what there is."""
        if self.curves:
            _write(folder / "curves.csv", ["step", *self.curves], self._steps())
        if self.trials:
            names = list(dict.fromkeys(name for row in self.trials for name in row))
            _write(folder / "search.csv", ["trial", *names], self._numbered_trials(names))
        if self.predictions:
            rows = zip(*self.predictions.values(), strict=True)
            _write(folder / "predictions.csv", list(self.predictions), rows)
        if self.lines:
            (folder / "training.log").write_text("\n".join(self.lines) + "\n", "utf-8")

    def _steps(self) -> Iterator[Sequence[object]]:
        """Yield each step with its point on every curve."""
        curves = self.curves.values()
        for step in sorted(set().union(*curves)):
            yield [_plain(step), *(_cell(points.get(step)) for points in curves)]

    def _numbered_trials(self, names: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yield the trials of a search, each with its number."""
        for number, row in enumerate(self.trials, 1):
            yield [number, *(row.get(name, "") for name in names)]


def without_secrets(mapping: Mapping[str, object], what: str) -> dict[str, Any]:
    """Return a mapping as JSON without its secrets, and say which were redacted."""
    redacted, found = redact_mapping({str(name): json_of(one) for name, one in mapping.items()})
    for place in found:
        LOG.warning("mlreg: %s %s looks like a secret; it is kept as [redacted]", what, place)
    return redacted


def json_of(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower name
    """Return a value as JSON: numpy's numbers as numbers, what is nothing of JSON as its text."""
    if hasattr(value, "tolist"):  # numpy, without importing it
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): json_of(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_of(one) for one in value]
    is_json = value is None or isinstance(value, bool | int | float | str)
    return value if is_json and not _is_beyond(value) else redact_text(str(value))


def _is_beyond(value: object) -> bool:
    """Whether a number is none of JSON's: not finite, or an integer that JavaScript would round."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) >= MAX_INTEGER


def number_of(value: object, what: str) -> float:
    """Return a value as a number.

    Raises:
        InvalidError: it is none.
    """
    try:
        return float(value)  # type: ignore[arg-type]  # whatever has __float__
    except (TypeError, ValueError) as error:
        raise InvalidError(f"{what}: {value!r} is no number", code="not_a_number") from error


def list_of(values: object) -> list[Any]:
    """Return the values of a list, an array or a column."""
    for name in ("to_pylist", "tolist", "to_list"):
        if hasattr(values, name):
            return list(getattr(values, name)())
    return list(values)  # type: ignore[call-overload, no-any-return]  # whatever can be iterated


def rows_of_search(results: object) -> list[dict[str, object]]:
    """Return the trials of a search: rows, columns, an Optuna study, scikit-learn's results.

    Raises:
        InvalidError: it is none of these.
    """
    if hasattr(results, "cv_results_"):
        return rows_of_search(_without_params(results.cv_results_))
    if hasattr(results, "trials"):
        return [{**trial.params, "value": trial.value} for trial in results.trials]
    if isinstance(results, Mapping):
        columns = [list_of(values) for values in results.values()]
        return [dict(zip(results, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(results, Sequence) and all(isinstance(row, Mapping) for row in results):
        return [dict(row) for row in results]
    raise InvalidError(
        f"{type(results).__name__} is no table of trials",
        code="unknown_search",
        hint="Give rows, columns, an Optuna study, or add the file with kind='search_table'.",
    )


def _without_params(columns: Mapping[str, object]) -> dict[str, object]:
    """Return scikit-learn's columns without `params`, which repeats the others as one."""
    return {name: values for name, values in columns.items() if name != "params"}


def _plain(number: float) -> float | int:
    return int(number) if number.is_integer() else number


def _cell(value: float | None) -> object:
    return "" if value is None or not math.isfinite(value) else value


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
