"""Routes of bytes at rest: hash them anew, list what nobody needs, collect it.

A scrub by hand is asked for turn by turn, each some seconds long, so that no request hangs and the
caller sees how far it is.
"""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from mlreg.client.wire.cleanup import (
    CollectedAnswer,
    CorruptBlobAnswer,
    GarbageAnswer,
    GarbageItemAnswer,
    ScrubAnswer,
    ScrubRequest,
)
from mlreg.registry.api.context import Caller, Now, Parts
from mlreg.registry.api.permission import may
from mlreg.registry.services import garbage, scrubbing
from mlreg.registry.store.clock import SystemClock

router = APIRouter(tags=["cleanup"])


@router.post("/scrub", dependencies=[may("cleanup")])
def scrub(body: ScrubRequest, parts: Parts, caller: Caller) -> ScrubAnswer:
    """Hash the next blobs of a scope anew; go on with `next` until it is empty."""
    scope = scrubbing.Scope(model=body.model, everything=body.everything, after=body.after)
    found = scrubbing.scrub_by_hand(
        parts.database,
        parts.store,
        scope,
        max_age=parts.upkeep.scrub_within,
        actor=caller,
        now=SystemClock().now(),
    )
    return ScrubAnswer(
        blobs=found.blobs,
        bytes=found.bytes,
        corrupt=[
            CorruptBlobAnswer(
                digest=blob.digest, size=blob.size, fault=blob.fault, versions=list(blob.versions)
            )
            for blob in found.corrupt
        ],
        next=found.next,
        remaining_blobs=found.remaining_blobs,
        remaining_bytes=found.remaining_bytes,
    )


@router.get("/garbage", dependencies=[may("cleanup")])
def list_garbage(parts: Parts, now: Now) -> GarbageAnswer:
    """List what a collection would do, now and later, and why; changes nothing."""
    items = garbage.plan(
        parts.database,
        parts.store,
        SystemClock().now(),
        retention=parts.upkeep.retention,
        business_now=now,
    )
    return GarbageAnswer(items=[GarbageItemAnswer(**asdict(item)) for item in items])


@router.post("/garbage/collect", dependencies=[may("cleanup")])
def collect(parts: Parts, caller: Caller, now: Now) -> CollectedAnswer:
    """Purge, condemn and remove what is due; repeating it is harmless."""
    done = garbage.collect(
        parts.database,
        parts.store,
        SystemClock().now(),
        retention=parts.upkeep.retention,
        actor=caller,
        business_now=now,
    )
    return CollectedAnswer(
        purged=done.purged,
        condemned=done.condemned + done.orphans,
        removed=done.removed,
        spared=done.spared,
        bytes=done.bytes,
        items=[GarbageItemAnswer(**asdict(item)) for item in done.items],
    )
