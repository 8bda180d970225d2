"""Where the migrations are, and the newest schema among them; free of SQLAlchemy and Alembic."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r'^revision = "(\w+)"', re.MULTILINE)
_FOLLOWS = re.compile(r'^down_revision = "(\w+)"', re.MULTILINE)


def migrations_folder() -> Path:
    """Return the folder of `env.py`: inside the wheel, else at the top of the checkout."""
    here = Path(__file__).resolve()
    packaged = here.parent.parent / "migrations"
    return packaged if packaged.is_dir() else here.parents[3] / "alembic"


def newest_schema() -> str:
    """Return the revision of the migration that none follows.

    Numbers name migrations, and say nothing of their order: of two that were written at the same
    time, the one with the lower number may follow the other.
    """
    texts = [path.read_text() for path in (migrations_folder() / "versions").glob("[0-9]*.py")]
    followed = {found[1] for text in texts if (found := _FOLLOWS.search(text))}
    return max(
        found[1] for text in texts if (found := _NAME.search(text)) and found[1] not in followed
    )
