"""What kind of file a model is, told from its first bytes and its name, never by loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Flavour = Literal["lightgbm-text", "onnx", "safetensors", "skops", "pickle", "opaque"]

HEAD_BYTES = 512
_PICKLE_MARKS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_PICKLE_NAMES = (".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill", ".pt", ".pth", ".ckpt")
_PACKED_NAMES = (".gz", ".xz", ".bz2", ".z", ".lzma", ".zst")
_NAMED: tuple[tuple[str, Flavour], ...] = (
    (".onnx", "onnx"),
    (".safetensors", "safetensors"),
    (".skops", "skops"),
)


def flavour_of_file(path: str, head: bytes) -> Flavour:
    """Return the kind of one file.

    Args:
        path: its name in the artifact.
        head: its first `HEAD_BYTES` bytes, or fewer if it is shorter.
    """
    if head.startswith((b"tree\n", b"tree\r\n")) and b"version=" in head:
        return "lightgbm-text"
    if _is_pickle(path.casefold(), head):
        return "pickle"
    for suffix, flavour in _NAMED:
        if path.casefold().endswith(suffix):
            return flavour
    return "opaque"


def flavour_of(flavours: Sequence[Flavour]) -> Flavour:
    """Return the kind of an artifact: unsafe if one file is, else the first that is known."""
    if "pickle" in flavours:
        return "pickle"
    return next((flavour for flavour in flavours if flavour != "opaque"), "opaque")


def is_unsafe(flavour: str) -> bool:
    """Say whether loading it can run code; such files are opaque bytes to every server."""
    return flavour == "pickle"


def _is_pickle(name: str, head: bytes) -> bool:
    """Err on the side of unsafe: a protocol mark at the start, or a name that pickles bear."""
    for suffix in _PACKED_NAMES:
        name = name.removesuffix(suffix)
    return head.startswith(_PICKLE_MARKS) or name.endswith(_PICKLE_NAMES)
