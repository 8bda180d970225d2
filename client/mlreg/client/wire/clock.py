"""The clock on the wire."""

from __future__ import annotations

from pydantic import AwareDatetime

from mlreg.client.wire.base import Answer, Request


class AdvanceRequest(Request):
    """Move virtual time to this moment."""

    to: AwareDatetime


class ClockAnswer(Answer):
    """Business time now; `ever_virtual` stays true for ever."""

    now: AwareDatetime
    virtual: bool
    ever_virtual: bool
