"""Arguments and options that are the same in every command, with the words that say what they are.

Times are typed as people type them, and read by `forms.moment`.
"""

from __future__ import annotations

from typing import Annotated

import typer

TIME = "TIME"
"""How help shows an option that takes a time."""
Model = Annotated[str, typer.Argument(help="The model.")]
Environment = Annotated[str, typer.Option("--env", help="The environment.")]
Before = Annotated[str | None, typer.Option(help="The cursor of the page before.")]
Limit = Annotated[int, typer.Option(help="At most so many.", min=1, max=500)]
