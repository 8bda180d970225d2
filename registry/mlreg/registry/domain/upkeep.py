"""What the operator says about keeping bytes: how often they are hashed, how long they stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from mlreg.registry.domain.garbage import Retention

MIB = 2**20


@dataclass(frozen=True, slots=True)
class UpkeepSettings:
    """The settings of the scrub and of the collection.

    Attributes:
        scrub_within: every blob is hashed anew within this time.
        scrub_bytes_per_second: how fast the scrub reads on average.
        retention: whose bytes stay although their version was deleted.
    """

    scrub_within: timedelta = timedelta(days=14)
    scrub_bytes_per_second: float = 32.0 * MIB
    retention: Retention = field(default_factory=Retention)
