"""Guards: compare the live model with the previous champion, and roll back when it is worse.

What always holds: both are compared on the same logged rows, those that the live model scored since
its promotion, labelled, matured and outside outages; only a promotion is watched, not a rollback;
the rollback, the bar, the cooldown, the incident and its evidence are one transaction under the
job's lease, and only if the deployment is still the one that was judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mlreg.controller.domain.durations import spell_duration
from mlreg.controller.domain.guards import GuardFinding, HourDifference, judge_guard
from mlreg.controller.domain.readings import WindowReading
from mlreg.controller.domain.windows import Interval, closed_windows
from mlreg.controller.services import incidents, jobs
from mlreg.controller.services.alerts import alert_if_dead
from mlreg.controller.services.attempt import Attempt, Handler
from mlreg.controller.services.guard_differences import Pair, differences
from mlreg.controller.services.logged_rows import read_rows, select_rows
from mlreg.controller.services.policies import PolicyInForce, policy_of
from mlreg.controller.store import guards, policies, readings
from mlreg.controller.store.serving import Serving, find_serving
from mlreg.registry.domain.actor import Actor
from mlreg.registry.services import deployments
from mlreg.registry.store.tables import Model

if TYPE_CHECKING:
    from mlreg.controller.domain.policy import GuardRule
    from mlreg.registry.store.database import WriteSession

KIND = "guard"
WATCHED_CAUSES = ("promote", "policy")


@dataclass(frozen=True, slots=True)
class Watch:
    """What one guard job compares, as it stood when the job began."""

    in_force: PolicyInForce
    model: Model
    serving: Serving
    previous: int
    until: datetime

    @property
    def place(self) -> tuple[int, str]:
        """The model's id and the environment."""
        return self.in_force.model_id, self.in_force.environment

    def windows(self, rule: GuardRule) -> list[Interval]:
        """Return the matured windows of the watch, the first one from the promotion on."""
        width = self.in_force.policy.data.window
        since = self.serving.promoted_at
        end = min(self.until, since + rule.watch + width)
        return [
            Interval(max(window.start, since), window.end)
            for window in closed_windows(since - width, end, width)
            if window.end > since
        ]


def enqueue_guard(
    session: WriteSession, in_force: PolicyInForce, serving: Serving | None, until: datetime
) -> bool:
    """Have the guards look at the windows that matured; False when there is nothing to watch.

    Args:
        session: the transaction of the tick.
        in_force: the policy.
        serving: what serves now.
        until: the border of maturity.
    """
    rules = in_force.policy.guards
    if not rules or serving is None or serving.frozen or serving.cause not in WATCHED_CAUSES:
        return False
    longest = max(rule.watch for rule in rules) + in_force.policy.data.window
    if not serving.promoted_at < until <= serving.promoted_at + longest:
        return False
    if deployments.previous_champion(session, serving.deployment_id) is None:
        return False
    payload = {
        "policy_id": in_force.policy_id,
        "model_id": in_force.model_id,
        "environment": in_force.environment,
        "until": until.isoformat(),
    }
    key = f"{KIND}:{in_force.model_id}:{in_force.environment}"
    return (
        jobs.enqueue(session, kind=KIND, payload=payload, dedupe_key=key, priority=20) is not None
    )


def perform(attempt: Attempt) -> None:
    """Measure what is new, judge every guard, and roll back if one speaks."""
    watch = _watch(attempt)
    if watch is None:
        return
    for rule in watch.in_force.policy.guards:
        _measure(attempt, watch, rule)
        with attempt.database.reading() as session:
            subject = guards.subject_of(watch.serving.champion, watch.previous)
            found = guards.list_differences(
                session,
                watch.place,
                guards.monitor_of(rule.metric),
                subject,
                watch.serving.promoted_at,
            )
        hours = [hour for start in sorted(found) for hour in found[start]]
        finding = judge_guard(hours, worse_than=rule.worse_than_champion, alpha=rule.alpha)
        if finding.worse:
            _roll_back(attempt, watch, rule, finding, hours)
            return


