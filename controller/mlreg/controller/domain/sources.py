"""Sources: users' own data, read where it is, and frozen by the digests of its files.

What always holds: a frozen source names each file with its size and sha256, and says which columns
stand for what, so that it is read later without asking anything but the files; a text that names a
source never has a secret in it: what needs one is a connection, by its name.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from mlreg.registry.domain.digests import checked_digest
from mlreg.registry.domain.errors import InvalidError
from mlreg.registry.domain.names import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

SourceKind = Literal["parquet", "delta", "sql"]
FEEDBACK = "feedback"
MAX_TEXT = 20_000
FORMS = "feedback, /folder/*.parquet, s3://bucket/*.parquet, delta:URL, or sql:CONNECTION: SELECT …"
_VERSION = re.compile(r"(?P<place>.+)@(?P<version>[0-9]{1,15})")
_GLOB = re.compile(r"[*?\[]")
_TOKENS = re.compile(r"\*\*/?|\*|\?|\[!?\]?[^]/]*\]|.", re.DOTALL)


class InvalidSourceError(InvalidError):
    """A text that names no source, or one that is frozen in an unknown form."""

    code = "invalid_source"

    def __init__(self, *, problem: str) -> None:
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class SourceName:
    """What a text names.

    Attributes:
        url: of files or a table: `file:///…` or `s3://…`; empty for a query.
        version: of a Delta table; None is the newest.
        connection: the one that a query goes to; None where the URL says which one covers it.
    """

    kind: SourceKind
    url: str = ""
    query: str = ""
    connection: str | None = None
    version: int | None = None

    @property
    def spelt(self) -> str:
        """The text that names it."""
        if self.kind == "sql":
            return f"sql:{self.connection}: {self.query}"
        at = "" if self.version is None else f"@{self.version}"
        return f"delta:{self.url}{at}" if self.kind == "delta" else self.url


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """A feature of the model, its dtype there, and the column of the source that it is."""

    name: str
    dtype: str
    column: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a source stand for what.

    Attributes:
        timezone: the zone of times that have none; None: such times are an error.
        features: in the order of the model's schema.
    """

    time: str = "time"
    label: str = "label"
    entity: str | None = None
    weight: str | None = None
    prediction_id: str | None = None
    timezone: str | None = None
    features: tuple[FeatureColumn, ...] = ()

    @property
    def by_target(self) -> dict[str, str]:
        """The column of the source by the name that the rows have here."""
        named = {
            "prediction_id": self.prediction_id,
            "time": self.time,
            "label": self.label,
            "weight": self.weight,
            "entity": self.entity,
        }
        own = {target: column for target, column in named.items() if column is not None}
        return {**own, **{one.name: one.column for one in self.features}}


