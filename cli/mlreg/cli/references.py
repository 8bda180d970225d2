"""What a person calls a version: `flights/12`, `flights@champion`, `flights@champion:staging`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import InvalidError

if TYPE_CHECKING:
    from mlreg.client.client import Client
    from mlreg.client.wire.versions import VersionAnswer


def find_version(client: Client, reference: str) -> VersionAnswer:
    """Return the version that a reference names.

    Raises:
        InvalidError: it names none.
        NotFoundError: it is not there.
    """
    model, slash, number = reference.partition("/")
    if slash and number.isascii() and number.isdigit():
        return client.versions.get(model, int(number))
    model, _, champion = reference.partition("@")
    role, _, environment = champion.partition(":")
    if role != "champion":
        raise InvalidError(
            f"{reference!r} names no version",
            code="invalid_reference",
            hint="Write MODEL/NUMBER, MODEL@champion or MODEL@champion:ENVIRONMENT.",
        )
    return client.versions.champion(model, environment or "production")
