"""What those who write records and those who read them have to agree on; neither may import the other."""

from __future__ import annotations

JOURNAL_FORMAT = "ergo-plugins/2"
"""Stands under ``journal`` in the first line of a journal: which kind of lines follow."""

READABLE_FORMATS = ("ergo-plugins/1", JOURNAL_FORMAT)
"""What reports read. A run goes on in its own format alone: the first had one image a turn and no method."""

ROLLOUT_RECORD = "ergo_record"
"""Key, among the parts of a reward, of the trajectory as JSON text. verl dumps it with the other parts and, as it is
text, takes no mean of it."""


def sample_key(task: str, split: str, doc_id: int | str, repeat: int) -> str:
    """The name of a sample in errors, file names and reports: ``task/split/doc_id``, ``#n`` for the n-th repeat."""
    return f"{task}/{split}/{doc_id}" + (f"#{repeat}" if repeat else "")
