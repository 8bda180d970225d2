"""Fault 5: a state machine of deployments and approvals against a model of fifty lines.

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

from mlreg.registry.domain.actor import Actor
from mlreg.registry.domain.errors import RegistryError
from mlreg.registry.services import approvals, audit, deployments
from mlreg.registry.services.approvals import Opinion
from mlreg.registry.services.deployments import Change
from mlreg.registry.store import approvals as rows
from mlreg.registry.store.database import Database
from mlreg.registry.store.deployments import list_all_barred
from tests.makers import GUARD, PERSON, POLICY, START, make_decision, make_models

APPROVERS = [PERSON, *(Actor(name, "person", "approver") for name in ("bea", "cal", "test"))]
AUTHOR = "test"
VERSIONS = st.integers(1, 3)
CHANGE = Change("flights", "production", PERSON, "why")
EMPTY = (
    "TRUNCATE approval, approval_request, revision, audit_entry, outbox_message, idempotency_key,"
    " version_bar, decision, acknowledgement, deployment, version, manifest, blob, model"
    " RESTART IDENTITY CASCADE"
)


ZERO = {"d": "sha256:" + "0" * 64}


class Live:
    """What a deployment is, told as simply as can be."""

    def __init__(self) -> None:
        self.revision = 0
        self.reigns: list[list[object]] = []  # [version, ended by a rollback]
        self.frozen = False
        self.barred: set[int] = set()
        self.decisions: dict[tuple[int, int | None], tuple[int, str]] = {}
        self.required = 0
        self.words: dict[tuple[int, str], tuple[str, object]] = {}  # (verdict, what it is about)
        self.waiting: dict[int, object] = {}
        self.reign = 0  # the revision that brought the champion

    @property
    def champion(self) -> int | None:
        return self.reigns[-1][0] if self.reigns else None

    def begin(self, version: int, *, by_rollback: bool = False) -> None:
        if self.reigns:
            self.reigns[-1][1] = by_rollback
        self.reigns.append([version, False])
        self.revision += 1
        self.reign = self.revision

    def decision(self, version: int) -> tuple[int, str]:
        return self.decisions.get((version, self.champion), (0, "none"))

    def binding(self, version: int) -> object:
        return self.decision(version)[0], self.reign

    def passes_the_gate(self, version: int) -> bool:
        return self.champion is None or self.decision(version)[1] == "accepted"

    def is_approved(self, version: int, promoter: str) -> bool:
        bound = self.binding(version)
        said = {
            who: verdict
            for (about, who), (verdict, binding) in self.words.items()
            if about == version and binding == bound
        }
        given = [w for w, v in said.items() if v == "approved" and w not in {promoter, AUTHOR}]
        return "rejected" not in said.values() and len(given) >= self.required

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

    @rule(version=VERSIONS, force=st.booleans(), break_glass=st.booleans())
    def promote(self, version, force, break_glass, who=PERSON):
        live = self.live
        approved = live.is_approved(version, who.name)
        allowed = (
            version not in {live.champion, *live.barred}
            and (force or live.passes_the_gate(version))
            and (break_glass or approved)
        )
        change, options = replace(CHANGE, actor=who), {"force": force, "break_glass": break_glass}
        done = self.attempt(
            lambda s: deployments.promote(s, change, version=version, now=START, **options)
        )
        assert done == allowed
        if done:
            assert self.state.broke_glass == (not approved)
            live.begin(version)
            live.waiting.pop(version, None)

    @precondition(lambda self: self.live.words)
    @rule(data=st.data())
    def promote_what_one_spoke_of(self, data):
        version, name = data.draw(st.sampled_from(sorted(self.live.words)))
        speaker = Actor(name, "person", "admin")
        who = data.draw(st.sampled_from([speaker, PERSON, POLICY]))
        self.promote(version, force=True, break_glass=False, who=who)

    @rule(version=VERSIONS, verdict=st.sampled_from(["accepted", "rejected", "inconclusive"]))
    def judge(self, version, verdict):
        with self.database.writing() as session:
            number = make_decision(session, self.model_id, version, self.live.champion, verdict)
        self.live.decisions[version, self.live.champion] = number, verdict

    @rule(approvals=st.integers(0, 2))
    def protect(self, approvals):
        done = self.attempt(
            lambda s: deployments.protect(s, CHANGE, approvals=approvals, now=START)
        )
        assert done == (approvals != self.live.required)
        if done:
            self.live.required = approvals
            self.live.revision += 1

    @rule(
        version=VERSIONS,
        who=st.sampled_from(APPROVERS),
        verdict=st.sampled_from(["approved", "approved", "rejected"]),
    )
    def say(self, version, who, verdict):
        live = self.live
        word = verdict, live.binding(version)
        allowed = (
            version not in {live.champion, *live.barred}
            and not (verdict == "approved" and who.name == AUTHOR)
            and live.words.get((version, who.name)) != word
        )
        by_who = replace(CHANGE, actor=who)
        done = self.attempt(
            lambda s: approvals.give(s, by_who, Opinion(version, verdict), now=START)
        )
        assert done == allowed
        if not done:
            return
        live.words[version, who.name] = word
        completes = (
            verdict == "approved"
            and live.waiting.get(version) == live.binding(version)
            and live.is_approved(version, POLICY.name)
            and not live.frozen
        )
        assert (self.state.promoted is not None) == completes
        if completes:
            live.begin(version)
            del live.waiting[version]

    @precondition(lambda self: self.live.words)
    @rule(version=VERSIONS, who=st.sampled_from(APPROVERS))
    def withdraw(self, version, who):
        key = version, who.name
        by_who = replace(CHANGE, actor=who)
        with self.database.reading() as session:
            state = deployments.find_deployment(session, "flights", "production")
            standing = rows.find_standing(session, state.deployment_id, version, who.name)
        assert (standing is not None) == (key in self.live.words)
        if standing is not None:
            assert self.attempt(
                lambda s: approvals.withdraw(s, by_who, standing.id, for_others=False, now=START)
            )
            del self.live.words[key]

    @rule(version=VERSIONS)
    def ask(self, version):
        live = self.live
        by_policy = replace(CHANGE, actor=POLICY)
        done = self.attempt(
            lambda s: approvals.request(s, by_policy, version=version, cause="policy", now=START)
        )
        assert done == (
            version not in {live.champion, *live.barred}
            and live.passes_the_gate(version)
            and not live.is_approved(version, POLICY.name)
            and live.waiting.get(version) != live.binding(version)
        )
        if done:
            live.waiting[version] = live.binding(version)

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
            seen = (state.revision, state.champion, state.frozen, state.approvals_required)
            live = self.live
            assert seen == (live.revision, live.champion, live.frozen, live.required)
            barred = list_all_barred(session, [state.deployment_id])
            assert barred.get(state.deployment_id, []) == sorted(self.live.barred)
            previous = deployments.previous_champion(session, state.deployment_id)
            assert previous == self.live.target()

    def teardown(self):
        with self.database.reading() as session:
            assert audit.verify(session).first_bad is None
            entries = audit.list_entries(session, audit.AuditFilter(limit=1000))
            state = deployments.find_deployment(session, "flights", "production")
        changes = [
            entry
            for entry in reversed(entries)
            if entry.action.startswith("deployment.") and entry.action != "deployment.unbar"
        ]
        replayed = [json.loads(entry.body) for entry in changes]
        assert [body["revision"] for body in replayed] == list(range(1, len(replayed) + 1))
        if replayed and state:
            last = replayed[-1]
            assert last["approvals_required"] == state.approvals_required
            assert (last["revision"], last["champion"]) == (state.revision, state.champion)


def run_model(database, postgres, **options):
    superuser = Database(postgres.url(database.engine.url.database))
    bound = type("Bound", (Deployments,), {"database": database, "superuser": superuser})
    run = settings(
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        **options,
    )
    try:
        run_state_machine_as_test(bound, settings=run)
    finally:
        superuser.dispose()


def test_deployments_are_as_the_model_says(database, postgres):
    run_model(database, postgres, max_examples=25)
