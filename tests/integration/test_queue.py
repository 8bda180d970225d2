"""The order of the queue: priorities, models that take turns, batches, holds."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from mlreg.controller.domain.budget import Hold
from mlreg.controller.services import claims, jobs, leases
from mlreg.controller.services.claims import Claim, Price
from mlreg.controller.services.jobs import JobRequest

CLAIM = Claim("tester", ("count",), 30.0)
NOW = datetime(2026, 5, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


def add(database, *models, **options):
    with database.writing() as session:
        wanted = [JobRequest("count", {"model_id": one}, **options) for one in models]
        return jobs.enqueue_all(session, wanted)


def claimed(database, count, claim=CLAIM):
    return [lease.payload["model_id"] for lease in claims.claim_all(database, claim, count)]


def test_a_model_with_many_jobs_does_not_starve_another(database):
    add(database, *[1] * 20)
    assert claimed(database, 5) == [1] * 5
    add(database, 2, 3)
    assert claimed(database, 4) == [1, 2, 3, 1]
    add(database, 2, 2)
    assert claimed(database, 4) == [1, 2, 1, 2]


def test_turns_are_within_a_priority(database):
    add(database, 1, 1, 1)
    add(database, 2, priority=50)
    add(database, 3)
    assert claimed(database, 9) == [2, 1, 3, 1, 1]


def test_of_one_lock_key_a_batch_takes_the_first(database):
    first, _ = add(database, 1, 1, lock_key="train:1")
    add(database, 2, lock_key="train:2")
    leases = claims.claim_all(database, CLAIM, 10)
    assert leases[0].job_id == first
    assert [lease.payload["model_id"] for lease in leases] == [1, 2]
    assert claimed(database, 10) == []


def test_equal_jobs_of_one_batch_are_added_once(database):
    assert len(add(database, 1, 1, dedupe_key="x")) == 1
    assert add(database, 1, dedupe_key="x") == []


def hold(database, lease, **more):
    reason = {"whose": "overall", "bound": "runs_per_day", "used": 1.0, "allowed": 1.0}
    with database.writing() as session:
        leases.hold(session, lease, Hold(**reason, **more))


def test_a_held_job_waits_for_business_time_and_counts_no_attempt(database):
    add(database, 1)
    (lease,) = claims.claim_all(database, CLAIM, 1)
    hold(database, lease, frees_at=NOW + HOUR, is_real=False)
    with database.writing() as session:
        assert jobs.count_open(session) == 0  # virtual time need not wait for it
        assert jobs.next_held(session, NOW) == NOW + HOUR
        assert jobs.release_held(session, NOW + HOUR / 2) == 0
    assert claimed(database, 1) == []
    with database.writing() as session:
        assert jobs.release_held(session, NOW + HOUR) == 1
    (again,) = claims.claim_all(database, CLAIM, 1)
    assert again.attempt == 1


def test_a_job_that_is_held_in_real_time_is_free_when_that_has_come(database):
    add(database, 1)
    (lease,) = claims.claim_all(database, CLAIM, 1)
    with database.reading() as session:
        real = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    hold(database, lease, frees_at=real + HOUR, is_real=True)
    with database.writing() as session:
        assert jobs.release_held(session, NOW + 1000 * HOUR) == 0
        session.execute(text("UPDATE job SET not_before = now()"))
    with database.writing() as session:
        assert jobs.release_held(session, NOW) == 1


def test_a_job_that_no_time_frees_is_looked_at_once_a_minute(database):
    add(database, 1)
    (lease,) = claims.claim_all(database, CLAIM, 1)
    hold(database, lease, frees_at=None, is_real=False)
    with database.writing() as session:
        assert jobs.release_held(session, NOW + 1000 * HOUR) == 0
        session.execute(text("UPDATE job SET started_at = started_at - interval '1 minute'"))
    with database.writing() as session:
        assert jobs.release_held(session, NOW) == 1


def test_the_price_of_the_claim_stands_on_the_job(database):
    from decimal import Decimal

    add(database, 1)
    price = Price(Decimal("0.000123456"), "EUR")
    claimed(database, 1, Claim("tester", ("count",), 30.0, price=price))
    with database.reading() as session:
        found = session.execute(text("SELECT price, currency FROM job")).one()
    assert tuple(found) == (price.per_second, "EUR")


def test_passing_jobs_are_forgotten_and_records_are_kept(database):
    for kind in ("drain", "explain"):
        with database.writing() as session:
            jobs.enqueue(session, kind=kind, payload={})
    for lease in claims.claim_all(database, Claim("tester", ("drain", "explain"), 30.0), 2):
        with database.writing() as session:
            leases.complete(session, lease)
    with database.writing() as session:
        assert jobs.prune(session, datetime.now(UTC) - HOUR, 10) == 0
        assert jobs.prune(session, datetime.now(UTC) + HOUR, 10) == 1
        assert session.execute(text("SELECT kind FROM job")).scalars().all() == ["explain"]


def test_a_claim_among_many_reads_only_the_head_of_the_queue(database):
    with database.writing() as session:
        session.execute(
            text("""
            INSERT INTO job (kind, payload, state, priority, turn, attempt, max_attempts,
                             enqueued_at, ended_at)
            SELECT 'count', '{}', CASE WHEN n % 10 = 0 THEN 'queued' ELSE 'succeeded' END, 100, n,
                   0, 3, now(), CASE WHEN n % 10 = 0 THEN NULL ELSE now() END
            FROM generate_series(1, 20000) AS n
            """)
        )
        session.execute(text("ANALYZE job"))
        values = {"worker": "", "kinds": ["count"], "labels": [], "declined": [], "count": 2}
        values |= {"price": None, "currency": None, "lease_seconds": 30.0, "idle": True}
        explain = text("EXPLAIN (COSTS OFF) " + str(claims.rows._TAKE))
        plan = "\n".join(session.execute(explain, values).scalars())
    assert "using ix_job_ready" in plan
    assert "Seq Scan" not in plan
