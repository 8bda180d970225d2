"""What an actor may do, and whether one covers another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.permissions import ACTIONS, ALLOWED, INSTALLATION, ROLES

MODELS = ("a", "b", "c")
ACTORS = st.builds(
    Actor,
    st.just("x"),
    st.just("service"),
    st.sampled_from(ROLES),
    st.none() | st.frozensets(st.sampled_from(MODELS), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(MODELS), st.sampled_from(ROLES)), max_size=3).map(tuple),
)


@given(ACTORS, ACTORS)
def test_who_is_covered_may_do_nothing_more(giver, taker):
    if giver.covers(taker):
        for action in ACTIONS:
            for model in (*MODELS, None):
                assert giver.may(action, model) or not taker.may(action, model)


@given(ACTORS)
def test_everyone_is_covered_by_an_admin_and_by_themselves(actor):
    assert Actor("admin", "person", "admin").covers(actor)
    assert actor.covers(actor)


@given(ACTORS, st.sampled_from(sorted(ACTIONS - INSTALLATION)))
def test_a_list_holds_what_a_look_up_shows(actor, action):
    models = actor.models_for(action)
    for model in MODELS:
        assert actor.may(action, model) == (models is None or model in models)
    assert actor.may(action) == (models is None or bool(models) or action in ALLOWED[actor.role])


@given(ACTORS, st.sampled_from(sorted(INSTALLATION)))
def test_what_belongs_to_the_installation_takes_every_model(actor, action):
    assert actor.may(action) == (actor.models is None and action in ALLOWED[actor.role])
    assert actor.may(action, "a") == actor.may(action)
