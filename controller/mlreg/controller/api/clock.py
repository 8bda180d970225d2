"""Routes of the clock."""

from __future__ import annotations

from fastapi import APIRouter

from mlreg.client.wire.clock import AdvanceRequest, ClockAnswer
from mlreg.controller.services import virtual_time
from mlreg.registry.api.context import Caller, Parts
from mlreg.registry.api.parts import ApiParts
from mlreg.registry.api.permission import may

router = APIRouter(prefix="/clock", tags=["clock"])


@router.get("", dependencies=[may("read")])
def show_clock(parts: Parts) -> ClockAnswer:
    """Show business time."""
    return _answer(parts)


@router.post("/advance", dependencies=[may("clock.write")])
def advance_clock(body: AdvanceRequest, parts: Parts, caller: Caller) -> ClockAnswer:
    """Move virtual time; answers when everything that became due is done."""
    virtual_time.advance(parts.database, body.to, actor=caller)
    return _answer(parts)


def _answer(parts: ApiParts) -> ClockAnswer:
    with parts.database.reading() as session:
        moment, ever_virtual = virtual_time.read_clock(session)
    return ClockAnswer(
        now=moment or parts.clock.now(), virtual=moment is not None, ever_virtual=ever_virtual
    )
