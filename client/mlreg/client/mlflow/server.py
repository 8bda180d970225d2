"""Reading an MLflow server over its REST API (2.x and 3.x): a registered model, its files.

What always holds: only GET requests are sent, and only to the server that was named (a redirect is
refused, for it would carry the credentials along); answers are bounded in size and number, waiting
is bounded in time (an answer that drips is broken off), and a file is streamed to disk, never
beyond the size that was listed. An answer that makes no sense is refused, whatever it is.
"""

from __future__ import annotations

import base64
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from mlreg.client.connection import broken_off, open_connection, parse_origin
from mlreg.client.errors import (
    IntegrityError,
    InvalidError,
    MlregError,
    NotAllowedError,
    NotFoundError,
    UnreachableError,
)
from mlreg.client.mlflow.records import (
    MlflowFile,
    MlflowRun,
    MlflowVersion,
    aliases_of,
    entries_of,
    logged_model_of,
    run_of,
    version_of,
)
from mlreg.client.versions import checked_path
from mlreg.client.wire.versions import MAX_FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

API = "/api/2.0/mlflow"
PAGE = 200
MAX_PAGES = 1_000
MAX_ANSWER_BYTES = 16 * 2**20
MAX_UNLISTED_BYTES = 2**30
CHUNK_BYTES = 2**20
MAX_FOLDERS = 1_000
TIMEOUT_SECONDS = 60.0
MIN_BYTES_PER_SECOND = 1_024
_SENSELESS = (KeyError, ValueError, TypeError, AttributeError, OverflowError, OSError)
_LOGGED = "models:/"
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class MlflowCredentials:
    """How MLflow's server lets us in: a user and password, a bearer token, or neither."""

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    @property
    def header(self) -> str | None:
        """The value of `Authorization`, or None."""
        if self.token:
            return f"Bearer {self.token}"
        if self.username:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return f"Basic {pair}"
        return None


