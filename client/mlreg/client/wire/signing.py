"""Signatures of versions, and the keys that are trusted, over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mlreg.client.wire.base import Answer, Name, Request

SignatureKind = Literal["dsse", "oms"]
KeyKind = Literal["ed25519", "oms-key", "oms-certificate"]
Envelope = Annotated[str, StringConstraints(min_length=2, max_length=60_000)]


class SignatureForm(Request):
    """A signature of a manifest: our DSSE envelope, or an OpenSSF model-signing bundle."""

    kind: SignatureKind = "dsse"
    body: Envelope


class KeyRequest(Request):
    """A public key (PEM) to be trusted; `models` is whose versions it may sign, None any."""

    name: Name
    kind: KeyKind = "ed25519"
    public_key: Annotated[str, StringConstraints(min_length=1, max_length=60_000)]
    models: Annotated[list[Name], Field(min_length=1, max_length=1_000)] | None = None


class RequirementRequest(Request):
    """Whether every new version of a model must be signed."""

    required: bool


class RequirementAnswer(Answer):
    """Whether every new version of a model must be signed."""

    model: str
    required: bool


class KeyAnswer(Answer):
    """A public key and who trusted it, until when."""

    id: str
    name: str
    kind: str
    public_key: str
    models: list[str] | None
    created_at: datetime
    created_by: str
    removed_at: datetime | None
    removed_by: str | None


class SignatureAnswer(Answer):
    """A signature that held at the registration; `trusted` is whether its key still is."""

    kind: str
    key_id: str
    key_name: str
    public_key: str
    trusted: bool
    body: str
    created_at: datetime
    created_by: str
