"""Policies, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.transport import path
from mlreg.client.wire.base import Page
from mlreg.client.wire.policies import ApplyRequest, FiringAnswer, PolicyAnswer

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

    def get(self, model: str, environment: str = "production") -> PolicyAnswer:
        """Return the policy of a deployment.

        Raises:
            NotFoundError: there is none.
        """
        return self._transport.get(path("models", model, "policies", environment), PolicyAnswer)

    def enable(self, model: str, environment: str = "production") -> PolicyAnswer:
        """Let the policy act again."""
        place = path("models", model, "policies", environment, "enable")
        return self._transport.post(place, None, PolicyAnswer)

    def disable(self, model: str, environment: str = "production") -> PolicyAnswer:
        """Stop the policy; nothing is forgotten."""
        place = path("models", model, "policies", environment, "disable")
        return self._transport.post(place, None, PolicyAnswer)

    def firings(
        self, model: str, environment: str = "production", *, limit: int = 100
    ) -> list[FiringAnswer]:
        """Return the newest firings first."""
        place = path("models", model, "policies", environment, "firings")
        return self._transport.get(place, Page[FiringAnswer], limit=limit).items
