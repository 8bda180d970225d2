"""Fault 12: a job that ends its worker, and what runs beside it, under a loop that restarts it."""

from datetime import UTC, datetime

import pytest
from sqlmodel import select

from mlreg.controller.store.tables import Incident
from mlreg.registry.store.tables import Model
from tests.faults.workers import await_true, effects, enqueue, job_state, restart_loop

LEASE_SECONDS = 15.0  # of the dead they are ended; who lives loses none on a busy machine

pytestmark = pytest.mark.usefixtures("effect_table")


@pytest.fixture
def model_id(database):
    with database.writing() as session:
        model = Model(
            name="flights",
            task="binary",
            target_contract={},
            created_at=datetime.now(UTC),
            created_by="test",
        )
        session.add(model)
        session.flush()
        return model.id


def test_it_is_dead_after_its_attempts_while_others_flow(database, tmp_path, model_id):
    waits = {"model_id": model_id, "seconds": 1.0}
    poison = enqueue(database, "poison", payload=waits, priority=1)
    others = [enqueue(database, "count", payload={"seconds": 0.1}) for _ in range(20)]
    with restart_loop(database, tmp_path, LEASE_SECONDS) as deaths:
        await_true(lambda: job_state(database, poison)[0] == "dead")
        late = enqueue(database, "count")
        for job_id in [*others, late]:
            await_true(lambda job_id=job_id: job_state(database, job_id)[0] == "succeeded")
    assert job_state(database, poison) == ("dead", 3)
    assert deaths == [66, 66, 66]
    assert max(job_state(database, one)[1] for one in others) > 1  # it took others with it
    assert sorted(job for job, _ in effects(database)) == [*others, late]
    with database.reading() as session:
        [incident] = session.exec(select(Incident)).all()
    assert (incident.model_id, incident.kind, incident.state) == (model_id, "dead_job", "open")
    assert "dead after 3 attempts" in incident.title
