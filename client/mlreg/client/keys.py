"""Signing keys, as the client sees them: trust, list, trust no more; and what they signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.signing import (
    KeyAnswer,
    KeyRequest,
    RequirementAnswer,
    RequirementRequest,
    SignatureAnswer,
)

if TYPE_CHECKING:
    from mlreg.client.transport import Transport


class Keys:
    """Whose signatures this server trusts."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, request: KeyRequest) -> KeyAnswer:
        """Trust a public key from now on; an admin may.

        Raises:
            InvalidError: it is no key of its kind.
        """
        return self._transport.post(path("signing-keys"), request, KeyAnswer)

    def remove(self, key_id: str) -> KeyAnswer:
        """Trust a key no more; what it signed stays signed by it.

        Raises:
            NotFoundError: there is no such key.
        """
        return self._transport.post(path("signing-keys", key_id, "remove"), None, KeyAnswer)

    def require(self, model: str, *, required: bool = True) -> RequirementAnswer:
        """Say whether every new version of a model must be signed.

        Raises:
            NotFoundError: there is no such model.
        """
        place = path("models", model, "require-signatures")
        return self._transport.post(place, RequirementRequest(required=required), RequirementAnswer)

    def signatures(self, model: str, number: int) -> list[SignatureAnswer]:
        """Return the signatures of a version with the keys that made them.

        Raises:
            NotFoundError: there is no such version.
        """
        place = path("models", model, "versions", number, "signatures")
        return self._transport.get(place, Page[SignatureAnswer]).items

    def list(self) -> list[KeyAnswer]:
        """Return every key, removed ones too, the newest first."""
        return self._transport.get(path("signing-keys"), Page[KeyAnswer]).items
