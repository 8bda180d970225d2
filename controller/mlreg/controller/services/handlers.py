"""Which function does which kind of job: the one place where they are plugged together.

What always holds: a kind that is not in this table is left queued, for a newer worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlreg.controller.services.attempt import Handler

HANDLERS: Mapping[str, Handler] = {}
