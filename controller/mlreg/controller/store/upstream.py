"""Queries of what policies follow of other models."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import text

from mlreg.controller.domain.triggers import Event

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlreg.controller.domain.upstream import Upstream
    from mlreg.registry.store.database import ReadSession, WriteSession

_SERIAL = """CASE {what}
    WHEN 'champion' THEN (SELECT max(d.revision) FROM deployment d
        WHERE d.model_id = {model} AND d.environment = {environment})
    WHEN 'version' THEN (SELECT max(v.number) FROM version v WHERE v.model_id = {model})
    ELSE (SELECT s.last FROM snapshot_count s WHERE s.model_id = {model}) END"""
_NEWEST = text(
    "SELECT "
    + _SERIAL.format(
        what="CAST(:what AS text)", model=":model_id", environment="CAST(:environment AS text)"
    )
)
_OF_LINK = _SERIAL.format(what="u.what", model="u.model_id", environment="u.environment")
_NEWS = text(f"SELECT 1 FROM policy_upstream u WHERE {_OF_LINK} > u.woken LIMIT 1")  # noqa: S608 - no value of anybody's
_WAKE = text(f"""
    WITH free AS (
        SELECT id FROM policy_state WHERE enabled AND id IN (
            SELECT u.state_id FROM policy_upstream u WHERE {_OF_LINK} > u.woken)
        FOR UPDATE SKIP LOCKED),
    news AS (
        UPDATE policy_upstream u SET woken = {_OF_LINK} FROM free
        WHERE u.state_id = free.id AND {_OF_LINK} > u.woken)
    UPDATE policy_state SET next_fire_at = least(next_fire_at, :now),
        memory = jsonb_set(memory, '{{woken}}', to_jsonb(CAST(:woken AS text)))
    FROM free WHERE policy_state.id = free.id
""")  # noqa: S608 - no value of anybody's
"""A state that somebody has locked is told at the next tick: nobody waits for a stopped leader."""
_LOOK_AGAIN = text("""
    UPDATE policy_state SET next_fire_at = least(next_fire_at, :now),
        memory = jsonb_set(memory, '{woken}', to_jsonb(CAST(:woken AS text)))
    WHERE enabled AND model_id = :model_id AND environment = :environment
""")
_FORGET = text("DELETE FROM policy_upstream WHERE state_id = :state_id AND source <> ALL(:sources)")
_FOLLOW = text("""
    INSERT INTO policy_upstream (state_id, source, what, model_id, environment, woken)
    VALUES (:state_id, :source, :what, :model_id, :environment, :woken) ON CONFLICT DO NOTHING
""")
_FOLLOWED = text("""
    SELECT u.source FROM policy_upstream u JOIN policy_state s ON s.id = u.state_id
    WHERE s.model_id = :model_id AND s.environment = :environment
""")
_FOLLOWERS = text("""
    WITH RECURSIVE follower AS (
        SELECT CAST(:model_id AS bigint) AS model_id, CAST(:environment AS text) AS environment
        UNION
        SELECT s.model_id, s.environment FROM follower f
        JOIN policy_upstream u ON u.model_id = f.model_id
            AND (u.what <> 'champion' OR u.environment = f.environment)
        JOIN policy_state s ON s.id = u.state_id)
    SELECT m.name, f.environment FROM follower f JOIN model m ON m.id = f.model_id
    WHERE f.model_id <> :model_id
""")
_CHAMPIONS = text("""
    SELECT number, at, champion, cause FROM (
        SELECT r.number, r.at, r.champion, r.cause,
               lag(r.champion) OVER (ORDER BY r.number) AS before
        FROM revision r JOIN deployment d ON d.id = r.deployment_id
        WHERE d.model_id = :model_id AND d.environment = :environment) AS changes
    WHERE number > :seen AND at > :after AND champion IS NOT NULL
      AND champion IS DISTINCT FROM before
    ORDER BY number
""")
_VERSIONS = text("""
    SELECT number, created_at, number, coalesce(lane, 'by hand') FROM version
    WHERE model_id = :model_id AND number > :seen AND created_at > :after ORDER BY number
""")
_SNAPSHOTS = text("""
    SELECT serial, created_at, digest, created_by FROM snapshot
    WHERE model_id = :model_id AND serial > :seen AND created_at > :after ORDER BY serial
""")
_EVENTS = {"champion": _CHAMPIONS, "version": _VERSIONS, "snapshot": _SNAPSHOTS}
_KEYS = {
    "champion": ("version", "cause"),
    "version": ("version", "lane"),
    "snapshot": ("snapshot", "by"),
}
_WORDS = {
    "champion": "version {0} of {1} came to serve",
    "version": "version {0} of {1} was registered",
    "snapshot": "a snapshot of {1} was made",
}


def newest_serial(session: ReadSession, model_id: int, followed: Upstream) -> int:
    """Return the serial number of the newest event so far, 0 before the first."""
    values = {
        "what": followed.what,
        "model_id": model_id,
        "environment": followed.environment,
    }
    return cast("int | None", session.execute(_NEWEST, values).scalar_one()) or 0


def list_events(
    session: ReadSession, model_id: int, followed: Upstream, seen: int, after: datetime
) -> Sequence[Event]:
    """Return the events with a higher serial that are later than a moment, oldest first."""
    values = {
        "model_id": model_id,
        "seen": seen,
        "after": after,
        **({"environment": followed.environment} if followed.what == "champion" else {}),
    }
    first, second = _KEYS[followed.what]
    return [
        Event(
            serial, at, _WORDS[followed.what].format(one, followed.model), {first: one, second: two}
        )
        for serial, at, one, two in session.execute(_EVENTS[followed.what], values)
    ]


def follow(session: WriteSession, state_id: int, followed: Sequence[tuple[Upstream, int]]) -> None:
    """Let a policy follow just these, given with the ids of their models, from now on."""
    sources = [str(one) for one, _ in followed]
    session.execute(_FORGET, {"state_id": state_id, "sources": sources})
    for one, model_id in followed:
        session.execute(
            _FOLLOW,
            {
                "state_id": state_id,
                "source": str(one),
                "what": one.what,
                "model_id": model_id,
                "environment": one.environment,
                "woken": newest_serial(session, model_id, one),
            },
        )


def list_followed(session: ReadSession, model_id: int, environment: str) -> frozenset[str]:
    """Return what the policy of a deployment follows now, spelt in full."""
    values = {"model_id": model_id, "environment": environment}
    return frozenset(session.execute(_FOLLOWED, values).scalars())


def list_followers(
    session: ReadSession, model_id: int, environment: str
) -> frozenset[tuple[str, str]]:
    """Return the deployments (model, environment) of other models that follow this one at last.

    That is: it itself, or what follows it.
    """
    values = {"model_id": model_id, "environment": environment}
    return frozenset((name, where) for name, where in session.execute(_FOLLOWERS, values))


def has_news(session: ReadSession) -> bool:
    """Say whether anything came that a policy follows and was not told of."""
    return session.execute(_NEWS).first() is not None


def wake(session: WriteSession, now: datetime) -> int:
    """Have every policy look that follows something new; return how many there are."""
    found = session.execute(_WAKE, {"now": now, "woken": now.isoformat()})
    return cast("int", found.rowcount)  # type: ignore[attr-defined]


def look_again(session: WriteSession, place: tuple[int, str], now: datetime) -> None:
    """Have the policy of a deployment look at once; one that is looking now is waited for."""
    values = {"model_id": place[0], "environment": place[1], "now": now, "woken": now.isoformat()}
    session.execute(_LOOK_AGAIN, values)
