"""Write questions as lines that ``ergo data jsonl`` reads: images, and ``image, question, answer``, options inside.

python -m ergo_plugins.panels.asking.make_data --count 480 --out runs/asking
"""

from __future__ import annotations

from collections.abc import Iterator

from ..question_files import Asked, main
from .drawing import original
from .world import questions


def asked(split: str, count: int, stream: int = 0) -> Iterator[Asked]:
    """Originals and lines of a split's questions."""
    for question in questions(split, count, stream=stream):
        yield original(question.scene), {"question": question.text, "answer": question.answer}


if __name__ == "__main__":
    main(__doc__ or "", asked)
