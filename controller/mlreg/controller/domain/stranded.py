"""Why no worker takes a job: rules of who fits whom, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that is there: its labels, the kinds of jobs that it knows, those it gave back."""

    labels: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    declined: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a queued job asks of a worker."""

    job_id: int
    kind: str
    label: str | None = None


def why_stranded(workers: Sequence[Worker], job: Wanted) -> str | None:
    """Return why none of the workers takes a job; None where one of them would."""
    if not workers:
        return "no worker is there"
    labelled = [one for one in workers if job.label is None or job.label in one.labels]
    if not labelled:
        return f"no worker with label {job.label!r} is there"
    able = [one for one in labelled if job.kind in one.kinds]
    if not able:
        return (
            f"no worker that is there knows jobs of kind {job.kind!r}: they are of an older mlreg"
        )
    if all(job.job_id in one.declined for one in able):
        return "the workers that are there are of an older mlreg than who asked for it"
    return None
