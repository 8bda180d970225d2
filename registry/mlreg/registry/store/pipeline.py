"""Questions in one round trip to PostgreSQL, with the BEGIN if they are a transaction's first.

What always holds: they are run one after the other in the session's transaction, each with a
snapshot of its own, as if they were sent one by one; what fails is raised as SQLAlchemy would. The
driver is asked past SQLAlchemy, which knows of no pipelines and would wait for each answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlreg.registry.store.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ClauseElement

    from mlreg.registry.store.database import WriteSession


def ask_together(
    session: WriteSession, *questions: tuple[ClauseElement, Mapping[str, object]]
) -> list[tuple[Any, ...] | None]:
    """Return the first row that each of these statements answers, or None."""
    session.run_what_is_left()
    answers = exchange(session.connection(), questions)
    return [rows[0] if rows else None for rows in answers]
