"""The file in which a version travels: a plain tar that any tar lists, of one shape only.

```
mlreg-version/record.json          everything that is known of the version, as canonical JSON
mlreg-version/blobs/<64 hex>       the bytes of each file, once, in the order of their digests
mlreg-version/seal.json            {"sha256": <64 hex>} of every byte before this member
```

What always holds: a file is read from its start to its end and hashed on the way; every header must
be, byte for byte, the one that `write` would have written, so there are no links, devices, paths,
duplicates, sparse or compressed members to be careful of; names are never joined to a folder. What
is not exactly so is refused before anything is done with it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydantic import ValidationError

from mlreg.client.errors import IntegrityError, InvalidError
from mlreg.client.wire.portable import MAX_RECORD_BYTES, RecordForm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FOLDER = "mlreg-version"
RECORD = f"{FOLDER}/record.json"
SEAL = f"{FOLDER}/seal.json"
BLOCK = 512
CHUNK_BYTES = 2**20
MAX_SEAL_BYTES = 1024
_SIZE = re.compile(rb"[0-7]{11}\0")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PortableFile:
    """A file that was read whole, and found to be what it says.

    Attributes:
        record: everything that is known of the version.
        record_bytes: the same, as it came.
        places: of each blob's digest, where its bytes begin and how many they are.
        digest: the digest over all, as the seal says it.
    """

    path: Path
    record: RecordForm
    record_bytes: bytes
    places: Mapping[str, tuple[int, int]]
    digest: str


def blobs_of(record: RecordForm) -> dict[str, int]:
    """Return the size in bytes of every blob of a record, by digest, in the order of the file.

    Raises:
        InvalidError: one digest comes with two sizes.
    """
    sizes: dict[str, int] = {}
    listed = [(file.digest, file.size) for file in record.files]
    listed += [(file.digest, file.size) for file in record.stage]
    for digest, size in listed:
        if sizes.setdefault(digest, size) != size:
            raise _not_portable("one blob has two sizes")
    return dict(sorted(sizes.items()))


def parse_record(content: bytes) -> RecordForm:
    """Return the record that some bytes are.

    Raises:
        InvalidError: they are none, or a newer mlreg wrote them.
    """
    try:
        return RecordForm.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, found["loc"])) or "it"
        raise _not_portable(f"its record: {where[:120]}: {found['msg']}") from error


def write(
    file: BinaryIO, record: bytes, blobs: Iterable[tuple[str, int, Callable[[BinaryIO], None]]]
) -> str:
    """Write a version; return the digest over all.

    Args:
        file: a new file, open for writing.
        record: the record's bytes.
        blobs: of each blob, in the order of `blobs_of`, its digest, its size in bytes, and what
            writes exactly its bytes into a file.
    """
    out = _Hashing(file)
    out.write(_header(RECORD, len(record)))
    out.write(record + _padding(len(record)))
    for digest, size, fill in blobs:
        out.write(_header(_blob_name(digest), size))
        fill(out)  # type: ignore[arg-type]  # it only writes
        out.write(_padding(size))
    digest = out.hexdigest()
    seal = json.dumps({"sha256": digest}).encode()
    file.write(_header(SEAL, len(seal)) + seal + _padding(len(seal)) + bytes(2 * BLOCK))
    return f"sha256:{digest}"


def read(path: Path, *, on_bytes: Callable[[int], None] = lambda _amount: None) -> PortableFile:
    """Read a whole file, and check every byte of it.

    Raises:
        InvalidError: it is no such file (`not_portable`).
        IntegrityError: it was one, and is cut or changed (`portable_file_corrupt`).
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _Reading(file, path, on_bytes).run()


def pieces_of(found: PortableFile, digest: str) -> Iterator[bytes]:
    """Yield the bytes of one blob of a file that was read before."""
    start, left = found.places[digest]
    with found.path.open("rb") as file:
        file.seek(start)
        while left:
            piece = file.read(min(CHUNK_BYTES, left))
            if not piece:
                raise _corrupt("it became shorter while it was read")
            left -= len(piece)
            yield piece


class _Hashing:
    """A file that is hashed while it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self._sha256.update(content)
        return self._file.write(content)

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


class _Reading:
    """One pass over a file."""

    def __init__(self, file: BinaryIO, path: Path, on_bytes: Callable[[int], None]) -> None:
        self._file = file
        self._path = path
        self._on_bytes = on_bytes
        self._sha256 = hashlib.sha256()

    def run(self) -> PortableFile:
        content = self._read_small(RECORD, MAX_RECORD_BYTES)
        record, places = parse_record(content), {}
        for digest, size in blobs_of(record).items():
            if self._take(BLOCK) != _header(_blob_name(digest), size):
                raise _not_portable(f"the member of blob {digest} is not where or what it must be")
            places[digest] = (self._file.tell(), size)
            self._read_blob(digest, size)
        sealed = self._sha256.hexdigest()
        if self._sealed() != sealed:
            raise _corrupt("its bytes are not those that were sealed")
        if self._take(2 * BLOCK) != bytes(2 * BLOCK) or self._file.read(1):
            raise _not_portable("there is something behind its end")
        return PortableFile(self._path, record, content, places, f"sha256:{sealed}")

    def _read_blob(self, digest: str, size: int) -> None:
        sha256, left = hashlib.sha256(), size
        while left:
            piece = self._take(min(CHUNK_BYTES, left))
            sha256.update(piece)
            left -= len(piece)
        if self._take(len(_padding(size))) != _padding(size):
            raise _corrupt(f"blob {digest} does not end where it must")
        if f"sha256:{sha256.hexdigest()}" != digest:
            raise _corrupt(f"blob {digest} has other bytes")

    def _sealed(self) -> str:
        try:
            seal = json.loads(self._read_small(SEAL, MAX_SEAL_BYTES))
            digest = seal["sha256"] if set(seal) == {"sha256"} else ""
        except (ValueError, KeyError, TypeError) as error:
            raise _not_portable("its seal is none") from error
        if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
            raise _not_portable("its seal is none")
        return digest

    def _read_small(self, name: str, limit: int) -> bytes:
        """Read a member whose size its header alone says."""
        header = self._take(BLOCK)
        match = _SIZE.fullmatch(header[124:136])
        size = int(match[0][:-1], 8) if match else -1
        if size < 0 or header != _header(name, size):
            raise _not_portable(f"it does not hold {name} where it must be")
        if size > limit:
            raise _not_portable(f"{name} is larger than {limit} bytes")
        content = self._take(size)
        if self._take(len(_padding(size))) != _padding(size):
            raise _corrupt(f"{name} does not end where it must")
        return content

    def _take(self, amount: int) -> bytes:
        content = self._file.read(amount)
        if len(content) < amount:
            raise _corrupt("it is cut short")
        self._sha256.update(content)
        self._on_bytes(amount)
        return content


def _header(name: str, size: int) -> bytes:
    """Return the one header that a member of this name and size has."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _blob_name(digest: str) -> str:
    return f"{FOLDER}/blobs/{digest.removeprefix('sha256:')}"


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def _not_portable(problem: str) -> InvalidError:
    return InvalidError(
        f"this is no file of an exported version: {problem}",
        code="not_portable",
        hint="Nothing was imported; `mlreg version export` makes such files.",
    )


def _corrupt(problem: str) -> IntegrityError:
    return IntegrityError(
        f"the file is not as it was exported: {problem}",
        code="portable_file_corrupt",
        hint="Nothing was imported; copy the file again.",
    )
