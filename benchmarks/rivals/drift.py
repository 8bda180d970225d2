"""What others take for a drift report; run by the Python of `.drift`: `drift.py FOLDER`.

The folder holds `reference.parquet`, `current.parquet` and `fewer.parquet`. Prints one JSON
document of seconds, each from the file to the report.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

if TYPE_CHECKING:
    from collections.abc import Callable

warnings.simplefilter("ignore")


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of one run."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def evidently(folder: Path, reference: pd.DataFrame) -> float:
    """Return the seconds of the default drift preset."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    def run() -> None:
        current = pd.read_parquet(folder / "fewer.parquet")
        Report([DataDriftPreset()]).run(current, reference).dict()

    return timed(run)


def nannyml(folder: Path, reference: pd.DataFrame) -> float:
    """Return the seconds of the univariate drift (its defaults), fitted before."""
    import nannyml as nml

    calculator = nml.UnivariateDriftCalculator(
        column_names=list(reference.columns), chunk_number=10
    )
    calculator.fit(reference)

    def run() -> None:
        calculator.calculate(pd.read_parquet(folder / "current.parquet"))

    return timed(run)


def scipy(folder: Path, reference: pd.DataFrame) -> float:
    """Return the seconds of two-sample Kolmogorov-Smirnov tests."""

    def run() -> None:
        current = pd.read_parquet(folder / "current.parquet")
        for name in reference.columns:
            ks_2samp(reference[name].to_numpy(), current[name].to_numpy(), method="asymp")

    return timed(run)


def main() -> None:
    """Time them, one after the other."""
    folder = Path(sys.argv[1])
    reference = pd.read_parquet(folder / "reference.parquet")
    found = {}
    for one in (evidently, nannyml, scipy):
        try:
            found[one.__name__] = one(folder, reference)
        except Exception as error:  # noqa: BLE001 - one that breaks must not hide the others
            print(f"{one.__name__}: {error!r}", file=sys.stderr)
    found["numpy"] = float(np.__version__.split(".")[0])
    print(json.dumps(found))


main()
