"""Arrow IPC messages, read far enough to see where they end, and whether they are compressed.

A few compressed kilobytes may stand for gigabytes, and pyarrow inflates them before anyone is
asked. The flag is in each record batch's metadata (a flatbuffer):
https://github.com/apache/arrow/blob/main/format/Message.fbs

A stream that was cut off between two messages reads as a shorter one, and of two streams in a row
pyarrow reads the first: rows would be acknowledged that nobody keeps. So the end must be marked,
and stand at the end.
"""

from __future__ import annotations

import struct

import pyarrow as pa

_HEADER_TYPE, _HEADER, _DATA, _COMPRESSION = 1, 2, 1, 3
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3


def is_compressed(stream: bytes) -> bool:
    """Say whether any record batch or dictionary of a stream has compressed buffers.

    Raises:
        pyarrow.ArrowInvalid, OSError, ValueError: the bytes are not a stream of messages, whole and
            alone.
    """
    source = pa.BufferReader(stream)
    messages = pa.ipc.MessageReader.open_stream(source)
    while True:
        begin = source.tell()
        try:
            message = messages.read_next_message()
        except StopIteration:
            _check_end(stream, begin, source.tell())
            return False
        try:
            if _has_compression(message.metadata.to_pybytes()):
                return True
        except struct.error as error:
            raise ValueError("broken metadata of a message") from error


def _check_end(stream: bytes, begin: int, end: int) -> None:
    """Check that the last message was the mark of the end, with nothing behind it.

    Raises:
        ValueError: it was not.
    """
    if begin == end:
        raise ValueError("it has no end; was it cut off?")
    if end < len(stream):
        raise ValueError(f"{len(stream) - end} bytes follow its end; send one stream a request")


def _has_compression(metadata: bytes) -> bool:
    message = _offset(metadata, 0)
    kind_at = _field(metadata, message, _HEADER_TYPE)
    header_at = _field(metadata, message, _HEADER)
    kind = metadata[kind_at] if kind_at else 0
    if kind not in {_DICTIONARY_BATCH, _RECORD_BATCH} or not header_at:
        return False
    batch = _offset(metadata, header_at)
    if kind == _DICTIONARY_BATCH:
        data_at = _field(metadata, batch, _DATA)
        batch = _offset(metadata, data_at) if data_at else batch
    return _field(metadata, batch, _COMPRESSION) != 0


def _field(buffer: bytes, table: int, index: int) -> int:
    """Return where a field of a flatbuffer's table stands, 0 if it is not there."""
    (back,) = struct.unpack_from("<i", buffer, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", buffer, vtable)
    place = 4 + 2 * index
    if place + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", buffer, vtable + place)
    return table + int(offset) if offset else 0


def _offset(buffer: bytes, place: int) -> int:
    (offset,) = struct.unpack_from("<I", buffer, place)
    return place + int(offset)
