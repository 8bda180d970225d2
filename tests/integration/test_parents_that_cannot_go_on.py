"""A champion that the trainer cannot go on from: a policy's run trains anew, a person's is told."""

from mlreg.controller.services import retraining
from mlreg.controller.services.policies import apply_policy
from mlreg.controller.services.runs import request_run
from mlreg.registry.artifacts.filesystem import FolderStore
from mlreg.registry.services import catalog
from tests.makers import PERSON
from tests.run_makers import (
    DAY,
    START,
    FixedClock,
    ask,
    await_end,
    log_of,
    log_stream,
    make_model,
    promote_by_hand,
    worker,
)

FIRST = START + 32 * DAY
POLICY = """
model: flights
data: {train_window: 20d, evaluate_window: 10d, label_delay: 1d}
triggers: [{schedule: "0 3 * * *"}]
retrain:
  params: {num_leaves: 7, min_data_in_leaf: 20, objective: binary, sigmoid: 2.0}
  rounds: 20
  lanes: {refit: {}}
"""
SPENT = (
    POLICY.replace("rounds: 20", "rounds: 10")
    .replace("sigmoid: 2.0", "sigmoid: 1.0")
    .replace("{refit: {}}", "{continue: {every: 1d, rounds: 5, max_trees: 20}}")
)
MISMATCH = "sigmoid: the parent has 1, asked for is 2"
FULL = "this is a full retrain"


def test_what_a_policy_chose_becomes_a_full_retrain_and_what_a_person_named_fails(
    database, tmp_path
):
    store = FolderStore(tmp_path / "store")
    log_stream(database, make_model(database), START, 31)
    with worker(database, store, FixedClock(FIRST), tmp_path / "work"):
        first = await_end(database, ask(database, now=FIRST))
        promote_by_hand(database, first.version, now=FIRST, actor=PERSON)
        with database.writing() as session:
            apply_policy(session, POLICY, git=None, actor=PERSON, now=FIRST)
        person_names = await_end(database, retrain(database, "refit"))
        person_leaves_it_open = await_end(database, retrain(database, None))
        budget = await_end(database, fire(database, SPENT, "continue"))
        after_firing = await_end(database, fire(database, POLICY, "refit"))
    for run in (after_firing, person_leaves_it_open):
        assert run.state == "succeeded", log_of(database, run.id)
        assert f"{MISMATCH}: {FULL}" in "\n".join(log_of(database, run.id))
    assert (person_names.state, MISMATCH in person_names.error) == ("failed", True)
    assert budget.state == "succeeded", log_of(database, budget.id)
    assert f"has 20 trees, and max_trees is 20: {FULL}" in "\n".join(log_of(database, budget.id))


def fire(database, policy, lane):
    """Ask for what a firing of the policy would ask for; return the run's number."""
    with database.writing() as session:
        applied = apply_policy(session, policy, git=None, actor=PERSON, now=FIRST)
        return request_run(
            session,
            model=catalog.get_model(session, "flights"),
            environment="production",
            lane=lane,
            cause="schedule",
            actor=PERSON,
            firing_id=1,
            policy_id=applied.policy_id,
            now=FIRST,
        ).id


def retrain(database, lane):
    """Ask for a run by hand, with a lane or without one."""
    with database.writing() as session:
        place = retraining.find_place(session, "flights", "production")
        asked = retraining.request_retrain(
            session, place, retraining.Options(), lane=lane, actor=PERSON, now=FIRST
        )
    return asked.run.id
