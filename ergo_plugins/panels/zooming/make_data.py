"""Write questions as lines that ``ergo data jsonl`` reads: images, and ``image, question, answer, kind``.

python -m ergo_plugins.panels.zooming.make_data --count 480 --out runs/zooming
"""

from __future__ import annotations

from collections.abc import Iterator

from ..question_files import Asked, main
from .drawing import original
from .world import questions


def asked(split: str, count: int, stream: int = 0) -> Iterator[Asked]:
    """Originals and lines of a split's questions."""
    for question in questions(split, count, stream=stream):
        yield original(question.scene), {"question": question.stem, "answer": question.answer, "kind": "text"}


if __name__ == "__main__":
    main(__doc__ or "", asked)
