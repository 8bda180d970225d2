"""Reading an MLflow server over its REST API (2.x and 3.x): a registered model, its files.

What always holds: only GET requests are sent, and only to the server that was named (a redirect is
refused, for it would carry the credentials along); answers are bounded in size, waiting is bounded
in time, and a file is streamed to disk.
"""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from typing_extensions import override

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
    logged_model_of,
    run_of,
    version_of,
)
from mlreg.client.versions import checked_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

API = "/api/2.0/mlflow"
PAGE = 1_000
MAX_ANSWER_BYTES = 64 * 2**20
CHUNK_BYTES = 2**20
MAX_FOLDERS = 1_000
TIMEOUT_SECONDS = 60.0
_LOGGED = "models:/"


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
        self._authorization = (credentials or MlflowCredentials()).header
        self._opener = build_opener(_NoRedirects())

    def versions(self, model: str) -> list[MlflowVersion]:
        """Return the versions of a registered model, oldest first.

        Raises:
            NotFoundError: MLflow has no such model.
        """
        aliases = aliases_of(self._json(f"{API}/registered-models/get", name=model))
        quoted = model.replace("'", "''")
        listed: list[MlflowVersion] = []
        page = ""
        while True:
            query = {"filter": f"name='{quoted}'", "max_results": PAGE, "page_token": page}
            answer = self._json(f"{API}/model-versions/search", **query)
            listed += [version_of(one, aliases) for one in answer.get("model_versions", ())]
            page = str(answer.get("next_page_token") or "")
            if not page:
                return sorted(listed, key=lambda version: version.number)

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
        files: list[MlflowFile] = []
        folders = [""]
        for count, folder in enumerate(folders):
            if count >= MAX_FOLDERS:
                raise InvalidError(f"version {version.number} has too many folders", code="too_big")
            for item in self._entries(version, folder):
                path = checked_path(str(item["path"]))
                if item.get("is_dir"):
                    folders.append(path)
                else:
                    size = item.get("file_size")
                    files.append(MlflowFile(path, None if size is None else int(size)))
        return sorted(files, key=lambda file: file.path)

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
        came = 0
        for piece in self._pieces(_place_of(version, file)):
            out.write(piece)
            came += len(piece)
            on_bytes(len(piece))
        if file.size is not None and came != file.size:
            raise IntegrityError(
                f"{file.path!r} of version {version.number} came with {came} bytes, "
                f"MLflow lists {file.size}",
                code="wrong_size",
            )

    def _entries(self, version: MlflowVersion, folder: str) -> list[dict[str, Any]]:
        """Return MLflow's entries of one folder, their paths relative to the model's."""
        if version.source.startswith(_LOGGED):
            place = f"{API}/logged-models/{_logged_id(version)}/artifacts/directories"
            answer = self._json(place, artifact_directory_path=folder)
            return list(answer.get("files", ()))
        root = _path_in_run(version)
        where = f"{root}/{folder}" if folder else root
        answer = self._json(f"{API}/artifacts/list", run_id=version.run_id, path=where)
        return [
            {**item, "path": str(item["path"]).removeprefix(f"{root}/")}
            for item in answer.get("files", ())
        ]

    def _find(self, read: Callable[[Any], MlflowRun], place: str, **query: str) -> MlflowRun:
        if not all(query.values()):
            return MlflowRun()
        try:
            return read(self._json(place, **query))
        except NotFoundError:
            return MlflowRun()

    def _json(self, place: str, **query: object) -> dict[str, Any]:
        given = {name: value for name, value in query.items() if value != ""}
        body = bytearray()
        for piece in self._pieces(f"{place}?{urlencode(given)}" if given else place):
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise InvalidError(f"{self.url} answered more than 64 MiB", code="answer_too_large")
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise InvalidError(
                f"{self.url} is not an MLflow server: its answer is no JSON", code="not_mlflow"
            ) from error
        return answer if isinstance(answer, dict) else {}

    def _pieces(self, place: str) -> Iterator[bytes]:
        request = Request(self.url + place, headers={"Accept": "*/*"})  # noqa: S310 - checked above
        if self._authorization:
            request.add_header("Authorization", self._authorization)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                while piece := answer.read(CHUNK_BYTES):
                    yield piece
        except HTTPError as error:
            raise _refusal(error, self.url) from error
        except (URLError, OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            raise UnreachableError(
                f"{self.url} gave no answer: {cause}", code="mlflow_unreachable"
            ) from error


class _NoRedirects(HTTPRedirectHandler):
    """Credentials are for the server that was named, and for no other."""

    @override
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def _refusal(error: HTTPError, url: str) -> MlregError:
    """Return MLflow's refusal as an error of ours, in MLflow's own words."""
    try:
        said = json.loads(error.read(CHUNK_BYTES))
        message = str(said["message"]).splitlines()[0]
    except (ValueError, TypeError, KeyError, IndexError, OSError):
        message = f"HTTP {error.code}"
    kind: type[MlregError] = {401: NotAllowedError, 403: NotAllowedError, 404: NotFoundError}.get(
        error.code, UnreachableError
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
