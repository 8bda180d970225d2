"""Approvals: stand behind the promote of a version, or against it; ask others to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.approvals import (
    ApprovalAnswer,
    ApprovalRequest,
    ApprovalsAnswer,
    GivenAnswer,
    OpinionRequest,
    WaitingAnswer,
    WithdrawRequest,
)
from mlreg.client.wire.decisions import DecisionAnswer

if TYPE_CHECKING:
    from mlreg.client.transport import Transport
    from mlreg.client.wire.approvals import Verdict

PRODUCTION = "production"


class Approvals:
    """Second persons for promotes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def give(
        self,
        model: str,
        version: int,
        verdict: Verdict = "approved",
        *,
        environment: str = PRODUCTION,
        reason: str = "",
        decision: int | None = None,
    ) -> GivenAnswer:
        """Approve a version for a deployment, or reject it.

        The word is about the version's bytes, the newest decision on it and the present champion,
        and ends with any of them. With `decision` it must be that decision.

        Raises:
            RefusedError: `own_version`, `decision_outdated`, `already_so`, `version_barred`.
            NotAllowedError: the caller may not approve.
            NotFoundError: model, version or environment is not there.
        """
        body = OpinionRequest(version=version, verdict=verdict, decision=decision, reason=reason)
        return self._transport.post(_path(model, environment) + "/approvals", body, GivenAnswer)

    def judge(self, decision: int, verdict: Verdict, *, reason: str = "") -> GivenAnswer:
        """Approve or reject what a decision is about, on that very decision.

        Raises:
            As `give`; NotFoundError: there is no such decision.
        """
        found = self._transport.get(path("decisions", decision), DecisionAnswer)
        return self.give(
            found.model,
            found.challenger,
            verdict,
            environment=found.environment,
            reason=reason,
            decision=decision,
        )

    def withdraw(
        self, model: str, number: int, *, environment: str = PRODUCTION, reason: str = ""
    ) -> ApprovalAnswer:
        """Take a word back.

        Raises:
            RefusedError: `not_your_approval`, `already_so`.
        """
        place = f"{_path(model, environment)}/approvals/{number}/withdraw"
        return self._transport.post(place, WithdrawRequest(reason=reason), ApprovalAnswer)

    def request(
        self, model: str, version: int, *, environment: str = PRODUCTION, reason: str = ""
    ) -> WaitingAnswer:
        """Have a promote wait for its approvals; the last one does it.

        Raises:
            RefusedError: it could not be promoted with any approval, or needs none.
        """
        place = _path(model, environment) + "/approval-requests"
        body = ApprovalRequest(version=version, reason=reason)
        return self._transport.post(place, body, WaitingAnswer)

    def list(
        self,
        model: str,
        *,
        environment: str = PRODUCTION,
        before: str | None = None,
        limit: int = 100,
    ) -> ApprovalsAnswer:
        """Return a page of words, newest first, with what a promote needs and what waits.

        Raises:
            NotFoundError: model, environment or deployment is not there.
        """
        place = _path(model, environment) + "/approvals"
        return self._transport.get(place, ApprovalsAnswer, before=before, limit=limit)


def _path(model: str, environment: str) -> str:
    return path("models", model, "deployments", environment)
