"""Questions in one round trip to PostgreSQL, with the BEGIN if they are a transaction's first.

What always holds: they are run one after the other in the session's transaction, each with a
snapshot of its own, as if they were sent one by one; what fails is raised as SQLAlchemy would. The
driver is asked past SQLAlchemy, which knows of no pipelines and would wait for each answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql import psycopg

from mlreg.registry.store.database import driver_of, raising_as_sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ClauseElement

    from mlreg.registry.store.database import WriteSession

_DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's


def ask_together(
    session: WriteSession, *questions: tuple[ClauseElement, Mapping[str, object]]
) -> list[tuple[Any, ...] | None]:
    """Return the first row that each of these statements answers, or None."""
    session.run_what_is_left()
    connection = session.connection()
    driver = driver_of(connection)
    with raising_as_sqlalchemy(connection), driver.pipeline():
        asked = []
        for statement, values in questions:
            written, constants = _written(statement)
            asked.append(driver.execute(written, {**constants, **values}))
    return [cursor.fetchone() for cursor in asked]


@lru_cache(maxsize=32)
def _written(statement: ClauseElement) -> tuple[bytes, Mapping[str, object]]:
    """Return a statement as the driver takes it, with the values that stand in it."""
    compiled = statement.compile(dialect=_DIALECT)
    return str(compiled).encode(), compiled.params
