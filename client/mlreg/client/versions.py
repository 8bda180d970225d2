"""Versions, as the client sees them: upload and register, list, show, download, verify.

What always holds: a file is uploaded under the sha256 of its bytes, once; a downloaded file gets
its name only after the bytes were hashed here, and a folder only when every file in it has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlreg.client.cache import BlobCache
from mlreg.client.downloads import Downloads
from mlreg.client.errors import IntegrityError, InvalidError, NotFoundError, RefusedError
from mlreg.client.new_files import new_folder
from mlreg.client.paging import walk_pages
from mlreg.client.signing import configured_signer
from mlreg.client.transport import path
from mlreg.client.uploads import Uploads, no_progress
from mlreg.client.wire.base import Page
from mlreg.client.wire.comparison import DiffAnswer
from mlreg.client.wire.models import RetirementRequest
from mlreg.client.wire.versions import (
    FileAnswer,
    FileForm,
    StageAnswer,
    StageFileForm,
    VerificationAnswer,
    VersionAnswer,
    VersionRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mlreg.client.signing import Signer
    from mlreg.client.stage import StagePath
    from mlreg.client.transport import Transport


class Versions:
    """Register, read and download the versions of models.

    ```python
    version = client.versions.champion("flights")
    client.versions.download(version, Path(f"flights-{version.number}"))
    ```
    """

    def __init__(
        self,
        transport: Transport,
        cache: BlobCache | None = None,
        *,
        link: bool = False,
    ) -> None:
        """Open the versions of a server.

        Args:
            transport: to the server.
            cache: of blobs; None is this user's own.
            link: whether downloaded files may be the cache's own (where nobody edits them).
        """
        self._transport = transport
        cache = cache or BlobCache.from_environment()
        self._uploads = Uploads(transport, cache)
        self._signer = configured_signer()
        self._downloads = Downloads(transport, cache, link=link)

    def register(
        self,
        model: str,
        source: Path,
        request: Callable[[Sequence[FileForm]], VersionRequest],
        *,
        stage: Sequence[StagePath] = (),
        signer: Signer | None = None,
        on_bytes: Callable[[int], None] = no_progress,
    ) -> VersionAnswer:
        """Upload a file, or every file of a folder, and register them as one version.

        Args:
            model: the name of the model.
            source: the file or folder.
            request: makes the request from the uploaded files.
            stage: files of the training stage, archived beside the model.
            signer: makes the signature; None takes the key of `$MLREG_SIGNING_KEY`, if it is set.
            on_bytes: is told the number of bytes after every piece that was sent or skipped.

        Raises:
            InvalidError: nothing to register, a link, a bad name, or provenance that lacks fields.
            NotFoundError: there is no such model. RefusedError: it is archived.
        """
        signer = signer or self._signer
        files = self.upload(source, leave=signer.bundle if signer else None, on_bytes=on_bytes)
        staged = self.upload_stage(stage, on_bytes=on_bytes)
        asked = request(files)
        if staged:
            asked = asked.model_copy(update={"stage": staged})
        if signer is not None:
            asked = asked.model_copy(update={"signature": signer.sign(model, asked.files)})
        return self.register_files(model, asked)

    def upload(
        self,
        source: Path,
        *,
        leave: Path | None = None,
        on_bytes: Callable[[int], None] = no_progress,
    ) -> Sequence[FileForm]:
        """Upload a file, or every file of a folder but `leave`, as a registration names them then.

        Raises:
            InvalidError: nothing to register, a link, or a bad name.
        """
        found = [(name, file) for name, file in files_of(source) if not _is_same(file, leave)]
        sent = [self._uploads.send(name, file, on_bytes=on_bytes) for name, file in found]
        return [self._uploads.await_verified(one) for one in sent]

    def upload_file(self, file: Path, *, on_bytes: Callable[[int], None] = no_progress) -> FileForm:
        """Upload one file, whatever it is for."""
        return self._uploads.await_verified(self._uploads.send(file.name, file, on_bytes=on_bytes))

    def upload_stage(
        self, files: Sequence[StagePath], *, on_bytes: Callable[[int], None] = no_progress
    ) -> Sequence[StageFileForm]:
        """Upload files of a training stage, as a registration names them then."""
        staged = []
        for file in files:
            sent = self._uploads.await_verified(
                self._uploads.send(file.name, file.path, on_bytes=on_bytes)
            )
            staged.append(
                StageFileForm(name=sent.path, kind=file.kind, size=sent.size, digest=sent.digest)
            )
        return staged

    def register_files(self, model: str, request: VersionRequest) -> VersionAnswer:
        """Register files that are uploaded already; signed if `$MLREG_SIGNING_KEY` names a key."""
        if request.signature is None and self._signer is not None:
            signature = self._signer.sign(model, request.files)
            request = request.model_copy(update={"signature": signature})
        return self._transport.post(path("models", model, "versions"), request, VersionAnswer)

    def get(self, model: str, number: int) -> VersionAnswer:
        """Return a version with its files and its feature contract.

        Raises:
            NotFoundError: there is no such model or version.
        """
        return self._transport.get(path("models", model, "versions", number), VersionAnswer)

    def champion(self, model: str, environment: str = "production") -> VersionAnswer:
        """Return the version that serves a model in an environment, as `get` does.

        Raises:
            NotFoundError: no such model or environment, or nothing serves there.
        """
        place = path("models", model, "versions", "champion")
        return self._transport.get(place, VersionAnswer, environment=environment)

    def list(
        self,
        model: str,
        *,
        before: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
        archived: bool = False,
        deleted: bool = False,
    ) -> Page[VersionAnswer]:
        """Return a page of versions, newest first; `cursor` is the `next` of the page before.

        Args:
            model: the name of the model.
            before: only versions below this number.
            cursor: where the page begins; None is the first.
            limit: the most versions of this page, up to 500.
            archived: archived ones too.
            deleted: the deleted ones, and no others.
        """
        return self._transport.get(
            path("models", model, "versions"),
            Page[VersionAnswer],
            before=before,
            cursor=cursor,
            limit=limit,
            archived=archived or None,
            deleted=deleted or None,
        )

    def walk(self, model: str, *, page: int = 100) -> Iterator[VersionAnswer]:
        """Iterate over all versions of a model, newest first; pages are fetched as they are needed.

        ```python
        newest_refit = next(v for v in client.versions.walk("flights") if v.lane == "refit")
        ```
        """
        return walk_pages(lambda cursor: self.list(model, cursor=cursor, limit=page))

    def search(
        self, query: str, *, cursor: str | None = None, limit: int = 100
    ) -> Page[VersionAnswer]:
        """Return a page of the versions for which a query holds, newest registration first.

        Args:
            query: such as `model:flights metric.auc>=0.8 -lane:refit`; the language is described in
                docs/reference/search.md.
            cursor: `next` of the page before; None is the first.
            limit: the most versions of this page, up to 500.

        Raises:
            InvalidError: the query breaks a rule (`invalid_query`); the message names the column.
        """
        return self._transport.get(
            path("search"), Page[VersionAnswer], q=query, cursor=cursor, limit=limit
        )

    def diff(self, model: str, before: int, after: int) -> DiffAnswer:
        """Return what differs from one version to another; equal parts are empty.

        ```python
        changed = client.versions.diff("flights", 11, 12)
        print(changed.code.url, [metric.delta for metric in changed.metrics])
        ```

        Raises:
            NotFoundError: there is no such model or version.
        """
        place = path("models", model, "versions", before, "diff", after)
        return self._transport.get(place, DiffAnswer)

    def archive(self, model: str, number: int, *, reason: str) -> VersionAnswer:
        """Archive a version: hidden from lists and search, not promoted, still downloaded.

        Raises:
            NotFoundError: there is none. RefusedError: it serves somewhere (`in_service`).
        """
        return self._retire(model, number, "archive", reason)

    def delete(self, model: str, number: int, *, reason: str) -> VersionAnswer:
        """Delete a version; it can be restored for 30 days, and its number is never reused.

        Raises:
            NotFoundError: there is none.
            RefusedError: it is live, or a rollback would lead to it (`in_service`, says where).
        """
        return self._retire(model, number, "delete", reason)

    def restore(self, model: str, number: int, *, reason: str = "") -> VersionAnswer:
        """Undo the delete of a version; of one that is only archived, undo that.

        Raises:
            NotFoundError: there never was one. RefusedError: it is too late (`purged`).
        """
        return self._retire(model, number, "restore", reason)

    def _retire(self, model: str, number: int, verb: str, reason: str) -> VersionAnswer:
        place = path("models", model, "versions", number, verb)
        return self._transport.post(place, RetirementRequest(reason=reason), VersionAnswer)

    def stage(self, model: str, number: int) -> StageAnswer:
        """Return what the training of a version left: files, loss curves, search tables.

        Raises:
            NotFoundError: there is no such model or version.
        """
        return self._transport.get(path("models", model, "versions", number, "stage"), StageAnswer)

    def download_stage(
        self,
        version: VersionAnswer,
        folder: Path,
        *,
        on_bytes: Callable[[int], None] = no_progress,
    ) -> Path:
        """Write the files of a version's stage into a new folder, as `download` does the model's.

        Raises:
            NotFoundError: it has no stage.
            RefusedError: the folder exists and is not empty.
            IntegrityError: bytes are not what was registered; nothing is left behind.
        """
        return self.download(staged_files(version), folder, on_bytes=on_bytes)

    def verify(self, model: str, number: int) -> VerificationAnswer:
        """Let the server hash every file of a version anew."""
        return self._transport.post(
            path("models", model, "versions", number, "verify"), None, VerificationAnswer
        )

    def download(
        self,
        version: VersionAnswer,
        folder: Path,
        *,
        on_bytes: Callable[[int], None] = no_progress,
    ) -> Path:
        """Write the files of a version (as `get` returned it) into a new folder, all or nothing.

        Raises:
            RefusedError: the folder exists and is not empty.
            IntegrityError: bytes are not what was registered; nothing is left behind.
        """
        folder = folder.absolute()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RefusedError(f"{folder} exists and is not empty", code="folder_not_empty")
        with new_folder(folder) as part:
            for file in version.files or ():
                target = part / checked_path(file.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                self.download_file(version, file, target, on_bytes=on_bytes)
        return folder

    def download_file(
        self,
        version: VersionAnswer,
        file: FileAnswer,
        target: Path,
        *,
        on_bytes: Callable[[int], None] = no_progress,
    ) -> None:
        """Write one file of a version; it gets its name only after its bytes were verified.

        Raises:
            IntegrityError: the bytes are not what was registered.
            UnreachableError: the transfer broke off (the server does so when bytes are wrong).
        """
        self._downloads.fetch(version.model, version.number, file, target, on_bytes)


def staged_files(version: VersionAnswer) -> VersionAnswer:
    """Return a version with the files of its stage in the place of its own.

    Raises:
        NotFoundError: it has no stage.
    """
    if not version.stage:
        raise NotFoundError(f"{version.model}/{version.number} has no stage", code="no_stage")
    files = [
        FileAnswer(path=file.name, size=file.size, digest=file.digest) for file in version.stage
    ]
    return version.model_copy(update={"files": files})


def _is_same(file: Path, other: Path | None) -> bool:
    return other is not None and file.resolve() == other.resolve()


def files_of(source: Path) -> Sequence[tuple[str, Path]]:
    """Return (path in the artifact, file) of a file or of every file in a folder, sorted.

    Raises:
        OSError: nothing is there.
        InvalidError: it is empty, or something in it is a link, no plain file, or badly named.
    """
    size = source.stat().st_size
    if source.is_file():
        if size == 0:
            raise InvalidError(f"{source} is empty", code="no_files")
        return [(_name_of(source, source.parent), source)]
    found = []
    for file in sorted(source.rglob("*")):
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise InvalidError(f"{file} is a link or no plain file", code="not_a_file")
        if file.is_file():
            found.append((_name_of(file, source), file))
    if not any(file.stat().st_size for _, file in found):
        raise InvalidError(f"{source} has no file to register", code="no_files")
    return found


def checked_path(name: str) -> str:
    """Return a path of a manifest unchanged.

    Raises:
        IntegrityError: it leads out of its folder, which no manifest of a sane server does.
    """
    parts = name.split("/")
    if "\\" in name or "\0" in name or any(part in {"", ".", ".."} for part in parts):
        raise IntegrityError(f"the server names a file {name!r}", code="unsafe_path")
    return name


def _name_of(file: Path, folder: Path) -> str:
    name = file.relative_to(folder).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidError(
            f"the name of {name!r} is not UTF-8", code="invalid_path", hint="Rename the file."
        ) from error
    return name
