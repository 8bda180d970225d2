"""Connections: what an operator lets mlreg read, by name; the only place that has secrets.

What always holds: a local folder, a bucket or a database that no connection covers is not read; a
connection may be kept to some models; no secret is shown by `repr` or in an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    field_validator,
)

from mlreg.controller.domain.sources import InvalidSourceError, is_under, parse_place
from mlreg.registry.domain.errors import NotAllowedError, NotFoundError
from mlreg.registry.domain.names import Name

HINT = "Connections are declared in the file that MLREG_CONNECTIONS_FILE names."


class ConnectionNotFoundError(NotFoundError):
    """There is no connection of that name, or of that kind."""

    code = "connection_not_found"
    hint = HINT

    def __init__(self, *, name: str, kind: str) -> None:
        super().__init__(f"no {kind} connection {name[:80]!r} is declared on this server")


class SourceNotAllowedError(NotAllowedError):
    """No connection lets this model read there."""

    code = "source_not_allowed"
    hint = HINT

    def __init__(self, *, what: str, model: str) -> None:
        super().__init__(f"no connection lets model {model!r} read {what[:200]}")


class Connection(BaseModel):
    """What all have in common: the models that may use it; None is all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[Name, ...] | None = None

    def serves(self, model: str) -> bool:
        """Say whether a model may use it."""
        return self.models is None or model in self.models


def _checked_url(given: str, scheme: str) -> str:
    try:
        url = parse_place(given).rstrip("/")
    except InvalidSourceError as error:
        raise ValueError(str(error)) from error
    if not url.startswith(f"{scheme}://"):
        message = f"it is not of the form {scheme}://…"
        raise ValueError(message)
    return url


class FolderConnection(Connection):
    """A folder of the server, with all that is below it."""

    kind: Literal["folder"]
    path: str

    @field_validator("path")
    @classmethod
    def _is_absolute(cls, given: str) -> str:
        return _checked_url(given, "file").removeprefix("file://")

    @property
    def url(self) -> str:
        """What it covers."""
        return f"file://{self.path}"


class BucketConnection(Connection):
    """A bucket, or what is below a prefix of it; without a key, as AWS' own tools find one."""

    kind: Literal["s3"]
    url: str
    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^/?#@]+/?$")
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _names_a_bucket(cls, given: str) -> str:
        return _checked_url(given, "s3")


class PostgresConnection(Connection):
    """A PostgreSQL server, as a role that should be able to read and nothing else.

    Attributes:
        statement_timeout_seconds: for each page of the answer.
        max_rows: of one answer.
    """

    kind: Literal["postgres"]
    url: SecretStr
    statement_timeout_seconds: float = Field(default=300, gt=0, le=86_400)
    max_rows: int = Field(default=20_000_000, ge=1)

    @field_validator("url")
    @classmethod
    def _names_postgres(cls, given: SecretStr) -> SecretStr:
        if not given.get_secret_value().startswith(("postgresql://", "postgres://")):
            message = "it is not of the form postgresql://user:password@host:port/database"
            raise ValueError(message)
        return given


AnyConnection = Annotated[
    FolderConnection | BucketConnection | PostgresConnection, Field(discriminator="kind")
]
FORM: TypeAdapter[dict[Name, AnyConnection]] = TypeAdapter(dict[Name, AnyConnection])
"""The form of the file: name → connection."""


@dataclass(frozen=True, slots=True)
class Connections:
    """All connections of a server, by name."""

    by_name: Mapping[str, AnyConnection] = field(default_factory=dict)

    def postgres(self, name: str, model: str) -> PostgresConnection:
        """Return the database of a name.

        Raises:
            ConnectionNotFoundError: there is none.
            SourceNotAllowedError: this model may not use it.
        """
        found = self.by_name.get(name)
        if not isinstance(found, PostgresConnection):
            raise ConnectionNotFoundError(name=name, kind="postgres")
        if not found.serves(model):
            raise SourceNotAllowedError(what=f"from connection {name}", model=model)
        return found

    def covering(
        self, url: str, model: str, name: str | None = None
    ) -> tuple[str, FolderConnection | BucketConnection]:
        """Return the connection of a name, or the narrowest one that covers a place.

        Raises:
            ConnectionNotFoundError: there is none of that name.
            SourceNotAllowedError: it does not cover the place, or this model may not use it.
        """
        if name is not None and not isinstance(
            self.by_name.get(name), FolderConnection | BucketConnection
        ):
            raise ConnectionNotFoundError(name=name, kind="folder or s3")
        fitting = [
            (called, one)
            for called, one in self.by_name.items()
            if not isinstance(one, PostgresConnection)
            and name in {None, called}
            and one.serves(model)
            and is_under(url, one.url)
        ]
        if not fitting:
            raise SourceNotAllowedError(what=url, model=model)
        return max(fitting, key=lambda pair: (len(pair[1].url), pair[0]))
