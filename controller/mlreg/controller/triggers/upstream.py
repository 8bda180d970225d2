"""The trigger of what a model is made from: `{upstream: weather@champion}`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, WithJsonSchema
from typing_extensions import override

from mlreg.controller.domain.triggers import Finding, Need, Trigger, View
from mlreg.controller.domain.upstream import EDITED, Upstream, parse_upstream
from mlreg.controller.triggers.told import told

FOLLOWED = "upstream:"


def _checked_upstream(text: str) -> str:
    parse_upstream(text)
    return text


class UpstreamTrigger(Trigger):
    """Holds when something new came of another model: a champion, a version, a snapshot.

    Each counts once, however late it is looked at; what was there when the policy was applied is
    not new. It stays held for a week under `all`.
    """

    kind: ClassVar[str] = "upstream"
    momentary: ClassVar[bool] = True

    upstream: Annotated[
        str,
        AfterValidator(_checked_upstream),
        WithJsonSchema({"type": "string", "pattern": EDITED}),
    ]

    @property
    def followed(self) -> Upstream:
        """What is followed."""
        return parse_upstream(self.upstream)

    @override
    def need(self, view: View) -> Need:
        """Return the events of what is followed."""
        return Need(events=f"{FOLLOWED}{self.followed}")

    @override
    def judge(self, view: View) -> Finding:
        """Say whether there is anything new."""
        if not view.events:
            because = f"nothing new of {self.followed}"
            return Finding.not_held(because, missing=f"a new {self.followed.what}")
        return told(view.events, {"upstream": str(self.followed)})
