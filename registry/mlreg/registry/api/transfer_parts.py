"""What routes of bytes ask for besides `context`: what this process moves bytes with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from mlreg.registry.api.parts import ApiParts
from mlreg.registry.api.store_threads import StoreThreads
from mlreg.registry.api.verifier import Verifier
from mlreg.registry.services.upload_sessions import UploadRoom


@dataclass(frozen=True)
class TransferParts:
    """What one API process moves bytes with."""

    room: UploadRoom
    verifier: Verifier
    threads: StoreThreads = field(default_factory=StoreThreads)

    @classmethod
    def of(cls, parts: ApiParts) -> TransferParts:
        """Return those of an API's parts."""
        room = UploadRoom.of(parts.database, parts.store, parts.clock)
        return cls(room, Verifier(room))


async def _moving(request: Request) -> TransferParts:
    return cast("TransferParts", request.app.state.transfers)


Moving = Annotated[TransferParts, Depends(_moving)]
