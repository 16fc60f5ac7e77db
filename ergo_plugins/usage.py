"""What is wrong with what a user gave, in one sentence."""

from __future__ import annotations


class Told(Exception):
    """An error whose message already is a sentence for the user, with what to do about it."""


class CommandError(Told):
    """Something that was given to a command cannot be used."""
