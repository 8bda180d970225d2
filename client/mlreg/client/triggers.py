"""Triggers, as the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlreg.client.transport import path
from mlreg.client.wire.triggers import CallAnswer, CallRequest, WhyAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlreg.client.transport import Transport

BY_HAND = "manual"


class Triggers:
    """Ask why a policy did or did not retrain; call its webhook triggers; fire it by hand.

    ```python
    client.triggers.call("flights", "new-prices", {"batch": "2013-07-01"})
    print(client.triggers.why("flights").triggers)
    ```
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def why(
        self, model: str, environment: str = "production", *, at: datetime | None = None
    ) -> WhyAnswer:
        """Return what was found at the newest look (by a moment) at each trigger.

        Raises:
            NotFoundError: there is no policy, or nothing was judged yet.
        """
        place = path("models", model, "policies", environment, "why")
        return self._transport.get(place, WhyAnswer, at=None if at is None else at.isoformat())

    def call(
        self,
        model: str,
        trigger: str,
        payload: Mapping[str, Any] | None = None,
        environment: str = "production",
    ) -> CallAnswer:
        """Call a webhook trigger; the payload (at most 16 KiB of JSON) is kept as evidence.

        Raises:
            NotFoundError: the policy in force declares no such webhook.
            RefusedError: the policy is disabled, or too many calls wait already.
        """
        request = CallRequest(payload=dict(payload or {}))
        return self._call(model, environment, trigger, request)

    def fire(self, model: str, reason: str, environment: str = "production") -> CallAnswer:
        """Fire a policy by hand: no cooldown, no freeze, no quiet hours and no budget stop it.

        Raises:
            InvalidError: there is no reason.
            RefusedError: the policy is disabled.
        """
        return self._call(model, environment, BY_HAND, CallRequest(reason=reason))

    def _call(self, model: str, environment: str, trigger: str, request: CallRequest) -> CallAnswer:
        place = path("models", model, "policies", environment, "triggers", trigger)
        return self._transport.post(place, request, CallAnswer)
