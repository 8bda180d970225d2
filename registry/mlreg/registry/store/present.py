"""What a change of a deployment finds once it holds the lock, in one statement.

What always holds: it is read after the lock, by a statement of its own, so that its snapshot is
younger than all that was committed before the lock was had. The locking statement itself would see
the deployment's row as it is, and everything beside it as it was when the waiting began.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, bindparam, cast, exists, func, or_, select, true
from sqlalchemy.dialects.postgresql import JSONB

from mlreg.registry.domain.approvals import Word
from mlreg.registry.domain.revisions import BRINGING
from mlreg.registry.store.deployments import STATES, DeploymentState, state_of
from mlreg.registry.store.tables import METADATA

if TYPE_CHECKING:
    from mlreg.registry.store.database import ReadSession

_model = METADATA.tables["model"]
_deployment = METADATA.tables["deployment"]
_revision = METADATA.tables["revision"]
_manifest = METADATA.tables["manifest"]
_blob = METADATA.tables["blob"]
_bar = METADATA.tables["version_bar"]
_decision = METADATA.tables["decision"]
_approval = METADATA.tables["approval"]
_keys = METADATA.tables["idempotency_key"]
WANTED = METADATA.tables["version"].alias("wanted")

JUDGED = (
    select(_decision.c.id, _decision.c.verdict)
    .where(
        _decision.c.model_id == _deployment.c.model_id,
        _decision.c.environment == _deployment.c.environment,
        _decision.c.challenger == WANTED.c.number,
        _decision.c.champion.is_not_distinct_from(_deployment.c.champion),
    )
    .order_by(_decision.c.id.desc())
    .limit(1)
    .correlate(_deployment, WANTED)
    .lateral("judged")
)
# SQLAlchemy writes an IN anew at each use, as it does not know how long its list is: hence the OR.
REIGN = (
    select(func.coalesce(func.max(_revision.c.number), 0))
    .where(
        _revision.c.deployment_id == _deployment.c.id,
        or_(*(_revision.c.cause == cause for cause in sorted(BRINGING))),
    )
    .correlate(_deployment)
    .scalar_subquery()
)
_FILE = func.jsonb_array_elements(cast(_manifest.c.body, JSONB)["files"]).column_valued("file")
_BLOB_STATES = (
    select(func.json_object_agg(_blob.c.digest, _blob.c.state))
    .where(_blob.c.digest.in_(select(_FILE.op("->>")("digest")).correlate(_manifest)))
    .correlate(_manifest)
    .scalar_subquery()
)
_WORDS = (
    select(func.json_agg(func.json_build_array(_approval.c.approver, _approval.c.verdict)))
    .where(
        _approval.c.deployment_id == _deployment.c.id,
        _approval.c.version == WANTED.c.number,
        _approval.c.withdrawn_at.is_(None),
        _approval.c.manifest_digest == WANTED.c.manifest_digest,
        _approval.c.decision_id.is_not_distinct_from(JUDGED.c.id),
        _approval.c.reign == REIGN,
    )
    .correlate(_deployment, WANTED, JUDGED)
    .scalar_subquery()
)
_BARRED = exists().where(
    _bar.c.deployment_id == _deployment.c.id,
    _bar.c.version == WANTED.c.number,
    _bar.c.lifted_at.is_(None),
)
_CANDIDATE = (
    WANTED.c.number,
    WANTED.c.manifest_digest,
    WANTED.c.flavour,
    _manifest.c.body,
    _BARRED,
    JUDGED.c.verdict,
    JUDGED.c.id,
    _BLOB_STATES,
    WANTED.c.archived_at.is_not(None),
    _model.c.archived_at.is_not(None),
    _model.c.allows_unsafe,
    WANTED.c.created_by,
    WANTED.c.trained_by,
    REIGN,
    _WORDS,
)
_ANSWER = (_keys.c.request_digest, _keys.c.status, _keys.c.body)
_ALL = (
    STATES.add_columns(*_CANDIDATE, *_ANSWER)
    .outerjoin(
        WANTED,
        (WANTED.c.model_id == _deployment.c.model_id)
        & (WANTED.c.number == bindparam("version", type_=Integer))
        & WANTED.c.deleted_at.is_(None),
    )
    .outerjoin(_manifest, _manifest.c.digest == WANTED.c.manifest_digest)
    .outerjoin(JUDGED, true())
    .outerjoin(_keys, (_keys.c.actor == bindparam("by")) & (_keys.c.key == bindparam("name")))
    .order_by(None)
)
_PRESENT = _ALL.where(_deployment.c.id == bindparam("deployment_id"))
PRESENT_BY_NAME = _ALL.where(
    _model.c.name == bindparam("model"),
    _model.c.deleted_at.is_(None),
    _deployment.c.environment == bindparam("environment"),
)
_STATE_END = len(STATES.selected_columns)
_CANDIDATE_END = _STATE_END + len(_CANDIDATE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a change must know of the version that it wants.

    Attributes:
        manifest: the canonical JSON of its files.
        barred: a guard took it down in this deployment.
        verdict: of the newest decision on it against the present champion, or None.
        decision_id: of that decision.
        blob_states: of its files, by digest; a digest that is not a key is not known at all.
        archived: it was; `model_archived`: its model was.
        allows_unsafe: an admin lets this model serve formats that run code when they are loaded.
        reign: the revision that brought the present champion; 0 where there is none.
        words: what approvers say of these bytes, on this decision, in this reign.
    """

    number: int
    manifest_digest: str
    flavour: str
    manifest: str
    barred: bool
    verdict: str | None
    decision_id: int | None
    blob_states: Mapping[str, str] | None
    archived: bool
    model_archived: bool
    allows_unsafe: bool
    created_by: str
    trained_by: str | None
    reign: int
    words: tuple[Word, ...]

    @property
    def authors(self) -> frozenset[str]:
        """Who made it."""
        return frozenset({self.created_by, self.trained_by or self.created_by})

    def fault_of(self, digest: str) -> str | None:
        """Return why a file may not serve: its blob's state, or `missing`; None when verified."""
        state = (self.blob_states or {}).get(digest, "missing")
        return None if state == "verified" else state


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to a key before: to which request, with what."""

    digest: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Present:
    """A deployment, the version that is wanted (if there is one), the answer given before."""

    state: DeploymentState
    candidate: Candidate | None
    answered: Answered | None


def read_present(
    session: ReadSession,
    deployment_id: int,
    version: int | None = None,
    key: tuple[str, str] | None = None,
) -> Present:
    """Return what a deployment is, with a version of its model, and the answer to (actor, key)."""
    by, name = key or (None, None)
    row = session.execute(
        _PRESENT, {"deployment_id": deployment_id, "version": version, "by": by, "name": name}
    ).one()
    return present_of(row)


def present_of(row: Sequence[Any]) -> Present:
    """Return what a row of these statements says."""
    asked, answer = row[_STATE_END:_CANDIDATE_END], row[_CANDIDATE_END:]
    return Present(
        state_of(row[:_STATE_END]),
        None if asked[0] is None else _candidate(asked),
        None if answer[0] is None else Answered(*answer),
    )


def _candidate(columns: Sequence[Any]) -> Candidate:
    values = list(columns)
    values[-1] = tuple(Word(*word) for word in values[-1] or ())
    return Candidate(*values)
