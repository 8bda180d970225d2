"""A run as `mlreg run show` prints it, and what a budget refuses before it asks the server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlreg.cli.commands.cost import set_budget
from mlreg.cli.commands.run_lines import run_lines
from mlreg.client.errors import InvalidError
from mlreg.client.wire.costs import CostAnswer
from mlreg.client.wire.runs import RunAnswer

RUN = RunAnswer(
    number=1, model="churn", environment="production", state="succeeded", lane="full",
    trainer="lightgbm", cause="manual", attempt=2, requested_by="admin",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


def cost(amount, currency):
    return CostAnswer(
        name="1",
        currency=currency,
        runs=1,
        seconds=6.48,
        train_seconds=0.38,
        amount=amount,
        unpriced=0,
    )


def test_what_a_run_took_is_told_in_words():
    told = list(run_lines(RUN.model_copy(update={"costs": [cost(0.5, "EUR"), cost(0.25, "USD")]})))
    (took,) = [line for line in told if line.startswith("took")]
    assert took.split(maxsplit=1)[1] == (
        "13.0 s of a worker, 0.8 s of training, 0.5000 EUR, 0.2500 USD"
    )
    assert not any("{" in line for line in told)


def test_a_specification_is_a_key_on_each_line():
    said = {"retrain": {"rounds": 60, "search": None, "steps": []}, "reason": "", "git": {}}
    told = list(run_lines(RUN.model_copy(update={"specification": said})))
    assert told[-2:] == ["specification", "  retrain.rounds  60"]


def test_a_budget_of_which_nothing_is_named_is_not_set():
    with pytest.raises(InvalidError, match="no bound is named"):
        set_budget()
