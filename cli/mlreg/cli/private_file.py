"""A YAML file with secrets in it: read once, at the start of a role, if nobody else can read it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, TypeVar

import yaml
from pydantic import ValidationError

from mlreg.cli.settings import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import TypeAdapter

T = TypeVar("T")
SHOWN_PROBLEMS = 5


def read_private_yaml(path: Path, name: str, form: TypeAdapter[T]) -> T:
    """Return what a file declares; an empty one declares an empty mapping.

    Args:
        path: the file.
        name: of the setting, for errors.
        form: what it has to be.

    Raises:
        SettingsError: others can read the file, or it is not of that form; says which key is
            wrong, and never its value.
    """
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SettingsError(f"{name}: {path} has secrets and others may read it: chmod 600")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return form.validate_python(document or {})
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found]
        raise SettingsError(f"{name}: {'; '.join(wrong[:SHOWN_PROBLEMS])}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise SettingsError(f"{name}: {path} is not YAML{where}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: {path} cannot be read: {type(error).__name__}") from None
