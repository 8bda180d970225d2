"""What features add to the scores of two groups of rows, by the trees of the version that scored.

What always holds: the model file is verified on the way out and parsed in a child process with
limits, never here; a version that cannot be read (corrupt, opaque, too slow) is a sentence and not
the end of an explanation; the folder is gone afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mlreg.client.wire.explanations import Contributions, FeatureContribution
from mlreg.controller.executors.executor import Limits
from mlreg.controller.services.run_folder import (
    ChildCall,
    ChildCrashedError,
    call_child,
    files_of,
    find_source,
    open_folder,
    place_model,
    write_rows,
)
from mlreg.registry.domain.errors import IntegrityError, InvalidError, NotFoundError, RefusedError
from mlreg.registry.services import catalog

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlreg.controller.services.attempt import Attempt
    from mlreg.registry.store.tables import Model

ENTRY = "mlreg.controller.trainers.explain_child:contribute"
LIMITS = Limits(wall_seconds=120.0, cpu_seconds=240)
ROLE = "explained"
MOST_ROWS = 1_000
"""Of each group: a contribution takes a walk through every tree for every leaf."""
LEAST_ROWS = 20
MOST_FEATURES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Two groups of rows to be compared.

    Attributes:
        names: what they are: `wrong` and `right`, or `now` and `before`.
        split: by what they were told apart.
    """

    names: tuple[str, str]
    split: str
    first: pa.Table
    second: pa.Table


def find_contributions(
    attempt: Attempt, model: Model, number: int, groups: Groups, seed: int
) -> Contributions | str:
    """Return what features add in either group, or a sentence that says why that is not known.

    Raises:
        HaltedError: the attempt was told to stop.
        UnavailableError: the store gives no answer; another attempt may go well.
    """
    few = min(groups.first.num_rows, groups.second.num_rows)
    if few < LEAST_ROWS:
        return f"fewer than {LEAST_ROWS} rows of version {number} are {' or '.join(groups.names)}"
    rng = np.random.default_rng(seed)
    try:
        return _contributions(attempt, model, number, groups, rng)
    except (
        ChildCrashedError,
        IntegrityError,
        InvalidError,
        NotFoundError,
        RefusedError,
    ) as error:
        return f"version {number} cannot say what its features add: {error}"


def _contributions(
    attempt: Attempt, model: Model, number: int, groups: Groups, rng: np.random.Generator
) -> Contributions | str:
    with attempt.database.reading() as session:
        source = find_source(session, catalog.get_version(session, model, number))
    if source is None:
        return f"version {number} is none that mlreg can score"
    names = set(source.contract.names)
    with open_folder(attempt, "explain") as folder:
        place_model(attempt.store, source, folder, ROLE)
        for place, rows in enumerate((groups.first, groups.second)):
            wanted = [name for name in rows.column_names if name in names]
            write_rows(folder, f"{place}.parquet", rows.select(wanted).take(_some(rows, rng)))
        files = files_of(ROLE, source, attempt.commands)
        job = {"format": 1, "data": ["0.parquet", "1.parquet"], "model": files}
        result = call_child(attempt, folder, ChildCall(ENTRY, job, lambda _lines: None, LIMITS))
    features = [
        FeatureContribution(feature=name, first=first, second=second)
        for name, first, second in result.result["features"]
    ]
    features.sort(key=lambda one: -abs(one.difference))
    first, second = result.result["rows"]
    return Contributions(
        version=number,
        groups=groups.names,
        split=groups.split,
        rows=(first, second),
        features=features[:MOST_FEATURES],
    )


def _some(rows: pa.Table, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the places of at most `MOST_ROWS` rows, in order."""
    if rows.num_rows <= MOST_ROWS:
        return np.arange(rows.num_rows)
    return np.sort(rng.choice(rows.num_rows, MOST_ROWS, replace=False))
