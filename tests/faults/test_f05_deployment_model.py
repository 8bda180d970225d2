"""Fault 5: a state machine of deployments against a model of twenty lines.

After each step the database is what the model says; at the end the audit log replays to it.
"""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.services import audit, deployments
from mlreg.registry.services.deployments import Change
from mlreg.registry.store.database import Database
from mlreg.registry.store.deployments import list_all_barred
from tests.makers import GUARD, PERSON, START, make_decision, make_models

VERSIONS = st.integers(1, 5)
CHANGE = Change("flights", "production", PERSON, "why")
EMPTY = (
    "TRUNCATE revision, audit_entry, outbox_message, idempotency_key, version_bar, decision,"
    " acknowledgement, deployment, version, manifest, blob, model RESTART IDENTITY CASCADE"
)


ZERO = {"d": "sha256:" + "0" * 64}


class Live:
    """What a deployment is, told as simply as can be."""

    def __init__(self) -> None:
        self.revision = 0
        self.reigns: list[list[object]] = []  # [version, ended by a rollback]
        self.frozen = False
        self.barred: set[int] = set()
        self.accepted: dict[tuple[int, int | None], bool] = {}

    @property
    def champion(self) -> int | None:
        return self.reigns[-1][0] if self.reigns else None

    def begin(self, version: int, *, by_rollback: bool = False) -> None:
        if self.reigns:
            self.reigns[-1][1] = by_rollback
        self.reigns.append([version, False])
        self.revision += 1

    def target(self) -> int | None:
        latest = {}
        for version, ended in self.reigns[:-1]:
            latest.pop(version, None)
            latest[version] = ended
        latest.pop(self.champion, None)
        good = [version for version, ended in latest.items() if not ended]
        return good[-1] if good else None


class Deployments(RuleBasedStateMachine):
    """Every verb against the model; bound to a database by `bound`."""

    database: Database
    superuser: Database

    def __init__(self) -> None:
        super().__init__()
        with self.superuser.engine.begin() as connection:
            connection.execute(text("SET session_replication_role = replica"))
            connection.execute(text(EMPTY))
            connection.execute(text("UPDATE audit_head SET seq = 0, digest = :d"), ZERO)
        self.model_id = make_models(self.database, versions=5)
        self.live = Live()

    def attempt(self, act) -> bool:
        try:
            with self.database.writing() as session:
                self.state = act(session)
        except RegistryError:
            return False
        return True

    @rule(version=VERSIONS, force=st.booleans())
    def promote(self, version, force):
        live = self.live
        judged = live.accepted.get((version, live.champion), False)
        allowed = (
            version != live.champion
            and version not in live.barred
            and (force or live.champion is None or judged)
        )
        done = self.attempt(
            lambda s: deployments.promote(s, CHANGE, version=version, force=force, now=START)
        )
        assert done == allowed
        if done:
            live.begin(version)

    @rule(version=VERSIONS, verdict=st.sampled_from(["accepted", "rejected", "inconclusive"]))
    def judge(self, version, verdict):
        with self.database.writing() as session:
            make_decision(session, self.model_id, version, self.live.champion, verdict)
        self.live.accepted[version, self.live.champion] = verdict == "accepted"

    @rule()
    def roll_back(self):
        target = self.live.target()
        done = self.attempt(lambda s: deployments.rollback(s, CHANGE, now=START))
        assert done == (target is not None)
        if done:
            self.live.begin(target, by_rollback=True)
            self.live.frozen = True
            assert self.state.champion == target

    @rule(version=VERSIONS)
    def roll_back_to(self, version):
        former = {reign[0] for reign in self.live.reigns} - {self.live.champion}
        done = self.attempt(lambda s: deployments.rollback(s, CHANGE, to=version, now=START))
        assert done == (version in former)
        if done:
            self.live.begin(version, by_rollback=True)
            self.live.frozen = True

    @rule()
    def guard_rolls_back(self):
        target, down = self.live.target(), self.live.champion
        by_guard = replace(CHANGE, actor=GUARD)
        done = self.attempt(lambda s: deployments.rollback(s, by_guard, cause="guard", now=START))
        assert done == (target is not None and not self.live.frozen)
        if done:
            self.live.begin(target, by_rollback=True)
            self.live.barred.add(down)

    @rule(frozen=st.booleans())
    def freeze(self, frozen):
        verb = deployments.freeze if frozen else deployments.unfreeze
        done = self.attempt(lambda s: verb(s, CHANGE, now=START))
        assert done == (self.live.frozen != frozen)
        if done:
            self.live.frozen = frozen
            self.live.revision += 1

    @precondition(lambda self: self.live.barred)
    @rule(version=VERSIONS)
    def lift(self, version):
        done = self.attempt(lambda s: deployments.lift_bar(s, CHANGE, version=version, now=START))
        assert done == (version in self.live.barred)
        self.live.barred.discard(version)

    @rule(version=VERSIONS, behind=st.integers(1, 3))
    def stale_promote(self, version, behind):
        stale = replace(CHANGE, expected=self.live.revision + behind)
        assert not self.attempt(
            lambda s: deployments.promote(s, stale, version=version, force=True, now=START)
        )

    @invariant()
    def the_database_is_as_the_model(self):
        with self.database.reading() as session:
            state = deployments.find_deployment(session, "flights", "production")
            if state is None:
                assert self.live.revision == 0
                return
            seen = (state.revision, state.champion, state.frozen)
            assert seen == (self.live.revision, self.live.champion, self.live.frozen)
            barred = list_all_barred(session, [state.deployment_id])
            assert barred.get(state.deployment_id, []) == sorted(self.live.barred)
            previous = deployments.previous_champion(session, state.deployment_id)
            assert previous == self.live.target()

    def teardown(self):
        with self.database.reading() as session:
            assert audit.verify(session).first_bad is None
            entries = audit.list_entries(session, audit.AuditFilter(limit=1000))
            state = deployments.find_deployment(session, "flights", "production")
        changes = [e for e in reversed(entries) if e.action != "deployment.unbar"]
        replayed = [json.loads(entry.body) for entry in changes]
        assert [body["revision"] for body in replayed] == list(range(1, len(replayed) + 1))
        if replayed and state:
            last = replayed[-1]
            assert (last["revision"], last["champion"]) == (state.revision, state.champion)


def test_deployments_are_as_the_model_says(database, postgres):
    superuser = Database(postgres.url(database.engine.url.database))
    bound = type("Bound", (Deployments,), {"database": database, "superuser": superuser})
    run = settings(
        max_examples=25,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(bound, settings=run)
    finally:
        superuser.dispose()
