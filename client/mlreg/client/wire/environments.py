"""Environments over the wire."""

from __future__ import annotations

from datetime import datetime

from mlreg.client.wire.base import Answer, Name, Request


class EnvironmentRequest(Request):
    """Declare a place to deploy to."""

    name: Name


class EnvironmentAnswer(Answer):
    """A declared place to deploy to."""

    name: str
    created_at: datetime
