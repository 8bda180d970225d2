"""A policy whose runs could register nothing: `policy apply` says so at once."""

import pytest

from mlreg.client.signing import generate_key, key_id
from mlreg.client.wire.signing import KeyRequest
from mlreg.controller.api import policies
from tests.feedback_makers import FEATURES, make_model

POLICY = "{model: flights, data: {train_window: 20d}, triggers: [{labelled_rows: 5}], retrain: {}}"


@pytest.fixture
def extra_routers():
    return (policies.router,)


@pytest.fixture
def worker_key(tmp_path):
    return generate_key(tmp_path / "worker.key")


@pytest.fixture
def extras(request, worker_key):
    return {"signing_key": key_id(worker_key) if request.param else None}


@pytest.fixture
def _model(database):
    make_model(database, features=FEATURES)


def apply(client):
    return client.policies.apply(POLICY, git=None).warnings


@pytest.mark.parametrize("extras", [False], indirect=True)
@pytest.mark.usefixtures("_model")
def test_a_server_without_a_key_warns_where_signatures_are_required(client):
    assert apply(client) == []
    client.keys.require("flights", required=True)
    (warning,) = apply(client)
    assert "this server has no signing key (MLREG_SIGNING_KEY)" in warning
    assert client.policies.get("flights", "production").warnings == [warning]


@pytest.mark.parametrize("extras", [True], indirect=True)
@pytest.mark.usefixtures("_model")
def test_a_key_that_is_not_trusted_is_as_good_as_none(client, worker_key):
    client.keys.require("flights", required=True)
    (warning,) = apply(client)
    assert "is not trusted for it" in warning
    client.keys.add(KeyRequest(name="controller", public_key=worker_key, models=["flights"]))
    assert apply(client) == []


@pytest.mark.parametrize("extras", [False], indirect=True)
@pytest.mark.usefixtures("_model")
def test_windows_that_close_after_labels_have_come_see_an_outage_late(client):
    data = "data: {train_window: 20d, label_delay: 6h, window: %s}"
    texts = [POLICY.replace("data: {train_window: 20d}", data % one) for one in ("1d", "6h")]
    late, soon = (client.policies.preview(text).warnings for text in texts)
    assert "data.window: 1d is longer than label_delay (6h): an outage is seen when" in late[0]
    assert soon == []
