import threading

import pytest
from sqlalchemy import text

from mlreg.controller.services import claims, jobs, leases
from mlreg.registry.store.database import WriteSession

KINDS = ["count"]


def add(database, **options):
    with database.writing() as session:
        return jobs.enqueue(session, kind="count", payload={"a": 1}, **options)


def claim(database, seconds=30.0):
    return claims.claim(database, "tester", KINDS, seconds)


def state(database, job_id):
    with database.reading() as session:
        return session.execute(
            text("SELECT state, attempt FROM job WHERE id = :id"), {"id": job_id}
        ).one()


def expire_all(database):
    with database.writing() as session:
        session.execute(text("UPDATE job SET lease_until = now() - interval '1 second'"))


def take_back(database):
    with database.writing() as session:
        return claims.take_back(session, KINDS)


def test_a_job_is_claimed_once_and_completed(database):
    job_id = add(database)
    lease = claim(database)
    assert lease.job_id == job_id
    assert lease.payload == {"a": 1}
    assert claim(database) is None
    with database.writing() as session:
        leases.effect(session, lease)
        leases.complete(session, lease)
    assert state(database, job_id) == ("succeeded", 1)


def test_it_exists_only_if_the_callers_transaction_commits(database):
    with database.engine.begin() as connection, WriteSession(connection) as session:
        jobs.enqueue(session, kind="count", payload={})
        connection.rollback()
    assert claim(database) is None


def test_an_equal_job_is_not_added_while_one_waits_or_runs(database):
    assert add(database, dedupe_key="x") is not None
    assert add(database, dedupe_key="x") is None
    lease = claim(database)
    assert add(database, dedupe_key="x") is None
    with database.writing() as session:
        leases.complete(session, lease)
    assert add(database, dedupe_key="x") is not None


def test_a_lock_key_runs_once_at_a_time_and_others_pass(database):
    first = add(database, lock_key="model:1")
    second = add(database, lock_key="model:1")
    other = add(database, lock_key="model:2")
    one = claim(database)
    two = claim(database)
    assert (one.job_id, two.job_id) == (first, other)
    assert claim(database) is None
    with database.writing() as session:
        leases.complete(session, one)
    assert claim(database).job_id == second


def test_lower_priority_numbers_go_first(database):
    add(database, priority=100)
    urgent = add(database, priority=10)
    assert claim(database).job_id == urgent


def test_a_racing_herd_claims_each_job_once(database):
    expected = {add(database, lock_key=f"model:{i % 3}") for i in range(30)}
    done, guard = [], threading.Lock()

    def work():
        while True:
            lease = claim(database)
            if lease is None:
                with database.reading() as session:
                    if jobs.count_open(session) == 0:
                        return
                continue
            with guard:
                done.append(lease.job_id)
            with database.writing() as session:
                leases.complete(session, lease)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(done) == sorted(expected)


def test_a_lost_lease_has_no_effect(database):
    job_id = add(database)
    zombie = claim(database)
    expire_all(database)
    assert [job.state for job in take_back(database)] == ["queued"]
    successor = claim(database)
    assert successor.attempt == 2
    with pytest.raises(leases.LeaseLostError), database.writing() as session:
        leases.effect(session, zombie)
    with pytest.raises(leases.LeaseLostError):
        leases.heartbeat(database, zombie)
    with pytest.raises(leases.LeaseLostError), database.writing() as session:
        leases.complete(session, zombie)
    leases.heartbeat(database, successor)
    assert state(database, job_id) == ("running", 2)


def test_a_late_holder_that_nobody_replaced_may_go_on(database):
    add(database)
    lease = claim(database)
    expire_all(database)
    leases.heartbeat(database, lease)
    assert take_back(database) == []


def test_attempts_end_in_dead(database):
    job_id = add(database, max_attempts=2)
    for _ in range(2):
        assert claim(database) is not None
        expire_all(database)
        ended = take_back(database)
    assert [job.state for job in ended] == ["dead"]
    assert claim(database) is None
    assert state(database, job_id) == ("dead", 2)


def test_a_failed_attempt_waits_and_a_final_one_does_not_come_back(database):
    job_id = add(database)
    lease = claim(database)
    with database.writing() as session:
        assert leases.fail(session, lease, "no luck").state == "queued"
    assert claim(database) is None
    with database.writing() as session:
        session.execute(text("UPDATE job SET not_before = now()"))
    lease = claim(database)
    with database.writing() as session:
        assert leases.fail(session, lease, "wrong input", final=True).state == "failed"
    assert state(database, job_id) == ("failed", 2)


def test_an_error_is_kept_as_plain_text_whatever_is_in_it(database):
    add(database)
    lease = claim(database)
    wild = "\x1b[31mno\0 rows\x1b[0m at \udcff\nline 2, password=hunter2"
    with database.writing() as session:
        ended = leases.fail(session, lease, wild, final=True)
    assert ended.error == "no rows at \\udcff line 2, password=[redacted]"


def test_a_released_job_keeps_its_attempts(database):
    job_id = add(database)
    lease = claim(database)
    with database.writing() as session:
        leases.release(session, lease, "the worker was stopped")
    assert state(database, job_id) == ("queued", 0)
    assert claim(database).attempt == 1


def test_a_cancelled_job_loses_its_lease(database):
    job_id = add(database)
    lease = claim(database)
    with database.writing() as session:
        assert jobs.cancel(session, job_id, "enough").state == "cancelled"
    with pytest.raises(leases.LeaseLostError):
        leases.heartbeat(database, lease)
    with database.writing() as session:
        assert jobs.cancel(session, job_id, "enough") is None


def test_kinds_unknown_to_a_worker_stay_queued(database):
    with database.writing() as session:
        job_id = jobs.enqueue(session, kind="of-the-future", payload={})
    assert claim(database) is None
    assert state(database, job_id) == ("queued", 0)


def test_only_the_claim_does_not_wait_for_the_disk(database):
    asked = text("SELECT current_setting('synchronous_commit')")
    durable = text("SET synchronous_commit = on")  # on the one connection that the pool hands out
    with database.writing() as session:
        session.execute(durable)
    job_id = add(database)
    lease = claim(database)
    leases.heartbeat(database, lease)
    with database.writing() as session:
        leases.effect(session, lease)
        assert session.execute(asked).scalar_one() == "on"
        leases.complete(session, lease)
    assert state(database, job_id) == ("succeeded", 1)


def test_the_last_attempt_of_a_lost_job_is_for_an_idle_worker_and_others_pass_it(database):
    lost, other = add(database), add(database)
    for _ in range(2):
        lease = claim(database)
        assert (lease.job_id, lease.alone) == (lost, False)
        expire_all(database)
        take_back(database)
    busy = claims.Claim("busy", tuple(KINDS), 30.0, idle=False)
    [beside] = claims.claim_all(database, busy, 2)
    assert (beside.job_id, beside.alone) == (other, False)
    assert claims.claim_all(database, busy, 1) == []
    [alone] = claims.claim_all(database, claims.Claim("idle", tuple(KINDS), 30.0), 1)
    assert (alone.job_id, alone.alone, alone.attempt) == (lost, True, 3)


def test_after_an_hour_any_worker_takes_it(database):
    lost = add(database)
    for _ in range(2):
        claim(database)
        expire_all(database)
        take_back(database)
    with database.writing() as session:
        session.execute(text("UPDATE job SET lease_until = now() - interval '61 minutes'"))
    busy = claims.Claim("busy", tuple(KINDS), 30.0, idle=False)
    assert [one.job_id for one in claims.claim_all(database, busy, 1)] == [lost]
