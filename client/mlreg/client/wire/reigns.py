"""What served at a moment, over the wire."""

from __future__ import annotations

from datetime import datetime

from mlreg.client.wire.base import Answer
from mlreg.client.wire.decisions import DecisionAnswer


class HandAnswer(Answer):
    """The revision that began or ended a reign: when, why, by whose hand.

    Attributes:
        champion: the version that it brought.
        approvers: those whose approval it stood on; `broke_glass` says that it went without.
    """

    revision: int
    champion: int | None
    at: datetime
    cause: str
    actor: str
    reason: str
    forced: bool = False
    approvers: tuple[str, ...] = ()
    broke_glass: bool = False


class ReignAnswer(Answer):
    """What served a model in an environment at a moment.

    Attributes:
        assumed_utc: the time was given without a zone, and taken as UTC.
        revision: in force at that moment.
        digest: of the champion's manifest.
        fallback: what served in place of the champion, if anything did.
        brought: how the reign of the champion began.
        ended: how it ended; None while it lasts.
        decision: the evidence on which the champion was promoted; None without one.
    """

    model: str
    environment: str
    time: datetime
    assumed_utc: bool
    revision: int
    champion: int | None
    digest: str | None
    fallback: str | None
    frozen: bool
    brought: HandAnswer
    ended: HandAnswer | None = None
    decision: DecisionAnswer | None = None
