"""A model card as a document: blocks first, and of the blocks Markdown or one whole HTML page.

What always holds: whatever people wrote is inert. In HTML every text is escaped and there is no
script, style, link or image; in Markdown every letter with a meaning is escaped, so that no
renderer makes a heading, link, image or tag of it; letters that do not print (controls, overrides
of the writing direction) are left out of both.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlreg.registry.domain.cards import TITLES, Card, CardEvaluation, Note

if TYPE_CHECKING:
    from datetime import datetime

_MEANING = re.compile(r"([\\`*_\[\]<>#!|~&@$]|(?<=\])\(|(?<=:)/(?=/)|(?<=\b[wW]{3})\.|^[-+=])")
_NUMBERED = re.compile(r"^(\d{1,9})([.)])(?= |$)")
_NUMBER = "{:.6g}"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Points:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Words:
    """What a person wrote, and who it was."""

    text: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A titled part of the document; `level` 2 is a section, 3 a part of one."""

    title: str
    blocks: Sequence[Facts | Rows | Points | Words]
    level: int = 2


def parts_of(card: Card) -> list[Part]:
    """Return the document of a card; a part with nothing in it is left out."""
    notes = {note.section: note for note in card.notes}
    parts = [
        Part("The model", [*_words(card.description), Facts(list(card.facts.items()))]),
        *(_note(notes, section) for section in ("intended_use", "out_of_scope")),
        Part("Data", [*_noted(notes, "data"), *_data(card)]),
        Part("Features", _features(card)),
        Part("Training", _training(card)),
        Part("Metrics as registered", _metrics(card.metrics)),
        *(_evaluation(one) for one in card.evaluations),
        Part("Attestations", _attestations(card)),
        Part("Limits", [*_noted(notes, "limits"), *([Points(card.limits)] if card.limits else ())]),
        *(_note(notes, section) for section in ("ethics", "contact")),
    ]
    return [part for part in parts if part.blocks]


def title_of(card: Card) -> str:
    """Return the title of the document."""
    return f"{card.model}/{card.number}"


def markdown_of(card: Card) -> str:
    """Return the card in Markdown (CommonMark, with tables)."""
    lines = [f"# {_inert(title_of(card))}"]
    for part in parts_of(card):
        lines += ["", f"{'#' * part.level} {_inert(part.title)}"]
        for block in part.blocks:
            lines += ["", *_markdown(block)]
    return "\n".join(lines) + "\n"


def html_of(card: Card) -> str:
    """Return the card as one HTML page that needs nothing else."""
    body = "".join(_html_part(part) for part in parts_of(card))
    title = _safe(title_of(card))
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
        f"<title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )


