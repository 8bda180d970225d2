"""Deployments: every rule of promote, rollback and freeze, over a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from mlreg.registry.domain.errors import (
    IntegrityError,
    NotFoundError,
    RefusedError,
    StaleRevisionError,
)
from mlreg.registry.domain.revisions import (
    AlreadySoError,
    BlobUnfitError,
    FrozenError,
    NeverChampionError,
    NoFormerChampionError,
    NotAcceptedError,
    ReasonRequiredError,
    UnsafeFormatError,
    VersionBarredError,
)
from mlreg.registry.services import audit, deployments
from mlreg.registry.services.deployments import Change
from mlreg.registry.services.idempotency import IdempotencyConflictError
from mlreg.registry.store import tables
from mlreg.registry.store.deployments import list_all_barred
from tests.makers import (
    GUARD,
    PERSON,
    POLICY,
    SERVICE,
    START,
    make_decision,
    make_model,
    make_models,
    make_version,
    set_blob_state,
)

CHANGE = Change("flights", "production", PERSON, "because")


def promote(database, version, change=CHANGE, *, now=START, **options):
    options.setdefault("force", True)
    with database.writing() as session:
        return deployments.promote(session, change, version=version, now=now, **options)


def rollback(database, change=CHANGE, *, now=START, **options):
    with database.writing() as session:
        return deployments.rollback(session, change, now=now, **options)


def test_the_first_promote_needs_no_gate_and_the_second_does(database):
    model_id = make_models(database)
    first = promote(database, 1, force=False)
    assert (first.revision, first.champion, first.previous) == (1, 1, None)
    with pytest.raises(NotAcceptedError, match="there is none"):
        promote(database, 2, force=False)
    with database.writing() as session:
        make_decision(session, model_id, 2, 1, "inconclusive")
    with pytest.raises(NotAcceptedError, match="inconclusive"):
        promote(database, 2, force=False)
    with database.writing() as session:
        decision = make_decision(session, model_id, 2, 1)
    second = promote(database, 2, force=False)
    assert (second.revision, second.champion, second.previous) == (2, 2, 1)
    with database.reading() as session:
        revision = session.get(tables.Revision, (second.deployment_id, 2))
    assert (revision.decision_id, revision.forced) == (decision, False)


def test_a_decision_against_another_champion_is_no_decision(database):
    model_id = make_models(database)
    promote(database, 1)
    with database.writing() as session:
        make_decision(session, model_id, 3, 1)
    promote(database, 2)
    with pytest.raises(NotAcceptedError):
        promote(database, 3, force=False)


def test_the_newest_decision_counts(database):
    model_id = make_models(database)
    promote(database, 1)
    with database.writing() as session:
        make_decision(session, model_id, 2, 1)
        make_decision(session, model_id, 2, 1, "inconclusive")
    with pytest.raises(NotAcceptedError, match="inconclusive"):
        promote(database, 2, force=False)


def test_force_needs_a_reason_and_is_marked_for_ever(database):
    make_models(database)
    with pytest.raises(ReasonRequiredError):
        promote(database, 1, replace(CHANGE, reason=" "))
    state = promote(database, 1)
    with database.reading() as session:
        assert session.get(tables.Revision, (state.deployment_id, 1)).forced


@pytest.mark.parametrize("state", ["corrupt", "condemned", "deleting"])
def test_integrity_is_never_skipped(database, state):
    make_models(database)
    promote(database, 1)
    promote(database, 2)
    set_blob_state(database, "flights", 3, state)
    with pytest.raises(BlobUnfitError, match=state):
        promote(database, 3)
    set_blob_state(database, "flights", 1, state)
    with pytest.raises(IntegrityError):
        rollback(database)


def test_missing_bytes_are_refused_when_the_store_is_asked(database, store):
    make_models(database)
    with pytest.raises(BlobUnfitError, match="missing from the store"):
        promote(database, 1, store=store)


def test_a_pickle_never_goes_live(database):
    with database.writing() as session:
        make_version(session, make_model(session), 1, flavour="pickle")
    with pytest.raises(UnsafeFormatError):
        promote(database, 1)


def test_what_is_not_there_is_not_found(database):
    make_models(database)
    for change, version in (
        (CHANGE, 9),
        (replace(CHANGE, model="other"), 1),
        (replace(CHANGE, environment="staging"), 1),
    ):
        with pytest.raises(NotFoundError):
            promote(database, version, change)


def test_a_stale_revision_changes_nothing_and_says_what_is(database):
    make_models(database)
    promote(database, 1, replace(CHANGE, expected=0))
    with pytest.raises(StaleRevisionError) as caught:
        promote(database, 2, replace(CHANGE, expected=0))
    assert caught.value.current["revision"] == 1
    with pytest.raises(StaleRevisionError):
        promote(database, 2, replace(CHANGE, expected=1, incarnation="another"))


def test_a_rollback_by_hand_returns_to_the_last_champion_and_freezes(database):
    make_models(database)
    for version in (1, 2, 3):
        promote(database, version)
    state = rollback(database)
    assert (state.champion, state.previous, state.revision, state.frozen) == (2, 3, 4, True)
    assert "unfreeze" in state.notes[0]
    with pytest.raises(FrozenError):
        promote(database, 3, replace(CHANGE, actor=POLICY), cause="policy")
    assert promote(database, 3).frozen


def test_two_rollbacks_go_back_two_steps_and_never_to_and_fro(database):
    make_models(database)
    for version in (1, 2, 3):
        promote(database, version)
    assert rollback(database).champion == 2
    assert rollback(database).champion == 1
    with pytest.raises(NoFormerChampionError):
        rollback(database)


def test_a_service_s_rollback_does_not_freeze(database):
    make_models(database)
    promote(database, 1)
    promote(database, 2)
    assert not rollback(database, replace(CHANGE, actor=SERVICE)).frozen


def test_a_guard_s_rollback_bars_the_version_and_starts_the_cooldown(database):
    model_id = make_models(database)
    promote(database, 1)
    promote(database, 2)
    state = rollback(
        database, replace(CHANGE, actor=GUARD), cause="guard", cooldown=timedelta(hours=1)
    )
    assert (state.champion, state.frozen) == (1, False)
    assert state.cooldown_until == START + timedelta(hours=1)
    with pytest.raises(VersionBarredError):
        promote(database, 2)
    with database.writing() as session:
        assert list_all_barred(session, [state.deployment_id]) == {state.deployment_id: [2]}
        deployments.lift_bar(session, CHANGE, version=2, now=START)
        make_decision(session, model_id, 2, 1)
    assert promote(database, 2, force=False).champion == 2


def test_rollback_to_takes_only_former_champions(database):
    make_models(database, versions=4)
    for version in (1, 2, 3):
        promote(database, version)
    with pytest.raises(NeverChampionError):
        rollback(database, to=4)
    with pytest.raises(AlreadySoError):
        rollback(database, to=3)
    assert rollback(database, to=1).champion == 1


def test_freezing_stops_automation_and_not_a_person(database):
    make_models(database)
    promote(database, 1)
    with database.writing() as session:
        assert deployments.freeze(session, CHANGE, now=START).champion == 1
    promote(database, 2)
    with pytest.raises(FrozenError):
        rollback(database, replace(CHANGE, actor=GUARD), cause="guard")
    with database.writing() as session:
        assert not deployments.unfreeze(session, CHANGE, now=START).frozen
        with pytest.raises(AlreadySoError):
            deployments.unfreeze(session, CHANGE, now=START)


def test_a_promote_ends_a_fallback(database):
    make_models(database)
    promote(database, 1)
    with database.writing() as session:
        assert deployments.fall_back(session, CHANGE, fallback="prior", now=START).fallback
    state = promote(database, 2)
    assert state.fallback is None
    assert "ends" in state.notes[0]


def test_a_repeated_key_gives_the_same_answer_and_no_second_change(database):
    make_models(database)
    change = replace(CHANGE, idempotency_key="k1")
    first = promote(database, 1, change)
    assert promote(database, 1, change, now=START + timedelta(days=1)) == first
    with pytest.raises(IdempotencyConflictError):
        promote(database, 2, change)
    with database.reading() as session:
        assert len(session.exec(select(tables.Revision)).all()) == 1


def test_every_change_leaves_its_entry_event_and_revision(database):
    make_models(database)
    promote(database, 1)
    promote(database, 2)
    rollback(database)
    with database.reading() as session:
        entries = audit.list_entries(session, audit.AuditFilter())
        found = [entry.action for entry in reversed(entries)]
        assert found == ["deployment.promote", "deployment.promote", "deployment.rollback"]
        assert len(session.exec(select(tables.OutboxMessage)).all()) == 3
        assert audit.verify(session).first_bad is None


def test_a_refused_change_leaves_nothing(database):
    make_models(database)
    with pytest.raises(RefusedError):
        promote(database, 1, replace(CHANGE, expected=7, idempotency_key="k"))
    with database.reading() as session:
        for table in (tables.Revision, tables.OutboxMessage, tables.AuditEntry):
            assert session.exec(select(table)).all() == []
        assert session.exec(select(tables.IdempotencyKey)).all() == []
