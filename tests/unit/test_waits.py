"""What is said of a run that somebody waits for while it is not taken."""

from datetime import UTC, datetime

import pytest

from mlreg.cli.waits import Waits
from mlreg.client.errors import ServerError, UnreachableError
from mlreg.client.wire.costs import QueuedRunAnswer
from mlreg.client.wire.runs import RunAnswer

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def run(state="queued", waits_for=None):
    return RunAnswer(
        number=7,
        model="m",
        environment="production",
        state=state,
        lane="full",
        trainer="lightgbm",
        cause="manual",
        attempt=0,
        requested_by="ana",
        created_at=NOW,
        waits_for=waits_for,
    )


def queued(number, because):
    return QueuedRunAnswer(
        run=number,
        model="m",
        environment="production",
        cause="manual",
        priority=70,
        position=None,
        waits_for="budget",
        because=because,
        asked_at=NOW,
    )


def test_what_it_waits_for_is_said_once_per_change(capsys):
    because = "the budget of all policies is used"
    waits = Waits(lambda: [queued(6, "waits for a worker"), queued(7, because)], pause_seconds=0)
    label = "no worker has the label gpu"
    looks = (run(), run(), run(waits_for=label), run(waits_for=label), run("running"))
    [waits.look(one) for one in looks]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"run 7 is queued: {because}\nrun 7 is queued: {label}\n"


@pytest.mark.parametrize("error", [UnreachableError("gone"), ServerError("a bug")])
def test_nothing_is_said_where_nothing_is_known(capsys, error):
    """And nothing ends the wait: the run itself goes on."""

    def queue():
        raise error

    Waits(queue, pause_seconds=0).look(run())
    assert capsys.readouterr().err == ""


def test_nothing_is_said_of_a_run_that_is_taken_soon(capsys):
    Waits(lambda: [queued(7, "waits for a worker")], pause_seconds=60).look(run())
    assert capsys.readouterr().err == ""
