"""Policies, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.policies import (
    ApplyRequest,
    FiringAnswer,
    PolicyAnswer,
    PolicyDiffAnswer,
    PolicyVersionAnswer,
    PreviewAnswer,
    PreviewRequest,
    RevertRequest,
    SchemaAnswer,
    StarterAnswer,
)

if TYPE_CHECKING:
    from mlreg.client.transport import Transport
    from mlreg.client.wire.versions import GitForm


class Policies:
    """Apply, read, enable and disable policies.

    ```python
    client.policies.apply(Path("policy.yaml").read_text())
    client.policies.disable("flights")
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def apply(self, text: str, *, git: GitForm | None = None) -> PolicyAnswer:
        """Put a policy file in force; the same text again changes nothing.

        Args:
            text: the YAML.
            git: the commit that runs of this policy inherit (`provenance.capture_git`).

        Raises:
            InvalidError: a key or value is wrong; the message names line and key.
            NotFoundError: the model or the environment is not there.
        """
        request = ApplyRequest(text=text, git=git)
        return self._transport.post(path("policies"), request, PolicyAnswer)

    def preview(self, text: str) -> PreviewAnswer:
        """Return what applying a policy file would change and do; nothing is applied.

        Raises:
            InvalidError: a key or value is wrong; the message names line and key.
            NotFoundError: the model or the environment is not there.
        """
        return self._transport.post(
            path("policies", "preview"), PreviewRequest(text=text), PreviewAnswer
        )

    def starter(self, model: str, environment: str = "production") -> str:
        """Return a policy file to begin with, with comments.

        Raises:
            NotFoundError: the model or the environment is not there.
        """
        place = path("models", model, "policies", environment, "starter")
        return self._transport.get(place, StarterAnswer).text

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a policy file, for editors."""
        return self._transport.get(path("schemas", "policy.json"), SchemaAnswer).root

    def get(
        self, model: str, environment: str = "production", *, number: int | None = None
    ) -> PolicyAnswer:
        """Return the policy of a deployment, or an earlier version of it.

        Raises:
            NotFoundError: there is none.
        """
        place = path("models", model, "policies", environment)
        return self._transport.get(place, PolicyAnswer, number=number)

    def history(
        self,
        model: str,
        environment: str = "production",
        *,
        before: str | None = None,
        limit: int = 100,
    ) -> Page[PolicyVersionAnswer]:
        """Return a page of the versions of a policy, newest first.

        Raises:
            NotFoundError: there is no such model.
        """
        place = path("models", model, "policies", environment, "history")
        return self._transport.get(place, Page[PolicyVersionAnswer], before=before, limit=limit)

    def diff(
        self, model: str, old: int, new: int, environment: str = "production"
    ) -> PolicyDiffAnswer:
        """Return what is different between two versions of a policy.

        Raises:
            NotFoundError: one of them is not there.
        """
        place = path("models", model, "policies", environment, "diff")
        return self._transport.get(place, PolicyDiffAnswer, old=old, new=new)

    def revert(self, model: str, to: int, environment: str = "production") -> PolicyAnswer:
        """Put the text of an earlier version in force again, as a new version.

        Raises:
            NotFoundError: there is no such version.
            InvalidError: it could not be applied any more; the message names line and key.
        """
        place = path("models", model, "policies", environment, "revert")
        return self._transport.post(place, RevertRequest(to=to), PolicyAnswer)

    def enable(self, model: str, environment: str = "production") -> PolicyAnswer:
        """Let the policy act again."""
        place = path("models", model, "policies", environment, "enable")
        return self._transport.post(place, None, PolicyAnswer)

    def disable(self, model: str, environment: str = "production") -> PolicyAnswer:
        """Stop the policy; nothing is forgotten."""
        place = path("models", model, "policies", environment, "disable")
        return self._transport.post(place, None, PolicyAnswer)

    def firings(
        self,
        model: str,
        environment: str = "production",
        *,
        before: str | None = None,
        limit: int = 100,
    ) -> Page[FiringAnswer]:
        """Return a page of firings, newest first."""
        place = path("models", model, "policies", environment, "firings")
        return self._transport.get(place, Page[FiringAnswer], before=before, limit=limit)
