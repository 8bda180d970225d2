"""Where the migrations are, and the newest schema among them; free of SQLAlchemy and Alembic."""

from __future__ import annotations

from pathlib import Path


def migrations_folder() -> Path:
    """Return the folder of `env.py`: inside the wheel, else at the top of the checkout."""
    here = Path(__file__).resolve()
    packaged = here.parent.parent / "migrations"
    return packaged if packaged.is_dir() else here.parents[3] / "alembic"


def newest_schema() -> str:
    """Return the newest migration's revision: its file's number (`0001_…` is `0001`)."""
    return max(path.name[:4] for path in (migrations_folder() / "versions").glob("[0-9]*.py"))
