"""Learning what a regression's errors are expected to be, from its mature windows.

What always holds: at most `SAMPLE` rows are learnt from, of as many mature windows as have
`MAX_ROWS` together (one at least), chosen by a hash of their ids; the model belongs to the
champion's contract, and the newest takes the place of the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mlreg.controller.domain.batches import LABEL, SCORE, TIME
from mlreg.controller.domain.loss_model import fit_losses
from mlreg.controller.domain.windows import Interval
from mlreg.controller.feedback.columns import encoded
from mlreg.controller.services import profiles
from mlreg.controller.services.label_profiles import HISTORY
from mlreg.controller.services.logged_rows import floats, sample_rows, select_rows
from mlreg.controller.store import label_profiles as rows
from mlreg.controller.store.serving import find_serving
from mlreg.controller.store.tables import LossModel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.services.attempt import Attempt
    from mlreg.controller.store.readings import Place
    from mlreg.controller.store.tables import LabelProfile
    from mlreg.registry.store.tables import Model

SAMPLE = 20_000
MAX_ROWS = 500_000
SEED = 0


def learn(
    attempt: Attempt, model: Model, place: Place, window: Interval, labels_until: datetime
) -> None:
    """Fit the loss model of the champion's contract anew, up to a window that was just measured."""
    with attempt.database.reading() as session:
        serving = find_serving(session, *place)
        contract = None if serving is None else serving.contract
        bins = None if contract is None else profiles.find_bins(session, contract)
        mature = rows.newest_profiles(session, place, window.end, limit=HISTORY, state="final")
        stretch = _stretch(mature, window)
        body = select_rows(session, model, stretch, labels_until)
    if bins is None or contract is None:
        return
    names = [name for name in bins.features if name not in {TIME, SCORE, LABEL}]
    table = sample_rows(attempt.store, body, SAMPLE, SEED, [TIME, SCORE, LABEL, *names])
    if table is None:
        return
    errors = floats(table, LABEL) - floats(table, SCORE)
    known = np.isfinite(errors)
    table = table.filter(pa.array(known))
    moments = table[TIME].cast(pa.int64()).to_numpy()
    numbers = moments // int(window.length.total_seconds() * 1e6)
    windows = (numbers - numbers.min(initial=0)).astype(np.intp) if len(numbers) else numbers
    fitted = fit_losses(encoded(table, bins), errors[known], windows, bins)
    if fitted is None:
        return
    kept = LossModel(
        model_id=place[0],
        environment=place[1],
        contract=contract,
        until=window.end,
        rows=len(moments),
        body=fitted.to_bytes(),
    )
    with attempt.effect() as session:
        rows.keep_loss_model(session, kept)


def _stretch(mature: Sequence[LabelProfile], window: Interval) -> Interval:
    """Return the newest mature windows that have `MAX_ROWS` together."""
    start, total = window.start, 0
    for one in mature:
        total += one.rows
        if total > MAX_ROWS:
            break
        start = min(start, one.start)
    return Interval(start, window.end)
