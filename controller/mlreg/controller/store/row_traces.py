"""Queries of what names single rows outside the log: outcomes of jobs, evidence of readings.

| | names rows in |
|---|---|
| job `explain` | `worst`: id, time, score, label, and the features that were asked for |
| job `parity`, reading `parity` | `examples`: prediction ids |
| job `check`, reading `invariant:…` | `examples` of each invariant: prediction ids |

What always holds: what is said of all rows (slices, shares, counts) stays. Readings are found by
their monitor, so who writes prediction ids into the evidence of another adds it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import TextClause

    from mlreg.registry.store.database import WriteSession

_NAMES_ROWS = "(monitor = 'parity' OR starts_with(monitor, 'invariant:'))"

_WORST = """
    UPDATE job SET outcome = jsonb_set(outcome, '{{worst}}', (
        SELECT coalesce(jsonb_agg(one ORDER BY place) FILTER (WHERE {kept}), '[]')
        FROM jsonb_array_elements(outcome -> 'worst') WITH ORDINALITY AS worst (one, place)))
    WHERE kind = 'explain' AND state = 'succeeded' AND {of_model} AND {wanted}
    AND jsonb_typeof(outcome -> 'worst') = 'array' AND EXISTS (
        SELECT 1 FROM jsonb_array_elements(outcome -> 'worst') AS one WHERE NOT ({kept}))
"""
_OF_MODEL = "CAST(payload ->> 'model_id' AS bigint) = :model_id"
_REPLAYS = """
    UPDATE job SET outcome = jsonb_set(outcome, '{{examples}}', {left})
    WHERE kind = 'parity' AND state = 'succeeded' AND {of_model} AND {wanted}
"""
_CHECKS = """
    UPDATE job SET outcome = jsonb_set(outcome, '{{invariants}}', (
        SELECT jsonb_agg(
            CASE WHEN one ? 'examples' THEN jsonb_set(one, '{{examples}}', {left}) ELSE one END
            ORDER BY place)
        FROM jsonb_array_elements(outcome -> 'invariants') WITH ORDINALITY AS found (one, place)))
    WHERE kind = 'check' AND state = 'succeeded' AND {of_model} AND {wanted}
    AND jsonb_typeof(outcome -> 'invariants') = 'array' AND EXISTS (
        SELECT 1 FROM jsonb_array_elements(outcome -> 'invariants') AS one WHERE {named})
"""
_READINGS = """
    UPDATE reading SET evidence = jsonb_set(evidence, '{{examples}}', {left})
    WHERE model_id = :model_id AND {monitors} AND {wanted}
"""
_HAS = "{of} -> 'examples' ?| CAST(:ids AS text[])"
_HAS_ANY = "jsonb_array_length({of} -> 'examples') > 0"
_WITHOUT = "({of} -> 'examples') - CAST(:ids AS text[])"


def _of_rows() -> list[str]:
    """Return the statements that forget some prediction ids."""
    kept = "NOT (one ->> 'prediction_id' = ANY(:ids))"
    return [
        _WORST.format(of_model=_OF_MODEL, wanted="true", kept=kept),
        _REPLAYS.format(
            of_model=_OF_MODEL,
            left=_WITHOUT.format(of="outcome"),
            wanted=_HAS.format(of="outcome"),
        ),
        _CHECKS.format(
            of_model=_OF_MODEL,
            left=_WITHOUT.format(of="one"),
            named=_HAS.format(of="one"),
            wanted="true",
        ),
        _READINGS.format(
            monitors=_NAMES_ROWS,
            left=_WITHOUT.format(of="evidence"),
            wanted=_HAS.format(of="evidence"),
        ),
    ]


def _of_time() -> list[str]:
    """Return the statements that forget every row of windows that ended before a moment."""
    ended = "CAST(payload ->> 'end' AS timestamptz) < :before"
    frozen = """(SELECT snapshot."end" FROM snapshot
        WHERE snapshot.digest = payload ->> 'snapshot') < :before"""
    return [
        _WORST.format(of_model=_OF_MODEL, wanted=ended, kept="false"),
        _REPLAYS.format(
            of_model=_OF_MODEL,
            left="'[]'",
            wanted=f"{ended} AND {_HAS_ANY.format(of='outcome')}",
        ),
        _CHECKS.format(
            of_model=_OF_MODEL, left="'[]'", named=_HAS_ANY.format(of="one"), wanted=frozen
        ),
        _READINGS.format(
            monitors=_NAMES_ROWS,
            left="'[]'",
            wanted=f'"end" < :before AND {_HAS_ANY.format(of="evidence")}',
        ),
    ]


_FORGET_ROWS = [text(one) for one in _of_rows()]
_FORGET_BEFORE = [text(one) for one in _of_time()]


def forget_rows(session: WriteSession, model_id: int, ids: Collection[str]) -> int:
    """Forget predictions of a model, by their ids; return in how many places they were named."""
    given = {"model_id": model_id, "ids": sorted(ids)}
    return _sum(session, _FORGET_ROWS, given) if ids else 0


def forget_before(session: WriteSession, model_id: int, before: datetime) -> int:
    """Forget the rows of a model's windows that ended before a moment; return of how many."""
    return _sum(session, _FORGET_BEFORE, {"model_id": model_id, "before": before})


def _sum(session: WriteSession, statements: list[TextClause], given: Mapping[str, object]) -> int:
    forgotten = 0
    for statement in statements:
        done = session.execute(statement, given)
        forgotten += cast("int", done.rowcount)  # type: ignore[attr-defined]
    return forgotten
