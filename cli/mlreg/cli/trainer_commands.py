"""The file of trainer commands: read once, when a worker starts, if nobody else can write it.

It says which programs runs may start, so it is as private as the programs themselves; see
`mlreg.controller.domain.commands` for its form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.cli.private_file import read_private_yaml
from mlreg.cli.settings import PREFIX
from mlreg.controller.domain.commands import FORM, Commands

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"{PREFIX}TRAINER_COMMANDS"


def read_commands(path: Path | None) -> Commands:
    """Return the commands of a file; without a file there are none.

    Raises:
        SettingsError: others can read or write the file, or it declares no commands; says which
            key is wrong.
    """
    if path is None:
        return Commands()
    found = read_private_yaml(path, NAME, FORM)
    return Commands(found)
