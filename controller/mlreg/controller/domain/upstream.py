"""What a model may follow: another one's champion, versions or snapshots.

`weather@champion`, `weather@champion:staging`, `weather@version` (or `weather`), `weather@snapshot`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

FORM = re.compile(
    r"(?P<model>[a-z0-9][a-z0-9._-]{0,62})"
    r"(?:@(?P<what>champion|version|snapshot)(?::(?P<environment>[a-z0-9][a-z0-9._-]{0,62}))?)?"
)
_NAME = "[a-z0-9][a-z0-9._-]{0,62}"
EDITED = f"^{_NAME}(@(version|snapshot|champion(:{_NAME})?))?$"
"""The same for editors, whose patterns know no named groups."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Something of another model whose newest one is followed."""

    model: str
    what: Literal["champion", "version", "snapshot"]
    environment: str = "production"

    @override
    def __str__(self) -> str:
        """Return the one spelling of it."""
        where = f":{self.environment}" if self.what == "champion" else ""
        return f"{self.model}@{self.what}{where}"


def parse_upstream(text: str) -> Upstream:
    """Return what a text names.

    Raises:
        ValueError: it is none of the forms above.
    """
    found = FORM.fullmatch(text)
    if found is None or (found["environment"] and found["what"] != "champion"):
        forms = "weather@champion, weather@champion:staging, weather@version, weather@snapshot"
        message = f"{text!r} has none of the forms {forms}"
        raise ValueError(message)
    what: Literal["champion", "version", "snapshot"] = "version"
    if found["what"] in {"champion", "snapshot"}:
        what = "champion" if found["what"] == "champion" else "snapshot"
    return Upstream(found["model"], what, found["environment"] or "production")
