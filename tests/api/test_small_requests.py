"""Many small requests to the log at once: they share a check and a write, and nothing else."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from mlreg.client.errors import InvalidError, MlregError, NotFoundError, RefusedError
from mlreg.controller.api import feedback as routes
from mlreg.controller.domain.batches import Accepted
from mlreg.controller.services import feedback, group_commit
from mlreg.controller.services.draining import drain_model, reclaim_slots
from mlreg.controller.services.group_commit import GroupCommit, LogBusyError, SmallRequest
from mlreg.controller.services.known_models import KnownModels
from mlreg.controller.services.small_batches import SmallBody, check_together, keep_together
from mlreg.registry.domain.errors import RegistryError
from tests.faults.workers import PATIENCE_SECONDS
from tests.feedback_makers import NOW, make_model, make_store, predictions

JSON = "application/json"


@pytest.fixture
def extra_routers():
    return (routes.router,)


@pytest.fixture
def model(database):
    return make_model(database)


def body_of(rows, batch_id=None, **changes):
    """Return rows as a JSON body; a change of None takes the column away."""
    changed = []
    for row in rows.to_pylist():
        row["time"] = row["time"].isoformat()
        row.update(changes)
        changed.append({name: value for name, value in row.items() if value is not ...})
    return json.dumps({"rows": changed, **({"batch_id": batch_id} if batch_id else {})}).encode()


def waiting(database, what="count(*)"):
    with database.reading() as session:
        return session.execute(text(f"SELECT {what} FROM waiting_batch")).scalar_one()


def together(database, model, bodies):
    checked = check_together(model, "predictions", [SmallBody(one) for one in bodies], now=NOW)
    with database.writing() as session:
        return keep_together(session, model, "predictions", checked, now=NOW)


def test_one_bad_request_fails_alone_and_the_rest_share_their_bytes(database, tmp_path, model):
    rows = predictions(0, 40)
    bodies = [body_of(rows.slice(n, 1)) for n in range(40)]
    bodies[7] = body_of(rows.slice(7, 1), temp="warm")
    bodies[21] = body_of(rows.slice(21, 1), rain=...)
    bodies[22] = b'{"rows": []}'
    bodies[30] = b'{"rows": 3}'
    outcomes = together(database, model, bodies)
    refused = {place: one for place, one in outcomes.items() if isinstance(one, RegistryError)}
    assert {place: str(one) for place, one in refused.items()} == {
        7: "column 'temp', row 1: 'warm' is not a number",
        21: "column 'rain': it is missing",
        22: "column 'prediction_id': 0 rows; a batch has 1 to 1,000,000",
        30: 'the body is not readable as application/json: it must be {"batch_id": "…", "rows": '
        "[{…}, …]}",
    }
    assert waiting(database) == 1
    drained = drain_model(database, make_store(tmp_path), model.id, now=NOW)
    assert (drained.batches, drained.prediction_rows) == (36, 36)
    reclaim_slots(database)
    assert waiting(database) == 0


COLUMN = st.sampled_from(["temp", "hour", "carrier", "rain", "time", "version", "colour", "score"])
VALUE = st.sampled_from([..., None, 1, 2.5, 2**60, "warm", "7", True, [], "2013-06-01T00:00:00Z"])


@settings(max_examples=150, deadline=None)
@given(changes=st.lists(st.dictionaries(COLUMN, VALUE, max_size=2), min_size=1, max_size=6))
def test_together_each_is_judged_as_if_it_were_alone(changes):
    model = _stored_model()
    rows = predictions(0, len(changes))
    bodies = [body_of(rows.slice(n, 1), **change) for n, change in enumerate(changes)]
    found = check_together(model, "predictions", [SmallBody(one) for one in bodies], now=NOW)
    kept = {member.place: part for part in found.tables for member in part.members}
    for place, body in enumerate(bodies):
        assert (place in kept) == (place not in found.errors)
        assert str(found.errors.get(place)) == str(_error_alone(model, body))


def _error_alone(model, body):
    try:
        feedback.check_body(model, "predictions", None, body, JSON, now=NOW)
    except RegistryError as error:
        return error
    return None


def _stored_model():
    from mlreg.registry.store.tables import Model
    from tests.feedback_makers import FEATURES

    return Model(
        id=1,
        name="flights",
        task="binary",
        target_contract={},
        feature_schema=FEATURES,
        last_version=2,
        created_at=NOW,
        created_by="t",
    )


def test_ids_that_are_taken_add_nothing(database, tmp_path, model):
    rows = predictions(0, 3)
    first, other = body_of(rows.slice(0, 1), "a"), body_of(rows.slice(1, 1), "a")
    outcomes = together(database, model, [first, first, other, body_of(rows.slice(2, 1), "b")])
    assert outcomes[0] == Accepted("a", 1, duplicate=False)
    assert outcomes[1] == Accepted("a", 1, duplicate=True)
    assert outcomes[2].code == "batch_conflict"
    again = together(database, model, [other, first, body_of(rows.slice(2, 1), "c")])
    assert again[0].code == "batch_conflict"
    assert again[1] == Accepted("a", 1, duplicate=True)
    assert again[2] == Accepted("c", 1, duplicate=False)
    assert waiting(database) == 2
    drain_model(database, make_store(tmp_path), model.id, now=NOW)
    with database.reading() as session:
        rows = session.execute(text("SELECT sum(rows) FROM segment")).scalar_one()
    assert rows == 3  # what was refused, or was there, is in no segment


def test_the_ring_does_not_empty_what_waits_under_a_shared_number(database, tmp_path, model):
    together(database, model, [body_of(predictions(number, 1)) for number in range(5)])
    for _ in range(6):
        reclaim_slots(database)
    assert waiting(database) == 1
    drained = drain_model(database, make_store(tmp_path), model.id, now=NOW)
    assert drained.prediction_rows == 5


def test_over_http_from_many_threads(client, database, tmp_path, model):
    rows = predictions(0, 120)

    def send(number):
        body = body_of(rows.slice(number % 60, 1), f"r{number % 60}")
        try:
            return client.log.send("flights", "predictions", body, JSON)
        finally:
            client.transport.close()

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(send, range(120)))
    assert sum(answer.duplicate for answer in answers) == 60
    assert 0 < waiting(database) <= 60
    drained = drain_model(database, make_store(tmp_path), model.id, now=NOW)
    assert drained.prediction_rows == 60
    with pytest.raises(RefusedError, match="with other bytes"):
        client.log.send("flights", "predictions", body_of(rows.slice(80, 1), "r1"), JSON)


def test_over_http_what_is_wrong_is_named(client, model):
    del model
    body = body_of(predictions(0, 1), temp="warm")
    with pytest.raises(InvalidError, match="row 1: 'warm' is not a number"):
        client.log.send("flights", "predictions", body, JSON)
    with pytest.raises(InvalidError, match="not a valid batch id"):
        client.log.send("flights", "predictions", body_of(predictions(0, 1)), JSON, "no spaces!")
    with pytest.raises(NotFoundError, match="no model"):
        client.log.send("trains", "predictions", body, JSON)


def test_who_may_not_write_is_refused(client, api, model):
    del model
    from mlreg.client.client import Client

    made = client.tokens.create("eyes", role="viewer", days=1)
    with Client(api.url, made.token) as eyes, pytest.raises(MlregError) as refused:
        eyes.log.send("flights", "predictions", body_of(predictions(0, 1)), JSON)
    assert refused.value.status == 403


def test_beyond_the_bound_the_answer_is_to_come_again(database, model, monkeypatch):
    monkeypatch.setattr(group_commit, "MAX_WAITING", 3)
    answered = []
    held = threading.Event()

    class SlowClock:
        def now(self):
            held.wait(PATIENCE_SECONDS)
            return NOW

    commits = GroupCommit(database, KnownModels(database), SlowClock(), answered.extend)
    bodies = [SmallBody(body_of(predictions(n, 1))) for n in range(8)]
    requests = [SmallRequest("flights", "predictions", body) for body in bodies]
    taken = 0

    def submit_all():
        nonlocal taken
        for request in requests:
            commits.submit(request)
            taken += 1

    with pytest.raises(LogBusyError) as busy:
        submit_all()
    assert busy.value.retry_after_seconds == 1
    assert 3 <= taken <= 6
    held.set()
    for _ in range(200):
        if len(answered) == taken:
            break
        threading.Event().wait(0.05)
    assert all(isinstance(outcome, Accepted) for _, outcome in answered)
    del model
