"""Targets: services that the operator has told through Apprise, each by a name of its own.

What always holds: the URL of a target has its secrets in it, so it stands in the operator's
settings and nowhere else: not in a policy, the database, an answer, a log or an error. Where it
leads is for the operator alone to say, so unlike a webhook's it may lead into one's own network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    field_validator,
)

from mlreg.registry.domain.events import TOPICS, Severity
from mlreg.registry.domain.names import Name
from mlreg.registry.domain.webhooks import ANY, unknown_topics

SCHEME = "apprise:"
"""Before the name of a target, where a webhook has its URL."""
DEFAULT_TOPICS = (
    "alert.opened",
    "alert.escalated",
    "alert.reminded",
    "alert.resolved",
    "incident.opened",
    "incident.closed",
    "blob.corrupt",
    "audit.broken",
    "controller.silent",
    "controller.back",
)


class NoticeTarget(BaseModel):
    """One service.

    Attributes:
        url: as Apprise has it: `mailto://…`, `tgram://…`, `slack://…`.
        topics: what it is told of; `*` is everything.
        models: only of these; None is every one, and what is about no model.
        min_severity: what is less loud it is not told of; `info` is everything.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr = Field(min_length=1)
    topics: tuple[str, ...] = Field(default=DEFAULT_TOPICS, min_length=1)
    models: tuple[Name, ...] | None = Field(default=None, min_length=1)
    min_severity: Severity = "info"

    @field_validator("topics")
    @classmethod
    def _are_known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        unknown = unknown_topics(given, TOPICS)
        if unknown:
            message = f"no topic {', '.join(unknown)}; {ANY} is every one"
            raise ValueError(message)
        return given


FORM: TypeAdapter[dict[Name, NoticeTarget]] = TypeAdapter(dict[Name, NoticeTarget])
"""The form of the file: name → target."""


@dataclass(frozen=True, slots=True)
class NoticeTargets:
    """All targets of a server, by name.

    Attributes:
        environment: of the process that calls them: proxies, certificates.
    """

    by_name: Mapping[str, NoticeTarget] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
