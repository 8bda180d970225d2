"""Policies, their versions and previews, in the words of the wire."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mlreg.client.wire.policies import (
    ChangeForm,
    DueForm,
    PolicyVersionAnswer,
    PreviewAnswer,
    RehearsalForm,
    RehearsedForm,
    UnreadForm,
)

if TYPE_CHECKING:
    from mlreg.controller.domain.policy_diff import Change
    from mlreg.controller.domain.rehearsal import Rehearsal
    from mlreg.controller.services.policy_history import Edition
    from mlreg.controller.services.previewing import Preview

SHOWN_FIRINGS = 200


def change_form(change: Change) -> ChangeForm:
    """Return one changed key."""
    return ChangeForm(key=change.key, kind=change.kind, old=change.old, new=change.new)


def version_answer(edition: Edition) -> PolicyVersionAnswer:
    """Return one version in a list."""
    found = edition.found
    return PolicyVersionAnswer(
        number=found.number,
        applied_at=found.created_at,
        applied_by=found.created_by,
        commit=(found.git or {}).get("commit"),
        changes=edition.changes,
    )


def preview_answer(preview: Preview) -> PreviewAnswer:
    """Return what applying a policy would change and do."""
    proposed, before = preview.proposed, preview.before
    return PreviewAnswer(
        model=proposed.model,
        environment=proposed.environment,
        number=proposed.number,
        in_force=None if before is None else before.number,
        policy=proposed.policy.to_json(),
        changes=[change_form(one) for one in preview.changes],
        warnings=list(preview.warnings),
        due=[DueForm(trigger=one.trigger, at=list(one.at), own=one.own) for one in preview.due],
        next_lane=preview.next_lane,
        rehearsal=_rehearsal(preview),
    )


def _rehearsal(preview: Preview) -> RehearsalForm:
    found: Rehearsal = preview.rehearsal
    outcomes = Counter[str](one.outcome for one in found.firings)
    runs = outcomes.pop("run", 0)
    return RehearsalForm(
        since=found.since,
        until=found.until,
        asked_until=found.asked_until,
        moments=found.moments,
        runs=runs,
        held_back=dict(outcomes),
        train_seconds=found.train_seconds,
        run_seconds=preview.run_seconds,
        firings=[
            RehearsedForm(
                fire_at=one.at,
                triggers=list(one.triggers),
                outcome=one.outcome,
                because=one.because,
            )
            for one in found.firings[-SHOWN_FIRINGS:]
        ],
        left_out=list(preview.left_out),
        unread=[UnreadForm(trigger=one.trigger, since=one.since) for one in found.unread],
    )
