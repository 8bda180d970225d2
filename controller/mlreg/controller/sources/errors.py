"""What a source refuses.

```
InvalidError
├── InvalidSourceRowsError    a column or a value of a file breaks a rule; names file, column, row
├── UnreadableFileError       a file is no whole Parquet file
├── NoFilesError              nothing matches
└── QueryFailedError          PostgreSQL refuses a query: its syntax, its names, that it writes
NotFoundError
├── TableNotFoundError        no Delta table, or no such version of it
RefusedError
├── SourceTooLargeError
├── DuplicateFilesError       the same bytes twice, under two names
├── QueryTimeoutError
├── DeltaNotInstalledError
├── DeltaUnsupportedError     the table needs a reader that mlreg is not
└── FileLeadsOutError         a link leads out of what its connection covers
IntegrityError
└── SourceFileError
    ├── SourceFileChangedError  other bytes than were frozen
    └── SourceFileLostError     gone
UnavailableError
├── SourceUnreachableError
└── SourceInMotionError       a file changed while it was being frozen
```
"""

from __future__ import annotations

from mlreg.registry.domain.errors import (
    IntegrityError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)


class InvalidSourceRowsError(InvalidError):
    """A column or a value breaks a rule; `column` is the source's own name for it."""

    code = "invalid_source_rows"
    hint = "Correct the source or the columns that the policy names, and freeze it again."

    def __init__(self, *, file: str, column: str, problem: str, row: int | None = None) -> None:
        where = f"column {column!r}" + ("" if row is None else f", row {row}")
        super().__init__(f"{file}: {where}: {problem}")
        self.file = file
        self.column = column
        self.row = row


class UnreadableFileError(InvalidError):
    """A file is no whole Parquet file."""

    code = "unreadable_file"

    def __init__(self, *, file: str, cause: str) -> None:
        super().__init__(f"{file} is not readable as Parquet: {cause}")
        self.file = file


class NoFilesError(InvalidError):
    """A source without any file is a mistake in its name, and not an empty window."""

    code = "no_files"
    hint = "A folder means every *.parquet below it; names that begin with _ or . do not count."

    def __init__(self, *, source: str) -> None:
        super().__init__(f"no file matches {source[:300]}")


class QueryFailedError(InvalidError):
    """PostgreSQL refuses the query; the message is its own."""

    code = "query_failed"
    hint = "The query must be one SELECT, and its role needs to read what it names."

    def __init__(self, *, connection: str, cause: str) -> None:
        super().__init__(f"connection {connection}: {cause}")


class TableNotFoundError(NotFoundError):
    """No Delta table, or no such version of it (any more)."""

    code = "table_not_found"

    def __init__(self, *, table: str, cause: str) -> None:
        super().__init__(f"no Delta table {table}: {cause}")


class SourceTooLargeError(RefusedError):
    """More than is read in one go."""

    code = "source_too_large"
    hint = "Take a shorter window, or name fewer files."

    def __init__(self, *, source: str, amount: int, of: str, most: int) -> None:
        super().__init__(f"{source[:300]} has more than {most:,} {of} ({amount:,})")


class DuplicateFilesError(RefusedError):
    """Two names of the same bytes would count every row twice."""

    code = "duplicate_files"

    def __init__(self, *, one: str, other: str) -> None:
        super().__init__(f"{one} and {other} are the same file twice")


class QueryTimeoutError(RefusedError):
    """The query took longer than its connection allows."""

    code = "query_timeout"
    hint = "Make the query quicker, or raise statement_timeout_seconds of the connection."

    def __init__(self, *, connection: str, seconds: float) -> None:
        super().__init__(f"connection {connection}: the query took longer than {seconds:g} s")


class DeltaNotInstalledError(RefusedError):
    """Delta tables need a package that is not there."""

    code = "delta_not_installed"
    hint = "Install mlreg[delta] where the workers run."

    def __init__(self) -> None:
        super().__init__("Delta tables are read with the package deltalake, which is not installed")


class DeltaUnsupportedError(RefusedError):
    """The table asks its readers for something that mlreg does not do."""

    code = "delta_unsupported"
    hint = "`REORG TABLE … APPLY (PURGE)` and a table without these features can be read."

    def __init__(self, *, table: str, features: str) -> None:
        super().__init__(f"Delta table {table} needs readers that know {features}")


class FileLeadsOutError(RefusedError):
    """A link leads out of the folder that its connection covers."""

    code = "file_leads_out"

    def __init__(self, *, file: str, root: str) -> None:
        super().__init__(f"{file} leads out of {root}")


class SourceFileError(IntegrityError):
    """A file of a frozen source cannot be had as it was; `expected` is its digest then."""

    code = "source_file"
    hint = "Put the file back as it was, or freeze the source again."

    def __init__(self, message: str, *, file: str, expected: str) -> None:
        super().__init__(message)
        self.file = file
        self.expected = expected


class SourceFileChangedError(SourceFileError):
    """A file has other bytes than were frozen."""

    code = "source_file_changed"

    def __init__(self, *, file: str, expected: str, found: str) -> None:
        message = f"{file} was changed: {expected} was frozen, {found} is there now"
        super().__init__(message, file=file, expected=expected)
        self.found = found


class SourceFileLostError(SourceFileError):
    """A file is not there any more."""

    code = "source_file_lost"

    def __init__(self, *, file: str, expected: str) -> None:
        super().__init__(f"{file} is gone; {expected} was frozen", file=file, expected=expected)


class SourceUnreachableError(UnavailableError):
    """The bucket or the database gave no answer, or refuses the connection."""

    code = "source_unreachable"

    def __init__(self, *, where: str, cause: str) -> None:
        super().__init__(f"{where} cannot be read: {cause}")


class SourceInMotionError(UnavailableError):
    """A file changed while it was being frozen; another attempt may go well."""

    code = "source_in_motion"

    def __init__(self, *, file: str) -> None:
        super().__init__(f"{file} was being written while it was frozen")


def first_line(error: Exception) -> str:
    """Return what an error of a library says, in one line of bounded length."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
