"""One champion, ready to score: its model file checked and loaded, beside its feature contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from mlreg.client.scoring.encoding import Encoded, encode
from mlreg.client.scoring.errors import ModelFileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mlreg.client.scoring.cache import Cached
    from mlreg.client.scoring.encoding import Columns
    from mlreg.client.scoring.parser import ModelParser


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A loaded model; scoring is safe from several threads."""

    version: int
    contract: Mapping[str, Any]
    booster: lightgbm.Booster

    def score(self, columns: Columns, *, threads: int) -> tuple[NDArray[np.float64], Encoded]:
        """Return the scores of the rows, and how they were encoded.

        Raises:
            ColumnError: a column breaks the contract; the message names it.
        """
        encoded = encode(self.contract, columns)
        if not len(encoded.matrix):
            return np.empty(0), encoded
        scores = self.booster.predict(encoded.matrix, num_threads=threads)
        return np.asarray(scores, dtype=np.float64), encoded


def load_model(folder: Path, cached: Cached, parser: ModelParser) -> ServedModel:
    """Load a cached version whose bytes are still those that were registered.

    Raises:
        ModelFileError: other bytes, a broken file, or one that the parser's child did not survive;
            or a model whose columns are not those of its contract.
    """
    content = (folder / cached.model_path).read_bytes()
    summary = parser.check(content, digest=cached.model_digest)
    contract = json.loads((folder / cached.contract_path).read_bytes())
    names = tuple(feature["name"] for feature in contract["features"])
    if summary.feature_names != names:
        cause = "are not the columns of the version's feature contract, in its order"
        raise ModelFileError(where="feature_names", cause=cause)
    return ServedModel(
        version=cached.version,
        contract=contract,
        booster=lightgbm.Booster(model_str=content.decode()),
    )
