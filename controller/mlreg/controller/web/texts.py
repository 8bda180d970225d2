"""Texts as a drawing has room for them."""

from __future__ import annotations


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many letters; its tooltip has it whole."""
    return text if len(text) <= most else text[: most - 1] + "…"
