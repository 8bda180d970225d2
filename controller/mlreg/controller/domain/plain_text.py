"""What programs say, as text that can be stored and shown anywhere.

What always holds: PostgreSQL takes it (no NUL, no half of a surrogate pair), a terminal only prints
it (no escape, no colour), and it is one line.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?)")
"""Colours and moves of the cursor (CSI), titles and links (OSC): ECMA-48, 5.4 and 5.6."""
_BREAKS = re.compile(r"[\r\n\x0b\x0c\x85\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")


def plain_text(text: str) -> str:
    """Return a text as one line without control characters; tabs stay."""
    text = _CONTROLS.sub("", _BREAKS.sub(" ", _ESCAPES.sub("", text)))
    return text.encode("utf-8", "backslashreplace").decode()