def printable(text: str) -> str:
    """Return a text without the letters that do not print; line ends stay."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")


def _note(notes: Mapping[str, Note], section: str) -> Part:
    return Part(TITLES[section], _noted(notes, section))


def _noted(notes: Mapping[str, Note], section: str) -> list[Words]:
    note = notes.get(section)
    return [] if note is None else [Words(note.text, f"{note.by}, {_minute(note.at)}")]


def _words(text: str) -> list[Words]:
    return [Words(text)] if text else []


def _data(card: Card) -> Iterator[Facts | Rows]:
    if card.train_start and card.train_end:
        yield Facts([("Rows of", f"{_minute(card.train_start)} to {_minute(card.train_end)}")])
    if card.data:
        rows = [
            (
                part.name,
                part.kind,
                "" if part.rows is None else str(part.rows),
                f"{_minute(part.start)} to {_minute(part.end)}" if part.start and part.end else "",
                part.digest,
            )
            for part in card.data
        ]
        yield Rows(("Name", "Kind", "Rows", "Times", "Digest"), rows)


def _features(card: Card) -> list[Rows]:
    rows = [
        (
            one.name,
            one.dtype,
            "" if one.categories is None else str(one.categories),
            "yes" if one.at_risk else "",
        )
        for one in card.features
    ]
    return [Rows(("Feature", "Type", "Categories", "Can fail"), rows)] if rows else []


def _training(card: Card) -> list[Facts]:
    pairs = [(str(name), _value(value)) for name, value in card.hyperparameters.items()]
    pairs += [(f"Seed {name!r}", _value(value)) for name, value in card.seeds.items()]
    return [Facts(pairs)] if pairs else []


def _metrics(metrics: Mapping[str, float]) -> list[Facts]:
    return [Facts([(name, _value(value)) for name, value in metrics.items()])] if metrics else []


def _evaluation(one: CardEvaluation) -> Part:
    against = "no champion" if one.champion is None else f"version {one.champion}"
    facts = [
        ("Verdict", one.verdict),
        ("Because", one.reason),
        ("Against", f"{against} in {one.environment}"),
        ("At", _minute(one.at)),
        ("Rows", "" if one.rows is None else str(one.rows)),
        ("Times", f"{one.first} to {one.last}" if one.first and one.last else ""),
        *((name, _value(value)) for name, value in one.metrics.items()),
    ]
    blocks: list[Facts | Rows] = [Facts([fact for fact in facts if fact[1]])]
    if one.gates:
        rows = [(gate.gate, gate.outcome, gate.reason) for gate in one.gates]
        blocks.append(Rows(("Gate", "Outcome", "Because"), rows))
    if one.slices:
        slices = [
            (
                f"{cut.column} = {cut.value}",
                str(cut.rows),
                cut.metric,
                _value(cut.challenger),
                _value(cut.champion),
            )
            for cut in one.slices
        ]
        blocks.append(Rows(("Worst slices", "Rows", "Metric", "This", "Champion"), slices))
    return Part(f"Decision {one.decision}", blocks)


def _attestations(card: Card) -> list[Rows]:
    rows = [(one.kind, one.outcome, one.by, _minute(one.at)) for one in card.attestations]
    return [Rows(("What", "Outcome", "By", "At"), rows)] if rows else []


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _value(value: object) -> str:
    if value is None:
        return ""
    return _NUMBER.format(value) if isinstance(value, float) else str(value)


def _markdown(block: Facts | Rows | Points | Words) -> Iterator[str]:
    if isinstance(block, Facts):
        yield from _markdown(Rows(("", ""), block.pairs))
    elif isinstance(block, Rows):
        yield _row(block.headers)
        yield _row(["---"] * len(block.headers), inert=False)
        yield from (_row(row) for row in block.rows)
    elif isinstance(block, Points):
        yield from (f"- {_inert(item)}" for item in block.items)
    else:
        yield from (_inert(line) for line in block.text.splitlines())
        if block.by:
            yield ""
            yield f"*{_inert(block.by)}*"


def _row(cells: Sequence[str], *, inert: bool = True) -> str:
    return "| " + " | ".join(_inert(cell) if inert else cell for cell in cells) + " |"


def _inert(text: str) -> str:
    """Return one line of Markdown that says exactly this text."""
    line = _MEANING.sub(r"\\\1", " ".join(printable(text).split()))
    return _NUMBERED.sub(r"\1\\\2", line)


def _safe(text: str) -> str:
    return html.escape(printable(text), quote=True)


def _html_part(part: Part) -> str:
    title = f"<h{part.level}>{_safe(part.title)}</h{part.level}>\n"
    return title + "".join(_html(block) for block in part.blocks)


def _html(block: Facts | Rows | Points | Words) -> str:
    if isinstance(block, Facts):
        pairs = "".join(f"<dt>{_safe(k)}</dt><dd>{_safe(v)}</dd>\n" for k, v in block.pairs)
        return f"<dl>\n{pairs}</dl>\n"
    if isinstance(block, Rows):
        rows = "".join(_html_row(row, "td") for row in block.rows)
        return f"<table>\n{_html_row(block.headers, 'th')}{rows}</table>\n"
    if isinstance(block, Points):
        return "<ul>\n" + "".join(f"<li>{_safe(item)}</li>\n" for item in block.items) + "</ul>\n"
    by = f"<p><em>{_safe(block.by)}</em></p>\n" if block.by else ""
    return f"<p>{_safe(block.text).replace(chr(10), '<br>')}</p>\n{by}"


def _html_row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{_safe(cell)}</{tag}>" for cell in cells) + "</tr>\n"
