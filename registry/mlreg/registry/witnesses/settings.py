"""Which witnesses the operator wants, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mlreg.registry.artifacts.settings import S3Settings


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """Where checkpoints go, and how they are signed.

    Attributes:
        folder: keeps `checkpoints`, and the key unless one is given.
        key: a signer key in the text form of signed notes; never shown.
        url: `s3://bucket/prefix`.
        s3: how that store is reached.
        retention_days: how long the store shall refuse to delete one (Object Lock); None asks for
            nothing.
        syslog: `/dev/log`, or `host:port` over UDP.
    """

    folder: Path | None = None
    key: str | None = field(default=None, repr=False)
    url: str | None = None
    s3: S3Settings = field(default_factory=S3Settings, repr=False)
    retention_days: int | None = None
    syslog: str | None = None