def _watch(attempt: Attempt) -> Watch | None:
    """Return what is to be compared now; None when the champion is no longer watched."""
    payload = attempt.lease.payload
    with attempt.database.reading() as session:
        in_force = policy_of(session, int(str(payload["policy_id"])))
        serving = find_serving(session, in_force.model_id, in_force.environment)
        if serving is None or serving.frozen or serving.cause not in WATCHED_CAUSES:
            return None
        previous = deployments.previous_champion(session, serving.deployment_id)
        model = policies.model_of(session, in_force.model_id)
    until = datetime.fromisoformat(str(payload["until"]))
    return None if previous is None else Watch(in_force, model, serving, previous, until)


def _measure(attempt: Attempt, watch: Watch, rule: GuardRule) -> None:
    """Write the paired differences of every window of the watch that has none yet."""
    monitor = guards.monitor_of(rule.metric)
    subject = guards.subject_of(watch.serving.champion, watch.previous)
    since = watch.serving.promoted_at
    with attempt.database.reading() as session:
        known = guards.list_differences(session, watch.place, monitor, subject, since)
    for window in watch.windows(rule):
        if window.start in known:
            continue
        hours = _differences(attempt, watch, rule, window)
        rows = sum(hour.rows for hour in hours)
        mean = sum(hour.total for hour in hours) / rows if rows else None
        reading = WindowReading(
            monitor, subject, window.start, window.end, mean, rows, "final" if rows else "empty"
        )
        evidence = {"hours": [hour.to_json() for hour in hours]}
        with attempt.effect() as session:
            now = attempt.clock.now()
            readings.write_readings(session, watch.place, [reading], now=now, evidence=evidence)


def _differences(
    attempt: Attempt, watch: Watch, rule: GuardRule, window: Interval
) -> list[HourDifference]:
    """Return the paired differences of a window's labelled rows, hour by hour."""
    delay = watch.in_force.policy.data.label_delay
    with attempt.database.reading() as session:
        body = select_rows(session, watch.model, window, window.end + delay)
    rows = read_rows(attempt.store, body)
    pair = Pair(watch.model, watch.serving.champion, watch.previous)
    return [] if rows is None else differences(attempt, pair, rule.metric, rows)


def _roll_back(
    attempt: Attempt,
    watch: Watch,
    rule: GuardRule,
    finding: GuardFinding,
    hours: list[HourDifference],
) -> None:
    """Roll back, bar the version, start the cooldown and open the incident, all or nothing."""
    in_force, champion = watch.in_force, watch.serving.champion
    actor = Actor(name=f"guard:{rule.metric}", kind="guard", role="controller")
    worse = f"{rule.metric} worse than version {watch.previous} on the same rows"
    reason = f"{worse}: {finding.because}"
    alarm = incidents.Alarm(
        model_id=in_force.model_id,
        environment=in_force.environment,
        kind="guard",
        title=f"version {champion} rolled back to version {watch.previous}",
        line=reason,
        evidence=_evidence(watch, rule, finding, hours),
    )
    cooldown = in_force.policy.cooldown
    barred = (
        f"version {champion} is barred until a person lifts it;"
        f" no retrain for {spell_duration(cooldown)}"
    )
    with attempt.finish() as session:
        now = attempt.clock.now()
        number = incidents.open_incident(session, alarm, actor=actor, now=now)
        incidents.add_entry(session, number, barred, actor=actor, now=now)
        change = deployments.Change(
            in_force.model, in_force.environment, actor, reason, watch.serving.revision
        )
        deployments.rollback(
            session, change, to=watch.previous, cause="guard", cooldown=cooldown, now=now
        )


def _evidence(
    watch: Watch, rule: GuardRule, finding: GuardFinding, hours: list[HourDifference]
) -> dict[str, object]:
    return {
        "metric": rule.metric,
        "worse_than_champion": rule.worse_than_champion,
        **finding.as_evidence(),
        "champion": watch.serving.champion,
        "previous": watch.previous,
        "promoted_at": watch.serving.promoted_at.isoformat(),
        "first_bad_window": _first_bad(hours, rule.worse_than_champion),
    }


def _first_bad(hours: list[HourDifference], worse_than: float) -> str | None:
    """Return the first day on which the live model was worse by the policy's amount."""
    rows: dict[str, list[float]] = {}
    for hour in hours:
        day = rows.setdefault(hour.start.date().isoformat(), [0, 0.0])
        day[0], day[1] = day[0] + hour.rows, day[1] + hour.total
    bad = (day for day, (count, total) in rows.items() if count and total / count >= worse_than)
    return next(bad, None)


HANDLER = Handler(perform, alert_if_dead)
