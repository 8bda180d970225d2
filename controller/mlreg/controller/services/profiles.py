"""Profiles as the rest of the controller asks for them: bins, windows, references.

What always holds: a contract's bins are made once, by whoever trains it first, and are the same for
everyone after; a window profile is written only by the drain, in the transaction that drains its
rows, and so counts each batch once; the profiles of its day and week are added to there as well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from mlreg.controller.domain.bins import Bins
from mlreg.controller.domain.profile import Profile, make_bins, merge, merge_all
from mlreg.controller.feedback.columns import HourProfile, profile_table, training_columns
from mlreg.controller.services.rollups import roll_up
from mlreg.controller.store import profiles
from mlreg.controller.store.tables import ReferenceProfile, WindowProfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import pyarrow as pa

    from mlreg.registry.domain.contracts import FeatureContract
    from mlreg.registry.store.database import ReadSession, WriteSession

Source = Literal["training", "snapshot", "log"]
"""Whose rows a reference sums up: see the table."""

__all__ = [
    "HourProfile",
    "add_hours",
    "ensure_bins",
    "find_bins",
    "find_reference",
    "list_bins",
    "merged_profile",
    "profile_table",
    "store_reference",
    "window_profiles",
]


def ensure_bins(
    session: WriteSession, contract: FeatureContract, rows: pa.Table, *, now: datetime
) -> Bins:
    """Return the bins of a contract, made from these training rows if it has none yet."""
    found = find_bins(session, contract.digest)
    if found is not None:
        return found
    bins = make_bins(training_columns(rows, contract), contract)
    return _bins(profiles.keep_bins(session, contract.digest, bins.to_bytes(), now))


def find_bins(session: ReadSession, contract: str) -> Bins | None:
    """Return the bins of a contract (by its digest), None before its first training."""
    raw = profiles.find_bins(session, contract)
    return None if raw is None else _bins(raw)


def list_bins(session: ReadSession, contracts: Iterable[str]) -> dict[str, Bins]:
    """Return the bins of those contracts (by their digests) that were trained once."""
    wanted = sorted(set(contracts))
    found = profiles.list_bins(session, wanted) if wanted else {}
    return {contract: _bins(raw) for contract, raw in found.items()}


def window_profiles(
    session: ReadSession, model_id: int, contract: str, start: datetime, end: datetime
) -> list[HourProfile]:
    """Return the profiles of the hours in `start ≤ hour < end`, by hour and version.

    There are none for a contract (named by its digest) that has no bins yet.
    """
    bins = find_bins(session, contract)
    if bins is None:
        return []
    return [
        HourProfile(window.start, window.version, Profile.from_bytes(window.body, bins))
        for window in profiles.list_windows(session, model_id, contract, start, end)
    ]


def merged_profile(hours: Sequence[HourProfile]) -> Profile | None:
    """Return the one profile of some hours, None if there are none."""
    return merge_all([hour.profile for hour in hours]) if hours else None


def store_reference(  # noqa: PLR0913 - what a reference is made of
    session: WriteSession,
    model_id: int,
    version: int,
    contract: str,
    profile: Profile,
    *,
    labels: bytes | None = None,
    source: Source = "training",
) -> None:
    """Write the profile of the rows that a version was trained on, and of their labels, once."""
    reference = ReferenceProfile(
        model_id=model_id,
        version=version,
        contract=contract,
        body=profile.to_bytes(),
        source=source,
        labels=labels,
    )
    profiles.keep_reference(session, reference)


def find_reference(session: ReadSession, model_id: int, version: int) -> Profile | None:
    """Return the profile of the rows that a version was trained on, if it was written."""
    found = profiles.find_reference(session, model_id, version)
    bins = None if found is None else find_bins(session, found.contract)
    return None if found is None or bins is None else Profile.from_bytes(found.body, bins)


def add_hours(
    session: WriteSession, model_id: int, contract: str, hours: Sequence[HourProfile]
) -> None:
    """Add newly drained rows to the windows of their hours; the caller holds the model's lock."""
    if not hours:
        return
    bins = hours[0].profile.bins
    starts = [hour.start for hour in hours]
    stored = profiles.list_windows(session, model_id, contract, min(starts), _after(starts))
    known = {(window.start, window.version): window for window in stored}
    windows = []
    for hour in hours:
        before = known.get((hour.start, hour.version))
        profile = hour.profile
        if before is not None:
            profile = merge(Profile.from_bytes(before.body, bins), profile)
        windows.append(
            WindowProfile(
                model_id=model_id,
                contract=contract,
                version=hour.version,
                start=hour.start,
                rows=profile.rows,
                body=profile.to_bytes(),
            )
        )
    profiles.keep_windows(session, windows)
    roll_up(session, (model_id, contract), hours)


def write_hours(session: WriteSession, log: tuple[int, str], hours: Sequence[HourProfile]) -> None:
    """Write profiles of hours over what was there; the caller rolls them up anew."""
    profiles.keep_windows(
        session,
        [
            WindowProfile(
                model_id=log[0],
                contract=log[1],
                version=hour.version,
                start=hour.start,
                rows=hour.profile.rows,
                body=hour.profile.to_bytes(),
            )
            for hour in hours
        ],
    )


def _after(starts: Sequence[datetime]) -> datetime:
    """Return the moment after the latest start that `start < end` lets it in."""
    latest = max(starts)
    return latest.replace(microsecond=latest.microsecond + 1)


@lru_cache(maxsize=64)
def _bins(raw: bytes) -> Bins:
    return Bins.from_bytes(raw)
