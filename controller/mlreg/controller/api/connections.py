"""The connections of this server, as a route is given them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from mlreg.controller.domain.connections import Connections
from mlreg.registry.api.context import Parts

EXTRA = "connections"


async def _declared(parts: Parts) -> Connections:
    found = parts.extras.get(EXTRA)
    return found if isinstance(found, Connections) else Connections()


Declared = Annotated[Connections, Depends(_declared)]