@dataclass(frozen=True, slots=True)
class FrozenFile:
    """One Parquet file as it was when it was frozen.

    Attributes:
        path: its URL; of a query's result a name, for its bytes are a blob of our own store.
        rows: of the whole file, of which a snapshot may select some.
        partitions: columns that its folder's name or its table says, as text; None is null.
    """

    path: str
    size: int
    digest: str
    rows: int
    partitions: tuple[tuple[str, str | None], ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the JSON form; without `partitions` where there are none."""
        form = asdict(self)
        if not form.pop("partitions"):
            return form
        return {**form, "partitions": dict(self.partitions)}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> FrozenFile:
        """Read the JSON form."""
        partitions = tuple(sorted(form.get("partitions", {}).items()))
        digest = checked_digest(str(form["digest"]))
        return cls(str(form["path"]), int(form["size"]), digest, int(form["rows"]), partitions)


@dataclass(frozen=True, slots=True)
class FrozenSource:
    """A source at one moment: its files by digest, and its columns.

    Attributes:
        name: the text that names it.
        connection: by which it was reached.
        version: of a Delta table.
        files: by path, each once; those without a row in the range may be left out.
    """

    kind: SourceKind
    name: str
    connection: str
    columns: Columns
    files: tuple[FrozenFile, ...]
    version: int | None = None

    @property
    def place(self) -> str:
        """What it is called in a lineage, whatever is asked of it: the URL, or the connection."""
        return f"sql:{self.connection}" if self.kind == "sql" else self.name.partition("@")[0]

    @property
    def rows(self) -> int:
        """The rows of all its files: at least those that a snapshot selects."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digests of the files that are kept in our own store."""
        return tuple(file.digest for file in self.files) if self.kind == "sql" else ()

    def to_json(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "kind": self.kind,
            "name": self.name,
            "connection": self.connection,
            "version": self.version,
            "columns": {
                **asdict(self.columns),
                "features": [asdict(one) for one in self.columns.features],
            },
            "files": [file.to_json() for file in self.files],
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> FrozenSource:
        """Read the JSON form.

        Raises:
            InvalidSourceError: it is no such form.
        """
        try:
            kind = form["kind"]
            if kind not in {"parquet", "delta", "sql"}:
                raise InvalidSourceError(problem=f"unknown kind of source {kind!r}")
            columns = dict(form["columns"])
            features = tuple(FeatureColumn(**one) for one in columns.pop("features"))
            return cls(
                kind=kind,
                name=str(form["name"]),
                connection=str(form["connection"]),
                columns=Columns(**columns, features=features),
                files=tuple(FrozenFile.from_json(one) for one in form["files"]),
                version=form.get("version"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidSourceError(problem=f"not a frozen source: {error}") from error


def parse_source(text: str) -> SourceName | None:
    """Return what a text names, None for the feedback log.

    Raises:
        InvalidSourceError: it names nothing that is read.
    """
    text = text.strip()
    if text == FEEDBACK:
        return None
    if len(text) > MAX_TEXT or any(
        ord(letter) < ord(" ") and letter not in "\n\t" for letter in text
    ):
        raise InvalidSourceError(problem="a source is named in plain text of bounded length")
    kind, _, rest = text.partition(":")
    if kind == "sql":
        return _parse_query(rest)
    if kind != "delta":
        url = parse_place(text)
        pattern_of(url)
        return SourceName("parquet", url)
    found = _VERSION.fullmatch(rest)
    place, version = (found["place"], int(found["version"])) if found else (rest, None)
    if _GLOB.search(place):
        raise InvalidSourceError(problem="a Delta table is one folder: `delta:s3://bucket/table`")
    return SourceName("delta", parse_place(place).rstrip("/"), version=version)


def parse_place(text: str) -> str:
    """Return the URL of a place of files: `file:///folder/…` or `s3://bucket/…`, taken literally.

    Raises:
        InvalidSourceError: it is neither, or goes up and down in folders.
    """
    url = f"file://{text}" if text.startswith("/") else text
    scheme, _, path = url.partition("://")
    parts = path.split("/")
    if scheme not in {"file", "s3"} or (scheme == "file") == bool(parts[0]) or not path.strip("/"):
        raise InvalidSourceError(problem=f"{text[:200]!r} is no source; it must be {FORMS}")
    if any(part in {".", ".."} for part in parts) or "//" in path or "\\" in path:
        raise InvalidSourceError(problem=f"{text[:200]!r} is no plain path")
    return url


def is_under(url: str, root: str) -> bool:
    """Say whether a place lies in another one, or is it."""
    root = root.rstrip("/")
    return url == root or url.startswith(f"{root}/")


def fixed_part(url: str) -> str:
    """Return the folder below which everything lies that a pattern can match."""
    found = _GLOB.search(url)
    if found is None:
        return url.rstrip("/")
    return url[: found.start()].rpartition("/")[0]


def pattern_of(url: str) -> re.Pattern[str]:
    """Return what the URLs of the files look like that a URL means.

    `*` and `?` stand for anything in a name, `**` for any folders; a URL without them that does not
    end with `.parquet` is a folder, and means every Parquet file below it.

    Raises:
        InvalidSourceError: it is no pattern, as `[b-a]`.
    """
    if _GLOB.search(url) is None and not url.endswith(".parquet"):
        url = f"{url.rstrip('/')}/**/*.parquet"
    text = "".join(_translated(token) for token in _TOKENS.findall(url))
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise InvalidSourceError(problem=f"{url[:200]!r} is no pattern: {error}") from error


def _translated(token: str) -> str:
    fixed = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if len(token) > 1:
        negated = token.startswith("[!")
        inside = re.sub(r"([\\\[\]^&~|]|(?<=-)-)", r"\\\1", token[2 if negated else 1 : -1])
        return f"[{'^/' if negated else ''}{inside}]" if inside else re.escape(token)
    return re.escape(token)


def _parse_query(rest: str) -> SourceName:
    connection, colon, query = rest.partition(":")
    connection = connection.strip()
    if not colon or NAME.fullmatch(connection) is None or not query.strip():
        raise InvalidSourceError(problem="a query is named as `sql:CONNECTION: SELECT …`")
    if query.startswith("//"):
        raise InvalidSourceError(problem="a connection is named, and its URL is never written here")
    return SourceName("sql", query=query.strip().rstrip(";").rstrip(), connection=connection)