class MlflowServer:
    """One MLflow server, to be read."""

    def __init__(self, url: str, credentials: MlflowCredentials | None = None) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise InvalidError(
                f"{url!r} is not the URL of an MLflow server",
                code="invalid_url",
                hint="Write http://host:port, as in MLFLOW_TRACKING_URI.",
            )
        self.url = url.rstrip("/")
        self._origin = parse_origin(self.url)
        self._authorization = (credentials or MlflowCredentials()).header

    def versions(self, model: str) -> list[MlflowVersion]:
        """Return the versions of a registered model, oldest first.

        Raises:
            NotFoundError: MLflow has no such model.
        """
        aliases = self._read(aliases_of, f"{API}/registered-models/get", name=model)
        quoted = model.replace("'", "''")
        listed: list[MlflowVersion] = []
        page = ""
        for _ in range(MAX_PAGES):
            query = {"filter": f"name='{quoted}'", "max_results": PAGE, "page_token": page}
            found, page = self._read(
                lambda answer: _page_of(answer, aliases), f"{API}/model-versions/search", **query
            )
            listed += found
            if not page:
                return sorted(listed, key=lambda version: version.number)
        raise InvalidError(f"{self.url} lists more than {MAX_PAGES} pages", code="too_big")

    def run(self, version: MlflowVersion) -> MlflowRun:
        """Return what is known of a version's run; empty when the run was deleted."""
        found = self._find(run_of, f"{API}/runs/get", run_id=version.run_id)
        logged = MlflowRun()
        if version.source.startswith(_LOGGED):
            logged = self._find(logged_model_of, f"{API}/logged-models/{_logged_id(version)}")
        return MlflowRun(
            run_id=version.run_id or logged.run_id,
            params={**logged.params, **found.params},
            metrics={**logged.metrics, **found.metrics},
            tags={**logged.tags, **found.tags},
            inputs=found.inputs,
        )

    def files(self, version: MlflowVersion) -> list[MlflowFile]:
        """Return every file of a version's model folder, sorted by path.

        Raises:
            InvalidError: its files are at a place that MLflow's server cannot list.
        """
        files: dict[str, MlflowFile] = {}
        folders = [""]
        for folder in folders:
            for file, is_folder in self._entries(version, folder):
                checked_path(file.path)
                if not is_folder:
                    files[file.path] = file
                elif file.path not in folders:
                    folders.append(file.path)
                if len(folders) > MAX_FOLDERS or len(files) > MAX_FILES:
                    raise InvalidError(
                        f"version {version.number} has too many files or folders", code="too_big"
                    )
        return sorted(files.values(), key=lambda file: file.path)

    def fetch(
        self,
        version: MlflowVersion,
        file: MlflowFile,
        out: BinaryIO,
        on_bytes: Callable[[int], None],
    ) -> None:
        """Write one file of a version.

        Raises:
            IntegrityError: another number of bytes came than MLflow lists.
        """
        came, most = 0, MAX_UNLISTED_BYTES if file.size is None else file.size
        for piece in self._pieces(_place_of(version, file)):
            came += len(piece)
            if came > most:
                break
            out.write(piece)
            on_bytes(len(piece))
        if came > most and file.size is None:
            raise InvalidError(f"{file.path!r} has no listed size, and is large", code="too_big")
        if file.size is not None and came != file.size:
            raise IntegrityError(
                f"{file.path!r} of version {version.number} came with {came} bytes or more, "
                f"MLflow lists {file.size}",
                code="wrong_size",
            )

    def _entries(self, version: MlflowVersion, folder: str) -> list[tuple[MlflowFile, bool]]:
        """Return MLflow's entries of one folder, their paths relative to the model's."""
        if version.source.startswith(_LOGGED):
            place = f"{API}/logged-models/{_logged_id(version)}/artifacts/directories"
            return self._read(entries_of, place, artifact_directory_path=folder)
        root = _path_in_run(version)
        where = f"{root}/{folder}" if folder else root
        place = f"{API}/artifacts/list"
        return self._read(
            lambda answer: entries_of(answer, root), place, run_id=version.run_id, path=where
        )

    def _find(self, read: Callable[[Any], MlflowRun], place: str, **query: str) -> MlflowRun:
        if not all(query.values()):
            return MlflowRun()
        try:
            return self._read(read, place, **query)
        except NotFoundError:
            return MlflowRun()

    def _read(self, read: Callable[[Any], A], place: str, **query: object) -> A:
        """Return what an answer says, in values of our own."""
        answer = self._json(place, **query)
        try:
            return read(answer)
        except _SENSELESS as error:
            raise InvalidError(
                f"{self.url} answers as no MLflow server does: {type(error).__name__}",
                code="not_mlflow",
            ) from error

    def _json(self, place: str, **query: object) -> dict[str, Any]:
        given = {name: value for name, value in query.items() if value != ""}
        body = bytearray()
        for piece in self._pieces(f"{place}?{urlencode(given)}" if given else place):
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise InvalidError(f"{self.url} answered more than 16 MiB", code="answer_too_large")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidError(
                f"{self.url} is not an MLflow server: its answer is no JSON", code="not_mlflow"
            ) from error
        return answer if isinstance(answer, dict) else {}

    def _pieces(self, place: str) -> Iterator[bytes]:
        headers = {"Accept": "*/*", "Connection": "close"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        connection = open_connection(self._origin, TIMEOUT_SECONDS)
        try:
            with broken_off(connection, TIMEOUT_SECONDS) as late:
                connection.request("GET", self._origin.prefix + place, headers=headers)
                answer = connection.getresponse()
            if late.is_set():
                raise TimeoutError
            if answer.status != http.client.OK:
                raise _refusal(answer, self.url)
            yield from _steadily(answer)
        except (OSError, http.client.HTTPException) as error:
            cause = str(error) or type(error).__name__
            raise UnreachableError(
                f"{self.url} gave no answer: {cause}", code="mlflow_unreachable"
            ) from error
        finally:
            connection.close()


def _steadily(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the pieces of an answer; one that drips or ends too early is an error."""
    began, came, length = time.monotonic(), 0, answer.length
    while length is None or came < length:
        piece = answer.read1(CHUNK_BYTES if length is None else min(CHUNK_BYTES, length - came))
        if not piece:
            break
        yield piece
        came += len(piece)
        spent = time.monotonic() - began
        if spent > TIMEOUT_SECONDS and came < spent * MIN_BYTES_PER_SECOND:
            message = f"{came} bytes in {spent:.0f} seconds"
            raise TimeoutError(message)
    if length is not None and came < length:
        raise http.client.IncompleteRead(b"", length - came)


def _page_of(
    answer: Mapping[str, Any], aliases: Mapping[str, int]
) -> tuple[list[MlflowVersion], str]:
    found = [version_of(one, aliases) for one in answer.get("model_versions", ())]
    return found, str(answer.get("next_page_token") or "")


def _refusal(answer: http.client.HTTPResponse, url: str) -> MlregError:
    """Return MLflow's refusal as an error of ours, in MLflow's own words, on one plain line."""
    try:
        said = str(json.loads(b"".join(_steadily(answer))[:CHUNK_BYTES])["message"])
        message = "".join(letter for letter in said.splitlines()[0][:500] if letter.isprintable())
    except (*_SENSELESS, IndexError, RecursionError, http.client.HTTPException):
        message = f"HTTP {answer.status}"
    kind: type[MlregError] = {401: NotAllowedError, 403: NotAllowedError, 404: NotFoundError}.get(
        answer.status, UnreachableError
    )
    hint = "Set MLFLOW_TRACKING_USERNAME and _PASSWORD, or MLFLOW_TRACKING_TOKEN."
    return kind(
        f"MLflow at {url} says: {message}",
        code="mlflow_refused",
        hint=hint if kind is NotAllowedError else "",
    )


def _place_of(version: MlflowVersion, file: MlflowFile) -> str:
    """Return where MLflow's server hands a file out, wherever it keeps it."""
    if version.source.startswith(_LOGGED):
        query = {"name": version.model, "version": version.number, "path": file.path}
        return f"/model-versions/get-artifact?{urlencode(query)}"
    query = {"run_uuid": version.run_id, "path": f"{_path_in_run(version)}/{file.path}"}
    return f"/get-artifact?{urlencode(query)}"


def _logged_id(version: MlflowVersion) -> str:
    return quote(version.source.removeprefix(_LOGGED), safe="")


def _path_in_run(version: MlflowVersion) -> str:
    """Return where in its run's artifacts a version of MLflow 2 has its folder.

    Raises:
        InvalidError: its source names no place in its run.
    """
    source = version.source
    if source.startswith(f"runs:/{version.run_id}/"):
        return source.removeprefix(f"runs:/{version.run_id}/").strip("/")
    _, mark, path = source.partition(f"/{version.run_id}/artifacts/")
    if not (version.run_id and mark):
        raise InvalidError(
            f"version {version.number} has its files at {source!r}, which MLflow does not list",
            code="unlisted_source",
            hint="Register that folder by hand: `mlreg version register`.",
        )
    return path.strip("/")
