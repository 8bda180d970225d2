"""skops' files made canonical: the same model is the same bytes, whenever and wherever written.

skops numbers objects by their place in memory, in names of files too, and its zip has the time in
it. Here they are numbered as they are met, and the time is always the same.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

SCHEMA = "schema.json"
_ID = "__id__"
_THE_TIME = (1980, 1, 1, 0, 0, 0)


def canonical_archive(content: bytes) -> bytes:
    """Return the same archive, with its objects numbered as they are met in its schema."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files.pop(SCHEMA))
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}
    renumbered = _renumbered(schema, numbers, names)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        body = json.dumps(renumbered, sort_keys=True, indent=1).encode()
        for name, part in [(SCHEMA, body), *((new, files[old]) for old, new in names.items())]:
            archive.writestr(zipfile.ZipInfo(name, _THE_TIME), part)
    return written.getvalue()


def _renumbered(node: Any, numbers: dict[int, int], names: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, list):
        return [_renumbered(one, numbers, names) for one in node]
    if not isinstance(node, dict):
        return node
    found: dict[str, Any] = {}
    for key in sorted(node):
        value = node[key]
        if key == _ID:
            found[key] = numbers.setdefault(value, len(numbers) + 1)
        elif key == "file" and isinstance(value, str):
            found[key] = names.setdefault(value, f"{len(names) + 1}.{value.rpartition('.')[2]}")
        else:
            found[key] = _renumbered(value, numbers, names)
    return found
