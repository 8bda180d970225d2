"""`mlreg card`: the model card of a version, and the notes that people write into it.

`mlreg card flights/12` shows it; `mlreg card note` and `mlreg card notes` write and list notes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from typer.core import TyperGroup
from typing_extensions import override

from mlreg.cli.output import OUTPUT, say, show
from mlreg.cli.references import find_version
from mlreg.cli.session import open_client
from mlreg.cli.tables import Table
from mlreg.client.errors import InvalidError
from mlreg.client.new_files import new_file
from mlreg.client.wire.cards import SectionName

if TYPE_CHECKING:
    from mlreg.client.wire.cards import CardForm

SHOW = "show"
MAX_LETTERS = 20_000
Form = Literal["md", "html", "json"]


class CardGroup(TyperGroup):
    """Takes what is none of its commands as the version whose card is to be shown."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, [SHOW, *args] if args and not named else args)


app = typer.Typer(cls=CardGroup, add_completion=False)
Model = Annotated[str, typer.Argument(metavar="MODEL[/VERSION]", show_default=False)]


@app.command(SHOW)
def show_card(
    reference: Annotated[
        str, typer.Argument(metavar="MODEL/VERSION", help="flights/12 or flights@champion")
    ],
    form: Annotated[Form, typer.Option("--format", help="What to write.")] = "md",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, instead of this terminal.")
    ] = None,
) -> None:
    """Show the model card of a version: use, data, metrics, slices, gates, limits, ethics."""
    kinds: dict[str, CardForm] = {"md": "markdown", "html": "html"}
    with open_client() as client:
        version = find_version(client, reference)
        if form == "json" or (OUTPUT.json and output is None):
            card = client.cards.get(version.model, version.number)
            text = card.model_dump_json(indent=2) + "\n"
        else:
            text = client.cards.document(version.model, version.number, kinds[form])
    if output is None:
        sys.stdout.write(text)
        return
    with new_file(output) as file:
        file.write(text.encode())
    written = {"model": version.model, "number": version.number, "file": str(output)}
    show(written, text=f"wrote {output}")


@app.command("note")
def note(
    about: Model,
    section: Annotated[SectionName, typer.Argument(show_default=False)],
    text: Annotated[str | None, typer.Argument(show_default=False)] = None,
    file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="The text, from a file or standard input.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the present note back.")] = False,
) -> None:
    """Write a section of the card of a model, or of one version of it; all notes are kept."""
    if sum((text is not None, file is not None, remove)) != 1:
        raise InvalidError("give TEXT, --file or --remove", code="invalid_option")
    said = "" if remove else text if text is not None else _read(cast("str", file))
    if not remove and not said.strip():
        problem, hint = "the note has no text", "--remove takes the present note back."
        raise InvalidError(problem, code="invalid_note", hint=hint)
    model, version = _about(about)
    with open_client() as client:
        written = client.cards.write(model, section, said, version=version)
    done = "took back" if remove else "wrote"
    show(written, text=f"{done} {section} of the card of {about}")


@app.command("notes")
def notes(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False)],
    section: Annotated[SectionName | None, typer.Option(help="Of this section only.")] = None,
) -> None:
    """List every note that was ever written into the cards of a model, newest first."""
    with open_client() as client:
        found = client.cards.notes(model, section)
    if OUTPUT.json or not found:
        show(found, table=Table((), (), empty=f"nobody wrote into the cards of {model}"))
        return
    for one in found:
        about = model if one.version is None else f"{model}/{one.version}"
        say(f"{one.at:%Y-%m-%d %H:%M}  {one.by}  {about}  {one.section}")
        say("".join(f"    {line}\n" for line in (one.text or "(taken back)").splitlines()))


def _about(reference: str) -> tuple[str, int | None]:
    model, slash, number = reference.partition("/")
    if not slash:
        return model, None
    if not (number.isascii() and number.isdigit()):
        raise InvalidError(
            f"{reference!r} names neither a model nor a version",
            code="invalid_reference",
            hint="Write MODEL or MODEL/NUMBER.",
        )
    return model, int(number)


def _read(place: str) -> str:
    if place == "-":
        return sys.stdin.read(MAX_LETTERS + 1)
    with Path(place).open(encoding="utf-8", errors="replace") as file:
        return file.read(MAX_LETTERS + 1)
