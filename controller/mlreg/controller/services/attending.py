"""What people do about alerts: look at them, snooze them, close them.

What always holds: each of these is in the audit log, and in the alert's own entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.controller.domain import alerts as domain
from mlreg.controller.services.alert_records import Occasion, keep, state_of
from mlreg.controller.services.alerting import rule_of
from mlreg.controller.services.watching import rules_in_force
from mlreg.controller.store import alerts as rows
from mlreg.registry.domain.errors import InvalidError, NotFoundError, RefusedError
from mlreg.registry.services import audit, catalog

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from mlreg.controller.domain.alerts import Step
    from mlreg.controller.store.alerts import Placed
    from mlreg.controller.store.tables import Alert
    from mlreg.registry.domain.actor import Actor
    from mlreg.registry.store.database import ReadSession, WriteSession


class AlertNotFoundError(NotFoundError):
    """There is no alert of that number."""

    code = "alert_not_found"
    hint = "`mlreg alert list` shows what there is."

    def __init__(self, *, number: int) -> None:
        super().__init__(f"no alert {number}")


class AlertOverError(RefusedError):
    """The alert is over."""

    code = "alert_over"

    def __init__(self, *, number: int, state: str) -> None:
        super().__init__(f"alert {number} is {state} already")


class NotSnoozedError(RefusedError):
    """There is no snooze to be ended."""

    code = "not_snoozed"

    def __init__(self, *, number: int) -> None:
        super().__init__(f"alert {number} is not snoozed")


class SnoozeError(InvalidError):
    """A snooze that ends before it begins."""

    code = "invalid_snooze"
    hint = "Say how long, as in 8h or 3d, or a moment to come."

    def __init__(self, *, until: datetime) -> None:
        super().__init__(f"{until.isoformat()} is over, or has no zone")


def get_alert(session: ReadSession, number: int) -> Placed:
    """Return an alert with what happened to it.

    Raises:
        AlertNotFoundError: there is none of that number.
    """
    found = rows.find(session, number)
    if found is None:
        raise AlertNotFoundError(number=number)
    return found


def list_alerts(
    session: ReadSession,
    *,
    model: str | None = None,
    state: str | None = None,
    before: int | None = None,
    limit: int = 100,
    names: Collection[str] | None = None,
) -> list[Placed]:
    """Return alerts without their entries, newest first; of models of `names` only.

    `before` is the number of the last one of the page before.

    Raises:
        ModelNotFoundError: there is no model of that name.
    """
    if model is not None:
        catalog.get_model(session, model)
    return rows.list_all(session, model=model, state=state, before=before, limit=limit, names=names)


def snooze_alert(
    session: WriteSession, number: int, until: datetime, *, actor: Actor, now: datetime
) -> None:
    """Tell nobody of an alert until a moment; if it is open then, it is told again.

    Raises:
        AlertNotFoundError, AlertOverError, SnoozeError: as they say.
    """
    alert = _lock_open(session, number)
    if until.tzinfo is None or until <= now:
        raise SnoozeError(until=until)
    step = domain.snooze(state_of(alert), until)
    _keep(session, alert, step, "alert.snooze", actor, now)


def unsnooze_alert(session: WriteSession, number: int, *, actor: Actor, now: datetime) -> None:
    """End the snooze of an alert.

    Raises:
        AlertNotFoundError, AlertOverError, NotSnoozedError: as they say.
    """
    alert = _lock_open(session, number)
    if alert.snoozed_until is None:
        raise NotSnoozedError(number=number)
    rule = rule_of(alert, rules_in_force(session, (alert.model_id, alert.environment)))
    step = domain.unsnooze(state_of(alert), rule, now)
    _keep(session, alert, step, "alert.unsnooze", actor, now)


def close_alert(
    session: WriteSession, number: int, line: str, *, actor: Actor, now: datetime
) -> None:
    """End an alert by hand, and a snooze of it; its windows do not count again.

    Raises:
        AlertNotFoundError, AlertOverError: as they say.
    """
    alert = _lock_open(session, number)
    step = domain.close(state_of(alert), line, now)
    _keep(session, alert, step, "alert.close", actor, now)


def _keep(
    session: WriteSession, alert: Alert, step: Step, action: str, actor: Actor, now: datetime
) -> None:
    keep(session, alert, step, Occasion(now, actor))
    body = {
        "kind": alert.kind,
        "title": alert.title,
        "line": step.notices[-1].line,
    }
    subject = f"alert:{alert.id}"
    audit.record(session, action=action, subject=subject, actor=actor, body=body, now=now)


def _lock_open(session: WriteSession, number: int) -> Alert:
    alert = rows.lock(session, number)
    if alert is None:
        raise AlertNotFoundError(number=number)
    if alert.state != "open":
        raise AlertOverError(number=number, state=alert.state)
    return alert
