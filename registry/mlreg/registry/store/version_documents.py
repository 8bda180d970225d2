"""Versions as JSON texts, made by PostgreSQL: what a list answers, without rows in Python.

What always holds: a document has the columns of `version` that are asked for, under their names,
with the model's name as `model`, the manifest's digest as `manifest`, and `unsafe`. A hundred
versions with sixty packages each took Python much longer to load, check and write.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import TextClause, text

from mlreg.registry.domain.flavours import UNSAFE
from mlreg.registry.store.tables import METADATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlreg.registry.store.database import ReadSession

BEYOND = 2**31  # no version has this number or a higher one
_COLUMNS = frozenset(METADATA.tables["version"].columns.keys()) - {"model_id", "manifest_digest"}
_DOCUMENT = """
LATERAL (SELECT model.name AS model, manifest_digest AS manifest,
  flavour = ANY(CAST(:unsafe AS text[])) AS unsafe, COLUMNS) AS document
"""
_ASKED = """
SELECT CAST(row_to_json(document) AS text)
FROM unnest(CAST(:model_ids AS bigint[]), CAST(:numbers AS integer[]))
  WITH ORDINALITY AS asked (model_id, number, place)
JOIN version USING (model_id, number) JOIN model ON model.id = model_id, DOCUMENT
ORDER BY place
"""
_BEFORE = """
SELECT version.number, CAST(row_to_json(document) AS text)
FROM version JOIN model ON model.id = model_id, DOCUMENT
WHERE model_id = :model_id AND version.number < :before AND version.deleted_at IS NULL
  AND (version.archived_at IS NULL OR :archived)
ORDER BY version.number DESC LIMIT :limit
"""


def list_documents(
    session: ReadSession, places: Sequence[tuple[int, int]], fields: frozenset[str]
) -> Sequence[str]:
    """Return the JSON text of each version by (model's id, number), in that order.

    Args:
        session: any.
        places: of versions that exist.
        fields: the names wanted; what is no column of `version` is passed over.
    """
    values = {
        "model_ids": [model_id for model_id, _ in places],
        "numbers": [number for _, number in places],
        "unsafe": sorted(UNSAFE),
    }
    return session.execute(_statement(_ASKED, fields), values).scalars().all()


def documents_before(
    session: ReadSession,
    model_id: int,
    before: int | None,
    limit: int,
    fields: frozenset[str],
    *,
    archived: bool = False,
) -> Sequence[tuple[int, str]]:
    """Return (number, JSON text) of what `versions_before` returns, in one round trip."""
    values = {
        "model_id": model_id,
        "before": BEYOND if before is None else before,
        "limit": limit,
        "archived": archived,
        "unsafe": sorted(UNSAFE),
    }
    found = session.execute(_statement(_BEFORE, fields), values)
    return [(number, document) for number, document in found]


@cache
def _statement(query: str, fields: frozenset[str]) -> TextClause:
    columns = ", ".join(f'version."{name}"' for name in sorted(_COLUMNS & fields))
    return text(query.replace("DOCUMENT", _DOCUMENT).replace("COLUMNS", columns))
