"""Tasks whose samples have more images than a method takes: refused by name before anything is played.

Asking every document would decode every image once more. So only the columns of images are counted, undecoded, and
only documents that have more than enough in them are asked; where a data set has no such columns, a sample with too
many is refused when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..methods import known_methods, method_named
from ..methods.base import Method
from .samples import Sample, UnusableSample, UnusableTask


def refuse_too_many(samples: Sequence[Sample], method: Method) -> None:
    """Make sure that no sample has more images than a method takes.

    Raises:
        UnusableTask: one has.
    """
    by_task: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        by_task.setdefault((sample.task, sample.split), []).append(sample)
    for of_task in by_task.values():
        for sample in _with_more_than(method.sources, of_task):
            try:
                count = sample.image_count()
            except UnusableSample:
                continue  # damaged: counted as wrong when its turn comes
            if count > method.sources:
                raise too_many(sample.key, count, method)


def too_many(key: str, count: int, method: Method) -> UnusableTask:
    """That a sample has too many images, and which methods take more."""
    known = [method_named(name) for name in known_methods()]
    more = [other.name for other in known if other.sources >= count]
    instead = f"methods that take so many: {', '.join(more)}" if more else "no method takes so many"
    takes = "one image" if method.sources == 1 else f"at most {method.sources} images"
    return UnusableTask(f"{key} has {count} images, and method {method.name} takes {takes} a sample; {instead}")


def _with_more_than(most: int, samples: Sequence[Sample]) -> Iterator[Sample]:
    """Those of a task's samples whose columns hold more images than that."""
    from datasets import Dataset, Image

    docs = samples[0].docs
    if not isinstance(docs, Dataset):
        return
    single = [name for name, feature in docs.features.items() if isinstance(feature, Image)]
    listed = [name for name, f in docs.features.items() if isinstance(getattr(f, "feature", None), Image)]
    if not listed and len(single) <= most:
        return
    stored = docs.select([sample.doc_id for sample in samples]).select_columns([*single, *listed]).with_format("arrow")
    at = 0
    for table in stored.iter(batch_size=256):
        for row in range(len(table)):
            cells = {name: table.column(name)[row] for name in (*single, *listed)}
            count = sum(_is_there(cells[name]) for name in single)
            count += sum(len(cells[name]) for name in listed if cells[name].is_valid)
            if count > most:
                yield samples[at + row]
        at += len(table)


def _is_there(cell: Any) -> bool:
    """Whether a stored image is one: data sets also store none as a structure of nothing."""
    if not cell.is_valid:
        return False
    return not isinstance(cell, Mapping) or any(cell[name].is_valid for name in cell)
