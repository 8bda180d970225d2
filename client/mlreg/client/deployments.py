"""Deployments: change what serves, and read what did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.errors import NotFoundError
from mlreg.client.paging import walk_pages
from mlreg.client.transport import Call, Transport, parsed, path
from mlreg.client.wire.approvals import ProtectRequest
from mlreg.client.wire.base import Page
from mlreg.client.wire.deployments import (
    AcknowledgeRequest,
    ChangeAnswer,
    ChangeRequest,
    DeploymentAnswer,
    FallbackRequest,
    LiftBarAnswer,
    LiftBarRequest,
    PromoteRequest,
    RevisionAnswer,
    RollbackRequest,
    StatusAnswer,
)
from mlreg.client.wire.reigns import ReignAnswer
from mlreg.client.witness import keep_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

PRODUCTION = "production"
ANY = "*"
PAGE = 200


class Deployments:
    """Every change takes `expect`, the ETag that was read; `*` takes whatever the state is.

    ```python
    state = client.deployments.get("flights")
    client.deployments.promote("flights", 12, expect=state.etag, reason="better on every slice")
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, model: str, environment: str = PRODUCTION) -> DeploymentAnswer:
        """Return what serves a model now.

        Raises:
            NotFoundError: no such model or environment, or nothing was ever deployed.
        """
        return self._transport.get(_path(model, environment), DeploymentAnswer)

    def find(self, model: str, environment: str = PRODUCTION) -> DeploymentAnswer | None:
        """Return what serves a model now, or None when nothing was ever deployed there.

        Raises:
            NotFoundError: there is no such model or environment.
        """
        try:
            return self.get(model, environment)
        except NotFoundError as error:
            if error.code == "deployment_not_found":
                return None
            raise

    def promote(  # noqa: PLR0913 - the options of the command
        self,
        model: str,
        version: int,
        *,
        environment: str = PRODUCTION,
        reason: str = "",
        expect: str = ANY,
        force: bool = False,
        break_glass: bool = False,
        dry_run: bool = False,
    ) -> ChangeAnswer:
        """Make a version the champion.

        `force` goes without an accepted decision, `break_glass` without the approvals that the
        deployment asks for; both need a reason and are marked for ever.

        Raises:
            RefusedError: a rule says no; its `code` says which (`approval_required`, …).
        """
        body = PromoteRequest(
            reason=reason,
            version=version,
            force=force,
            break_glass=break_glass,
            dry_run=dry_run,
        )
        return self._change(model, environment, "promote", body, expect)

    def rollback(
        self,
        model: str,
        *,
        to: int | None = None,
        environment: str = PRODUCTION,
        reason: str = "",
        expect: str = ANY,
        dry_run: bool = False,
    ) -> ChangeAnswer:
        """Return to the last champion that was not itself rolled back, or to a former one."""
        body = RollbackRequest(reason=reason, to=to, dry_run=dry_run)
        return self._change(model, environment, "rollback", body, expect)

    def freeze(
        self, model: str, *, environment: str = PRODUCTION, reason: str = "", expect: str = ANY
    ) -> ChangeAnswer:
        """Stop automation."""
        return self._change(model, environment, "freeze", ChangeRequest(reason=reason), expect)

    def unfreeze(
        self, model: str, *, environment: str = PRODUCTION, reason: str = "", expect: str = ANY
    ) -> ChangeAnswer:
        """Let automation go on."""
        return self._change(model, environment, "unfreeze", ChangeRequest(reason=reason), expect)

    def protect(
        self,
        model: str,
        approvals: int,
        *,
        environment: str = PRODUCTION,
        reason: str = "",
        expect: str = ANY,
    ) -> ChangeAnswer:
        """Ask for so many approvals before every promote; 0 asks for none."""
        body = ProtectRequest(reason=reason, approvals=approvals)
        return self._change(model, environment, "protect", body, expect)

    def fall_back(
        self,
        model: str,
        fallback: str | None,
        *,
        environment: str = PRODUCTION,
        reason: str = "",
        expect: str = ANY,
    ) -> ChangeAnswer:
        """Have clients serve their fallback of this name; None ends it."""
        body = FallbackRequest(reason=reason, fallback=fallback)
        return self._change(model, environment, "fallback", body, expect)

    def lift_bar(
        self, model: str, version: int, *, environment: str = PRODUCTION, reason: str = ""
    ) -> LiftBarAnswer:
        """Let a version that a guard took down be promoted again."""
        body = LiftBarRequest(version=version, reason=reason)
        target = _path(model, environment) + "/unbar"
        return self._transport.post(target, body, LiftBarAnswer)

    def status(self, model: str | None = None) -> list[StatusAnswer]:
        """Return what is live, everywhere or of one model."""
        return self._transport.get(path("deployments"), Page[StatusAnswer], model=model).items

    def history(self, model: str, environment: str = PRODUCTION) -> Iterator[RevisionAnswer]:
        """Iterate over what was live, newest first."""
        return walk_pages(lambda before: self.revisions(model, environment, before=before))

    def revisions(
        self,
        model: str,
        environment: str = PRODUCTION,
        *,
        before: str | None = None,
        limit: int = PAGE,
    ) -> Page[RevisionAnswer]:
        """Return a page of what was live, newest first; `before` is `next` of the page before."""
        place = _path(model, environment) + "/revisions"
        return self._transport.get(place, Page[RevisionAnswer], before=before, limit=limit)

    def at(self, model: str, time: str, *, environment: str = PRODUCTION) -> ReignAnswer:
        """Return what served at a moment, since and until when, by whose hand, on what evidence.

        Args:
            model: its name.
            time: ISO 8601; without a zone it is UTC, and the answer says so.
            environment: where it served.

        Raises:
            InvalidError: it is no time, or in the future.
            NotFoundError: no such model or environment, or nothing had served there yet.
        """
        return self._transport.get(_path(model, environment) + "/at", ReignAnswer, time=time)

    def acknowledge(
        self, model: str, *, client: str, revision: int, environment: str = PRODUCTION
    ) -> DeploymentAnswer:
        """Say which revision this client serves; return what it should serve."""
        body = AcknowledgeRequest(client=client, revision=revision)
        target = _path(model, environment) + "/acknowledgements"
        return self._transport.post(target, body, DeploymentAnswer)

    def _change(
        self, model: str, environment: str, verb: str, body: ChangeRequest, expect: str
    ) -> ChangeAnswer:
        target = f"{_path(model, environment)}/{verb}"
        content = body.model_dump_json(exclude_unset=True).encode()
        call = Call("POST", target, content=content, headers={"If-Match": expect})
        reply = self._transport.send(call)
        keep_checkpoint(self._transport.url, reply.headers)
        return parsed(reply, ChangeAnswer)


def _path(model: str, environment: str) -> str:
    return path("models", model, "deployments", environment)
