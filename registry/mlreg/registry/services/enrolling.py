"""Enrolling the operator's targets: each becomes a webhook of kind `apprise`, with its own place.

What always holds: a target that is enrolled is told of what happens from then on; what somebody
disabled stays disabled; a name that another webhook has is left to it, and the log says so.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mlreg.registry.domain.actor import SYSTEM
from mlreg.registry.domain.notice_targets import SCHEME
from mlreg.registry.services import audit
from mlreg.registry.store import outbox
from mlreg.registry.store import webhooks as rows
from mlreg.registry.store.tables import Webhook

if TYPE_CHECKING:
    from datetime import datetime

    from mlreg.registry.domain.notice_targets import NoticeTarget, NoticeTargets
    from mlreg.registry.store.database import Database, WriteSession

log = logging.getLogger("mlreg.webhooks")


def enrol(database: Database, targets: NoticeTargets, now: datetime) -> list[str]:
    """Make webhooks of targets, or change what they are told of; return the names that changed."""
    changed = []
    for name, target in targets.by_name.items():
        with database.writing() as session:
            outbox.lock_head(session)  # two workers that start at once take turns
            if _enrol(session, name, target, now):
                changed.append(name)
    return changed


def _enrol(session: WriteSession, name: str, target: NoticeTarget, now: datetime) -> bool:
    webhook = rows.lock_by_name(session, name)
    if webhook is not None and webhook.url != SCHEME + name:
        log.warning("target %s is not told of anything: a webhook has its name", name)
        return False
    topics = sorted(set(target.topics))
    models = None if target.models is None else sorted(set(target.models))
    if webhook is not None and (webhook.topics, webhook.models) == (topics, models):
        return False
    if webhook is None:
        webhook = Webhook(
            name=name,
            url=SCHEME + name,
            kind="apprise",
            topics=topics,
            secret="",
            position=outbox.head(session),
            created_at=now,
            created_by=SYSTEM.name,
        )
    webhook.topics, webhook.models = topics, models
    session.add(webhook)
    session.flush()
    body = {"url": webhook.url, "kind": webhook.kind, "topics": topics, "models": models}
    audit.record(
        session,
        action="webhook.enrolled",
        subject=f"webhook:{name}",
        actor=SYSTEM,
        body=body,
        now=now,
    )
    return True
