"""What is wrong with what a user gave, in one sentence."""

from __future__ import annotations


class CommandError(Exception):
    """Something the user gave cannot be used; the message is a sentence that says what, and what to change."""
