"""The base of every request and answer, and the bounded types that they are made of."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from mlreg.client.redaction import redact_text

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", max_length=63)]
"""A model's, environment's or client's name."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A number of things that PostgreSQL's bigint can hold."""

VersionNumber = Annotated[int, Field(ge=1, lt=2**31)]
"""The number of a version or a revision."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""The name of some bytes."""

Text = Annotated[str, StringConstraints(max_length=65_536)]
"""Free text of at most 64 KiB characters."""

ReasonText = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(redact_text)]
"""Why somebody did something; secrets that were pasted into it are redacted at both ends."""

T = TypeVar("T")


class Request(BaseModel):
    """What a client sends: unknown fields, NaN and infinities are refused.

    Built at once, not at its first use: FastAPI silences pydantic's warnings only while it builds.
    """

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, frozen=True, protected_namespaces=()
    )


class Answer(BaseModel):
    """What the server sends: fields that this client does not know are ignored."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, defer_build=True, protected_namespaces=()
    )


class Page(Answer, Generic[T]):
    """One page of a list; `next` is the cursor of the following page, or None at the end."""

    items: list[T]
    next: str | None = None
