"""What kind of file a model is, told from its ends and its name, never by loading or unpacking it.

What always holds: a pickle is called one however it is wrapped; what is packed (compressed, or an
archive) and not of a format that is known to be safe may hold a pickle, and is as unsafe as one,
for no server unpacks it to see. This protects who trusts the name, not who loads what is opaque.
"""

from __future__ import annotations

import pickletools
import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Flavour = Literal["lightgbm-text", "onnx", "safetensors", "skops", "pickle", "packed", "opaque"]

HEAD_BYTES = 4096
TAIL_BYTES = 66_000  # the end of a zip lies within 65,557 bytes of the end of its file
UNSAFE: frozenset[str] = frozenset({"pickle", "packed"})
_PICKLE_MARKS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_PICKLE_NAMES = (
    *(".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill", ".pt", ".pth", ".ckpt"),
    ".mar",
)
_PACKED_NAMES = (".gz", ".xz", ".bz2", ".z", ".lzma", ".zst", ".lz4")
_PACKED_MARKS = (
    *(b"\x1f\x8b", b"\x1f\x9d", b"BZh", b"\xfd7zXZ\0", b"\x5d\0\0", b"\x28\xb5\x2f\xfd"),
    *(b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18", b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
    *(b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\xff\x06\0\0sNaPpY", b"ZF"),
    *(b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
)
_TAR_MARK, _TAR_PLACE = b"ustar", 257
_ZIP_END = b"PK\x05\x06"
_NUMPY_MARK, _OBJECTS = b"\x93NUMPY", (b"|O", b"'O'", b'"O"')
_CALLS = frozenset(
    {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "REDUCE", "BUILD"}
)
_OPERATIONS = {ord(operation.code): operation for operation in pickletools.opcodes}
_NAMES_TWO = frozenset({"GLOBAL", "INST"})
_NAMES = re.compile(rb"[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n")
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_NAMED: tuple[tuple[str, Flavour], ...] = ((".onnx", "onnx"), (".safetensors", "safetensors"))


def flavour_of_file(path: str, head: bytes, tail: bytes = b"") -> Flavour:
    """Return the kind of one file.

    Args:
        path: its name in the artifact.
        head: its first `HEAD_BYTES` bytes, or fewer if it is shorter.
        tail: its last `TAIL_BYTES` bytes, where they are known.
    """
    name = path.casefold()
    if head.startswith((b"tree\n", b"tree\r\n")) and b"version=" in head:
        return "lightgbm-text"
    if _is_pickle(name, head):
        return "pickle"
    if name.endswith(".skops"):
        return "skops"
    if _is_packed(head, tail):
        return "packed"
    return next((flavour for suffix, flavour in _NAMED if name.endswith(suffix)), "opaque")


def flavour_of(flavours: Sequence[Flavour]) -> Flavour:
    """Return the kind of an artifact: unsafe if one file is, else the first that is known."""
    for flavour in ("pickle", "packed"):
        if flavour in flavours:
            return flavour
    return next((flavour for flavour in flavours if flavour != "opaque"), "opaque")


def is_unsafe(flavour: str) -> bool:
    """Say whether loading it can run code; such files are opaque bytes to every server."""
    return flavour in UNSAFE


def _is_pickle(name: str, head: bytes) -> bool:
    """Err on the side of unsafe: a mark at the start, or a name that pickles bear."""
    for suffix in _PACKED_NAMES:
        name = name.removesuffix(suffix)
    return (
        head.startswith(_PICKLE_MARKS)
        or name.endswith(_PICKLE_NAMES)
        or (head.startswith(_NUMPY_MARK) and any(mark in head for mark in _OBJECTS))
        or _calls(head)
    )


def _calls(head: bytes) -> bool:
    """Say whether bytes are a pickle without a mark (protocols 0 and 1) that calls something.

    Its operations are walked over, and none is done. One that goes on behind the head is a pickle
    too: what it does there, nobody has seen.
    """
    at, found = 0, False
    while at < len(head):
        operation = _OPERATIONS.get(head[at])
        end = None if operation is None else _end_of(operation, head, at + 1)
        if operation is None or end is None or not _is_plausible(operation, head[at + 1 : end]):
            return False
        found = found or operation.name in _CALLS
        if operation.name == "STOP":
            return found
        at = end
    return len(head) == HEAD_BYTES


def _end_of(operation: pickletools.OpcodeInfo, head: bytes, start: int) -> int | None:
    """Return where an operation ends, beyond the head if need be; None if it never does."""
    amount = 0 if operation.arg is None else operation.arg.n
    if amount == pickletools.UP_TO_NEWLINE:
        for _ in range(2 if operation.name in _NAMES_TWO else 1):
            start = head.find(b"\n", start) + 1
            if not start:
                return None
        return start
    if amount in _LENGTHS:
        width = _LENGTHS[amount]
        return start + width + int.from_bytes(head[start : start + width], "little")
    return start + amount


def _is_plausible(operation: pickletools.OpcodeInfo, argument: bytes) -> bool:
    return operation.name not in _NAMES_TWO or _NAMES.fullmatch(argument) is not None


def _is_packed(head: bytes, tail: bytes) -> bool:
    tar = head[_TAR_PLACE : _TAR_PLACE + len(_TAR_MARK)] == _TAR_MARK
    return head.startswith(_PACKED_MARKS) or tar or _ZIP_END in tail
