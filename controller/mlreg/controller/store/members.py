"""Queries of the controllers and workers that say that they are there.

What always holds: every moment in here is the database's own clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import RowMapping, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlreg.registry.store.database import ReadSession, WriteSession

_SAY = text("""
    INSERT INTO member (name, role, host, version, labels, kinds, declined, since, seen_at, until)
    VALUES (:name, :role, :host, :version, CAST(:labels AS jsonb), CAST(:kinds AS jsonb),
            CAST(:declined AS jsonb), clock_timestamp(), clock_timestamp(),
            clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (name) DO UPDATE
    SET seen_at = excluded.seen_at, until = excluded.until, declined = excluded.declined
""")
_LEAVE = text("DELETE FROM member WHERE name = :name")
_FORGET = text("""
    DELETE FROM member WHERE until < clock_timestamp() - make_interval(secs => :seconds)
""")
_LIST = text("""
    SELECT member.*, member.until >= clock_timestamp() AS there,
           CASE WHEN leader.holder = member.name AND leader.until >= clock_timestamp()
                THEN leader.epoch END AS epoch,
           ARRAY(SELECT job.kind || ' ' || job.id FROM job
                 WHERE job.state = 'running' AND job.worker = member.name ORDER BY job.id) AS doing
    FROM member LEFT JOIN leader ON leader.id = 1
    WHERE member.role = :role
    ORDER BY there DESC, member.since, member.name
""")
_WORKERS = text("""
    SELECT name, labels, kinds, declined FROM member
    WHERE role = 'worker' AND until >= clock_timestamp()
""")
_TAKABLE = """EXISTS (
          SELECT 1 FROM member
          WHERE member.role = 'worker' AND member.until >= clock_timestamp()
            AND (job.label IS NULL OR member.labels @> to_jsonb(job.label))
            AND member.kinds @> to_jsonb(job.kind)
            AND NOT member.declined @> to_jsonb(job.id))"""
_STRANDED = text(f"""
    SELECT job.id, job.kind, job.label, model.id AS model_id,
           coalesce(job.payload ->> 'environment', 'production') AS environment
    FROM job JOIN model ON model.id = CAST(job.payload ->> 'model_id' AS bigint)
    WHERE (job.state = 'queued' AND job.held IS NULL
           AND greatest(job.enqueued_at, job.not_before)
               < clock_timestamp() - make_interval(secs => :seconds)
        OR job.state = 'running'
           AND job.lease_until < clock_timestamp() - make_interval(secs => :seconds))
      AND NOT {_TAKABLE}
    ORDER BY job.id LIMIT :limit
""")  # noqa: S608 - a constant
_TOLD = text("""
    SELECT 1 FROM incident JOIN incident_entry ON incident_id = incident.id
    WHERE incident.kind = :kind AND evidence @> jsonb_build_object('job', CAST(:job AS bigint))
    LIMIT 1
""")
_OPEN_INCIDENTS = text("""
    SELECT id, model_id, environment FROM incident WHERE kind = :kind AND state = 'open'
""")
_WAITING_FOR = text("""
    SELECT id, kind, label, dedupe_key FROM job
    WHERE state = 'queued' AND held IS NULL AND dedupe_key = ANY(CAST(:keys AS text[]))
""")
_FIRST_JOB = text(f"""
    SELECT id, kind, label, worker,
           state = 'running' AND lease_until >= clock_timestamp() AS runs, {_TAKABLE} AS takable
    FROM job
    WHERE state IN ('queued', 'running') AND kind <> 'chore' AND held IS NULL
    ORDER BY runs DESC, takable DESC, id LIMIT 1
""")  # noqa: S608 - a constant


def say(session: WriteSession, values: Mapping[str, Any]) -> None:
    """Write down that a member is there for the next `seconds`.

    Values: name, role, host, version, labels, kinds, declined (JSON texts), seconds.
    """
    session.execute(_SAY, dict(values))


def leave(session: WriteSession, name: str) -> None:
    """Forget a member that ended as it was asked to."""
    session.execute(_LEAVE, {"name": name})


def forget(session: WriteSession, seconds: float) -> None:
    """Forget the members that are gone for so long."""
    session.execute(_FORGET, {"seconds": seconds})


def list_members(session: ReadSession, role: str) -> Sequence[RowMapping]:
    """Return the members of a role, those that are there first, with what each does."""
    return session.execute(_LIST, {"role": role}).mappings().all()


def workers_there(session: ReadSession) -> Sequence[RowMapping]:
    """Return name, labels, kinds and declined jobs of the workers that are there."""
    return session.execute(_WORKERS).mappings().all()


def stranded_jobs(session: ReadSession, seconds: float, limit: int) -> Sequence[RowMapping]:
    """Return jobs that could start for so long, if a worker that is there would fit them.

    So could one that was lost with its worker: it runs no more, and any other takes it back.
    """
    return session.execute(_STRANDED, {"seconds": seconds, "limit": limit}).mappings().all()


def is_told(session: ReadSession, kind: str, job_id: int) -> bool:
    """Say whether an incident of this kind has told of a job."""
    return session.execute(_TOLD, {"kind": kind, "job": job_id}).first() is not None


def open_incidents(session: ReadSession, kind: str) -> Sequence[RowMapping]:
    """Return id, model and environment of the open incidents of a kind."""
    return session.execute(_OPEN_INCIDENTS, {"kind": kind}).mappings().all()


def find_open_incident(session: ReadSession, kind: str, place: tuple[int, str]) -> int | None:
    """Return the open incident of a kind of one deployment."""
    for one in open_incidents(session, kind):
        if (one["model_id"], one["environment"]) == place:
            return int(one["id"])
    return None


def queued_jobs(session: ReadSession, keys: Sequence[str]) -> Sequence[RowMapping]:
    """Return id, kind, label and dedupe key of the ready jobs among these keys."""
    return session.execute(_WAITING_FOR, {"keys": list(keys)}).mappings().all()


def find_first_job(session: ReadSession) -> RowMapping | None:
    """Return a job that runs, else one that a worker takes, else the first that nobody can take.

    One that was lost with its worker does not run, and is any other's to take back.

    Returns:
        id, kind, label, worker, and whether it runs and is takable; None: nothing is to be done.
    """
    return session.execute(_FIRST_JOB).mappings().first()
