"""Everything that is asked of an environment says so when there is none of that name."""

import pytest

from mlreg.client.errors import NotFoundError
from mlreg.client.wire.drift import CompareRequest
from mlreg.client.wire.explanations import ExplainRequest
from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.parity import ParityRequest
from mlreg.controller.api.rooms import ROUTERS

WRONG = "prodution"
QUESTIONS = {
    "readings": lambda client: client.monitors.readings("m", WRONG),
    "drift": lambda client: client.drift.show("m", WRONG),
    "matrix": lambda client: client.drift.matrix("m", WRONG),
    "comparison": lambda client: client.drift.compare("m", CompareRequest(environment=WRONG)),
    "explanation": lambda client: client.explanations.request(
        "m", ExplainRequest(environment=WRONG)
    ),
    "parity": lambda client: client.parity.check("m", ParityRequest(environment=WRONG)),
    "runs": lambda client: client.runs.list(environment=WRONG),
}


@pytest.fixture
def extra_routers():
    return ROUTERS


def test_it_is_not_found(client):
    client.models.create(ModelRequest(name="m", target=TargetForm(task="binary")))
    for name, ask in QUESTIONS.items():
        with pytest.raises(NotFoundError) as found:
            ask(client)
        assert found.value.code == "environment_not_found", name
