"""What a role may do: one table, read by every door.

What always holds: an action that a role does not name is refused; a role may be narrowed to some
models, and widened for single models by grants; what belongs to the whole installation
(`INSTALLATION`) is for roles over every model only; nobody may change the audit log, so there is
no action for it. docs/reference/access.md shows the whole table, and a test holds it to this one.

| role | for | may |
|---|---|---|
| viewer | auditors, dashboards | read |
| ci | pipelines | read, store bytes, register, log, train, ask for a promotion by the rules |
| operator | on-call engineers | read, promote, roll back, freeze, train, work on incidents |
| approver | second persons | read, approve |
| controller | the service itself | what policies need |
| admin | owners of the platform | everything |
"""

from __future__ import annotations

from typing import Literal, get_args

Action = Literal[
    "read",  # models, versions, deployments, runs, decisions, incidents: what anyone may look at
    "data.read",  # the logged rows themselves
    "model.write",  # create, describe, archive a model
    "version.register",
    "version.write",  # tags, notes, card, archive, attest
    "version.delete",
    "blob.write",
    "promote",  # by the rules: an accepted decision, the approvals that are asked for
    "promote.force",  # without a decision, or breaking the glass
    "rollback",
    "deployment.write",  # freeze, unfreeze, fall back, lift a bar
    "deployment.protect",  # how many approvals a promote needs
    "approve",
    "log.write",  # predictions, labels, business metrics
    "log.erase",  # take rows out of the log for good: retention, erasures
    "snapshot.write",
    "policy.write",
    "policy.fire",  # call its webhook triggers, fire it by hand
    "run.write",  # request, cancel, retry; evaluate, reproduce
    "incident.write",  # and alerts
    "acknowledge",  # say which revision is served
    "environment.write",
    "audit.read",
    "metrics.read",
    "cleanup",
    "webhook.write",
    "access.write",  # tokens, grants, OIDC issuers
    "clock.write",
    "budget.write",  # what all policies together may spend
]
Role = Literal["admin", "controller", "viewer", "ci", "operator", "approver"]
ROLES: tuple[Role, ...] = get_args(Role)
ACTIONS: frozenset[Action] = frozenset(get_args(Action))
INSTALLATION: frozenset[Action] = frozenset(
    {
        "environment.write",
        "audit.read",
        "metrics.read",
        "cleanup",
        "access.write",
        "clock.write",
        "budget.write",
    }
)
_VIEW: frozenset[Action] = frozenset({"read", "audit.read", "metrics.read"})
ALLOWED: dict[Role, frozenset[Action]] = {
    "viewer": _VIEW,
    "ci": _VIEW
    | {
        "data.read",
        "version.register",
        "version.write",
        "blob.write",
        "promote",
        "log.write",
        "snapshot.write",
        "policy.fire",
        "run.write",
        "acknowledge",
    },
    "operator": _VIEW
    | {
        "data.read",
        "promote",
        "promote.force",
        "rollback",
        "deployment.write",
        "policy.fire",
        "run.write",
        "incident.write",
        "log.write",
        "acknowledge",
    },
    "approver": _VIEW | {"approve"},
    "controller": ACTIONS
    - {"access.write", "approve", "promote.force", "deployment.protect", "version.delete"}
    - {"log.erase", "budget.write"},
    "admin": ACTIONS,
}
