"""What scoring refuses, as one tree.

```
ScoringError                      code, hint, and a message made from named fields
├── ModelFileError                a model file breaks a rule of its format
│   └── ParserRefusedError        the parser's child failed, was killed or timed out
├── ColumnError                   a column breaks the feature contract; `column` names it
│   ├── MissingColumnError
│   ├── ColumnTypeError
│   └── UnseenCategoryError
└── NoChampionError               nothing was ever promoted here, or nothing could be fetched yet
```
"""

from __future__ import annotations


class ScoringError(Exception):
    """The root of the tree.

    Attributes:
        code: stable, snake case, the same for ever; programs branch on it.
        hint: what the reader can do about it, one sentence, or empty.
    """

    code = "scoring_error"
    hint = ""


class ModelFileError(ScoringError):
    """A model file breaks a rule of its format; `where` names the section and field."""

    code = "invalid_model_file"
    hint = "Save the model again with an unchanged LightGBM (Booster.save_model)."

    def __init__(self, *, where: str, cause: str) -> None:
        self.where = where
        super().__init__(f"not a safe LightGBM text model: {where}: {cause}")


class ParserRefusedError(ModelFileError):
    """The child that parses a model file failed, was killed or took too long."""

    code = "model_file_refused"


class ColumnError(ScoringError):
    """A column breaks the feature contract."""

    code = "invalid_column"

    def __init__(self, *, column: str, cause: str) -> None:
        self.column = column
        super().__init__(f"column {column!r} {cause}")


class MissingColumnError(ColumnError):
    """The contract has a feature that the rows have not."""

    code = "missing_column"
    hint = "Give every feature of the contract, with null where the value is not known."

    def __init__(self, *, column: str) -> None:
        super().__init__(column=column, cause="is missing")


class ColumnTypeError(ColumnError):
    """The values of a column are not of the contract's dtype."""

    code = "wrong_column_type"

    def __init__(self, *, column: str, dtype: str, found: str) -> None:
        super().__init__(column=column, cause=f"must be {dtype}, but holds {found}")


class UnseenCategoryError(ColumnError):
    """A category that was not there at the first training, where the contract says `error`."""

    code = "unseen_category"
    hint = "Set `unseen: missing` for this feature, or train with a new contract."

    def __init__(self, *, column: str, value: str, rows: int) -> None:
        cause = f"holds a category that the contract does not know: {value[:80]!r} ({rows} rows)"
        super().__init__(column=column, cause=cause)


class NoChampionError(ScoringError):
    """There is no champion to score with."""

    code = "no_champion"
    hint = "Promote a version (`mlreg promote MODEL VERSION`), or wait for the registry to answer."

    def __init__(self, *, model: str, environment: str, cause: str) -> None:
        super().__init__(f"{model} has no champion in {environment} to score with: {cause}")
