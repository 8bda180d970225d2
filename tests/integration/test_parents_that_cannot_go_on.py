"""A champion that the trainer cannot go on from: a policy's run trains anew, a person's is told."""

import pytest

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
"""


@pytest.mark.parametrize(
    ("firing", "state", "said"),
    [
        (1, "succeeded", "sigmoid: the parent has 1, asked for is 2: this is a full retrain"),
        (None, "failed", "sigmoid: the parent has 1, asked for is 2"),
    ],
)
def test_what_a_policy_chose_becomes_a_full_retrain(database, tmp_path, firing, state, said):
    store = FolderStore(tmp_path / "store")
    log_stream(database, make_model(database), START, 31)
    with worker(database, store, FixedClock(FIRST), tmp_path / "work"):
        first = await_end(database, ask(database, now=FIRST))
        promote_by_hand(database, first.version, now=FIRST, actor=PERSON)
        with database.writing() as session:
            applied = apply_policy(session, POLICY, git=None, actor=PERSON, now=FIRST)
            run = request_run(
                session,
                model=catalog.get_model(session, "flights"),
                environment="production",
                lane="refit",
                cause="schedule",
                actor=PERSON,
                firing_id=firing,
                policy_id=applied.policy_id,
                now=FIRST,
            ).id
        ended = await_end(database, run)
    assert ended.state == state, log_of(database, run)
    assert said in "\n".join(log_of(database, run))
