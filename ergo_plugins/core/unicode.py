"""Text that every encoding takes."""

from __future__ import annotations


def unicode_text(text: str) -> str:
    """The text with halves of surrogate pairs joined, or replaced where the other half is missing: JSON can carry them,
    UTF-8 cannot, and it is sent on."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
