"""Tokens with scopes, grants, and what a change of them means to a server that knew them before."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mlreg.client.client import Client
from mlreg.client.errors import InvalidError, NotAllowedError, NotFoundError
from mlreg.client.signing import public_pem
from mlreg.client.wire.models import ModelRequest, TargetForm
from mlreg.client.wire.signing import KeyRequest
from mlreg.client.wire.tokens import IssuerRequest
from mlreg.registry.api.cache import POLL_SECONDS
from tests.makers import make_models, put_bytes

PUBLIC = public_pem(Ed25519PrivateKey.generate().public_key())


@pytest.fixture
def two_models(database, store):
    for name in ("flights", "fraud"):
        make_models(database, name)
        put_bytes(store, name)


@pytest.fixture
def bearer(api, client):
    """A client with a token of its own: `bearer(role="ci", models=["flights"])`."""
    opened = []

    def make(name="ada", **options) -> Client:
        opened.append(api.client(client.tokens.create(name, **options).token))
        return opened[-1]

    yield make
    for one in opened:
        one.transport.close()


def allowed(act, *arguments, **options):
    try:
        act(*arguments, **options)
    except NotAllowedError:
        return False
    return True


@pytest.mark.usefixtures("two_models")
def test_a_token_for_one_model_sees_no_other(bearer):
    one = bearer(role="ci", models=["flights"])
    assert [model.name for model in one.models.list().items] == ["flights"]
    assert one.versions.get("flights", 1).number == 1
    with pytest.raises(NotFoundError, match="no model 'fraud'") as unseen:
        one.versions.get("fraud", 1)
    with pytest.raises(NotFoundError, match="no model 'nothing'") as unknown:
        one.versions.get("nothing", 1)
    assert (unseen.value.code, unseen.value.status) == (unknown.value.code, unknown.value.status)


@pytest.mark.usefixtures("two_models")
def test_a_role_is_what_it_may_do(bearer):
    viewer, operator = bearer(role="viewer"), bearer(role="operator")
    with pytest.raises(NotAllowedError, match="may not promote") as refused:
        viewer.deployments.promote("flights", 1)
    assert refused.value.code == "permission_denied"
    operator.deployments.promote("flights", 1)
    with pytest.raises(NotAllowedError, match=r"access\.write"):
        operator.tokens.create("mine", role="viewer")


@pytest.mark.usefixtures("two_models")
def test_forcing_is_more_than_promoting(bearer):
    pipeline, operator = bearer(role="ci"), bearer(role="operator")
    pipeline.deployments.promote("flights", 1)
    with pytest.raises(NotAllowedError, match=r"promote\.force"):
        pipeline.deployments.promote("flights", 2, force=True, reason="now")
    operator.deployments.promote("flights", 2, force=True, reason="now")


@pytest.mark.usefixtures("two_models")
def test_a_grant_widens_one_model_and_is_known_within_a_second(api, client, bearer):
    ada = bearer(role="viewer")
    assert not allowed(ada.deployments.promote, "flights", 1)
    client.tokens.grant("ada", "flights", "operator")
    api.await_known(lambda: ada.tokens.who_am_i().grants == {"flights": "operator"})
    assert POLL_SECONDS <= 1
    assert allowed(ada.deployments.promote, "flights", 1)
    assert not allowed(ada.deployments.promote, "fraud", 1)
    client.tokens.ungrant("ada", "flights")
    api.await_known(lambda: not ada.tokens.who_am_i().grants)
    assert not allowed(ada.deployments.rollback, "flights")
    with pytest.raises(NotFoundError, match="no grant"):
        client.tokens.ungrant("ada", "flights")


@pytest.mark.usefixtures("two_models")
def test_a_change_counts_even_where_the_cache_read_before_it(api, client, bearer):
    """The poll reads every known token anew: what a check stored late does not stay."""
    ada = bearer(role="viewer")
    ada.models.list()
    client.tokens.grant("ada", "flights", "operator")
    api.await_known(lambda: ada.tokens.who_am_i().grants)
    tokens = api.app.state.caches.tokens
    for key, known in list(tokens._bearers.items()):
        if known.actor.name == "ada":
            stale = type(known)(known.token_id, type(known.actor)("ada", "person", "admin"), None)
            tokens._bearers[key] = stale
    api.await_known(lambda: ada.tokens.who_am_i().role == "viewer")


def test_who_am_i(client, bearer):
    for name in "ab":
        client.models.create(ModelRequest(name=name, target=TargetForm(task="binary")))
    me = bearer("ci", kind="service", role="ci", models=["a", "b"], days=3).tokens.who_am_i()
    assert (me.name, me.kind, me.role, me.models) == ("ci", "service", "ci", ["a", "b"])
    assert client.tokens.who_am_i().models is None


@pytest.mark.parametrize(
    "give",
    [
        lambda client: client.tokens.create("ada", models=["nowhere"]),
        lambda client: client.tokens.grant("ada", "nowhere", "ci"),
        lambda client: client.issuers.add(
            IssuerRequest(
                name="ci", issuer="https://issuer.example", audience="mlreg",
                claims={"sub": ["one"]}, models=["nowhere"],
            )
        ),
        lambda client: client.keys.add(
            KeyRequest(name="ada", public_key=PUBLIC, models=["nowhere"])
        ),
        lambda client: client.webhooks.create(
            "hook", url="https://hooks.example/x", topics=["*"], models=["nowhere"]
        ),
    ],
    ids=["token", "grant", "issuer", "key", "webhook"],
)  # fmt: skip
def test_nothing_is_given_for_a_model_that_is_not_there(client, give):
    with pytest.raises(NotFoundError) as refused:
        give(client)
    assert refused.value.code == "model_not_found"


def test_a_token_lives_30_or_90_days_unless_it_is_said(client):
    person, service = client.tokens.create("ada"), client.tokens.create("ci", kind="service")
    ages = {t.id: round((t.expires_at - t.created_at).days) for t in client.tokens.list()[:2]}
    assert ages == {person.id: 30, service.id: 90}
    assert person.role == "viewer"


@pytest.mark.usefixtures("two_models")
def test_nobody_makes_a_token_that_is_stronger(bearer):
    for role in ("viewer", "ci", "operator", "approver"):
        weak = bearer(role=role)
        with pytest.raises(NotAllowedError):
            weak.tokens.create("more", role="admin")
    narrow = bearer("narrow", role="admin", models=["flights"])
    with pytest.raises(NotAllowedError, match=r"may not access\.write"):
        narrow.tokens.create("more", role="viewer")


def test_what_is_no_token_is_said(client):
    with pytest.raises(NotFoundError):
        client.tokens.grant("ada", "nothing", "viewer")
    with pytest.raises(NotFoundError):
        client.tokens.revoke("nothing")


@pytest.mark.usefixtures("two_models")
def test_nobody_is_named_as_the_service_is(client):
    for give in (
        lambda: client.tokens.create("mlreg", role="viewer"),
        lambda: client.tokens.grant("mlreg", "flights", "viewer"),
    ):
        with pytest.raises(InvalidError) as refused:
            give()
        assert (refused.value.status, refused.value.code) == (422, "reserved_name")
    assert "mlreg" not in {token.name for token in client.tokens.list()}


def test_use_is_noted(api, client, bearer):
    ada = bearer(role="viewer")
    ada.models.list()
    tokens = api.app.state.caches.tokens
    tokens._noted_at = 0.0
    tokens.refresh()
    used = {token.name: token.last_used_at for token in client.tokens.list()}
    assert used["ada"] is not None
