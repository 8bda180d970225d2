"""The feature contract of a training: every column in order, with every category pinned.

It comes from what a person says (forms, names, a document), from what the model declares, and,
where these leave something open, from a table of the data: dtypes and categories. Categories are
pinned in the order of the table's own codes (pandas, Arrow), else sorted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlreg.client.errors import InvalidError
from mlreg.client.training.tables import arrow_of, is_table
from mlreg.client.wire.models import FeatureForm
from mlreg.client.wire.validation import first_problem

MAX_CATEGORIES = 100_000


def contract_of(
    given: object, declared: Sequence[Mapping[str, object]] | None, tables: Sequence[object]
) -> list[FeatureForm] | None:
    """Return the contract, or None when nothing says which features there are.

    Args:
        given: forms, mappings or names in order; a JSON or YAML file of them; a table whose every
            column is a feature; or None for those that the model declares.
        declared: the features of the model.
        tables: where open dtypes and categories are looked up, the first that has the column.

    Raises:
        InvalidError: something given is no feature, or a dtype or category stays open.
    """
    if given is None and declared is None:
        return None
    known = {str(feature["name"]): dict(feature) for feature in declared or ()}
    columns = _Columns([*([given] if is_table(given) else []), *tables])
    return [columns.closed(_form(one, known)) for one in _listed(given, known)]


def _listed(given: object, known: Mapping[str, object]) -> Sequence[object]:
    if given is None:
        return list(known)
    if is_table(given):
        return list(arrow_of(given).column_names)
    if isinstance(given, str | os.PathLike):
        return _document(Path(given))
    if isinstance(given, Sequence) and given:
        return given
    raise InvalidError(
        "features must be a list of names or forms, a file of them, or a table",
        code="invalid_features",
    )


def _form(one: object, known: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return what is said of a feature; an open dtype is left out."""
    if isinstance(one, FeatureForm):
        return one.model_dump()
    if isinstance(one, Mapping):
        return dict(one)
    if isinstance(one, str):
        return dict(known.get(one, {"name": one}))
    raise InvalidError(f"{one!r} is no feature", code="invalid_features")


def _document(path: Path) -> Sequence[object]:
    text = path.read_text("utf-8")
    content: object = json.loads(text) if path.suffix == ".json" else _yaml(text)
    features = content.get("features") if isinstance(content, Mapping) else content
    if not isinstance(features, list) or not features:
        raise InvalidError(f"{path} has no list of features", code="invalid_features")
    return features


def _yaml(text: str) -> object:
    try:
        import yaml  # noqa: PLC0415 - an optional dependency
    except ModuleNotFoundError as error:
        hint = "Write JSON, or `pip install pyyaml`."
        raise InvalidError("reading YAML needs PyYAML", code="no_yaml", hint=hint) from error
    content: object = yaml.safe_load(text)
    return content


class _Columns:
    """The columns of some tables, read once."""

    def __init__(self, tables: Sequence[object]) -> None:
        self._tables = tables
        self._found: list[Any] = []

    def closed(self, form: dict[str, object]) -> FeatureForm:
        """Return a feature with its dtype and its categories."""
        name = str(form.get("name", ""))
        if "dtype" not in form:
            form["dtype"] = self._dtype(name)
        if form["dtype"] == "category" and form.get("categories") is None:
            form["categories"] = self._categories(name)
        try:
            return FeatureForm.model_validate(form)
        except ValidationError as error:
            message = f"feature {name!r}: {first_problem(error)}"
            raise InvalidError(message, code="invalid_features") from error

    def _dtype(self, name: str) -> str:
        from pyarrow import types  # noqa: PLC0415 - `_column` has found it installed

        kind = self._column(name, "its dtype").type
        if types.is_boolean(kind):
            return "bool"
        if types.is_integer(kind):
            return "int"
        if types.is_floating(kind) or types.is_decimal(kind):
            return "float"
        return "category"

    def _categories(self, name: str) -> list[str]:
        column = self._column(name, "its categories")
        values = getattr(column.combine_chunks(), "dictionary", None)
        texts = [str(one) for one in (column.unique() if values is None else values).to_pylist()
                 if one is not None]  # fmt: skip
        if not 0 < len(texts) <= MAX_CATEGORIES:
            problem = f"feature {name!r} has {len(texts)} categories in the data"
            raise InvalidError(problem, code="invalid_features")
        return sorted(texts) if values is None else texts

    def _column(self, name: str, wanted: str) -> Any:  # noqa: ANN401 - pyarrow has no types
        if self._tables and not self._found:
            self._found = [arrow_of(table) for table in self._tables]
        for table in self._found:
            if name in table.column_names:
                return table[name]
        raise InvalidError(
            f"feature {name!r}: nothing says {wanted}",
            code="open_feature",
            hint="Declare it (name, dtype, categories), or give the table as data.",
        )
