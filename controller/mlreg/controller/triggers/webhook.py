"""The trigger of a call from outside: `{webhook: new-prices}`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator
from typing_extensions import override

from mlreg.controller.domain.evaluating import CALLED
from mlreg.controller.domain.triggers import BY_HAND, Finding, Need, Trigger, View
from mlreg.controller.triggers.told import told
from mlreg.registry.domain.names import Name


def _not_by_hand(name: str) -> str:
    if name == BY_HAND:
        message = f"{BY_HAND!r} is what a person's own firing is called; give it another name"
        raise ValueError(message)
    return name


class WebhookTrigger(Trigger):
    """Holds when it was called: `POST /api/v1/models/{model}/policies/{environment}/triggers/NAME`.

    Each call counts once; its payload is kept as evidence.
    """

    kind: ClassVar[str] = "webhook"
    momentary: ClassVar[bool] = True

    webhook: Annotated[Name, AfterValidator(_not_by_hand)]

    @override
    def need(self, view: View) -> Need:
        """Return the calls of this name."""
        return Need(events=CALLED + self.webhook)

    @override
    def judge(self, view: View) -> Finding:
        """Say whether it was called."""
        if not view.events:
            because = f"{self.webhook} was not called"
            return Finding.not_held(because, missing="a call")
        return told(view.events, {"webhook": self.webhook})
