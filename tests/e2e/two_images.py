"""A few documents of MMMU's shape, one to three images each, as a local task that includes the stock one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lmms_eval
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pillow

STOCK = Path(lmms_eval.__file__).parent / "tasks" / "mmmu" / "mmmu_val.yaml"
TASK = "mmmu_two"
SIZES = ((448, 224), (224, 448), (336, 336))
"""Of the first, second and third image of a document, pixels."""

FORM = "multiple-choice"
FEATURES = Features(
    {
        **{name: Value("string") for name in ("id", "question", "options", "answer", "question_type")},
        **{f"image_{number}": Image() for number in range(1, 8)},
    }
)


def document(
    number: int, question: str, options: list[str], answer: str, images: int, form: str = FORM
) -> dict[str, Any]:
    """A row; its images differ in size and colour."""
    drawn = [Pillow.new("RGB", size, (70 * at, 40 * number, 90)) for at, size in enumerate(SIZES[:images], start=1)]
    return {
        "id": f"validation_Art_{number}",
        "question": question,
        "options": str(options),
        "answer": answer,
        "question_type": form,
        **{f"image_{at}": drawn[at - 1] if at <= images else None for at in range(1, 8)},
    }


DOCUMENTS = [
    document(1, "What is in <image 1>?", ["a cat", "a dog"], "B", 1),
    document(2, "How do <image 1> and <image 2> differ?", ["in colour", "in size", "in both"], "C", 2),
    document(3, "Which one looks like <image 1>?", ["<image 2>", "<image 3>"], "A", 3),
    document(4, "<image 1> <image 2> How many are there?", [], "2", 2, "open"),
]


def write_task(folder: Path) -> Path:
    """The documents and the task that reads them, in a folder."""
    Dataset.from_list(DOCUMENTS, features=FEATURES).to_parquet(str(folder / "validation.parquet"))
    (folder / f"{TASK}.yaml").write_text(
        f"include: {STOCK}\ntask: {TASK}\ntag: []\ndataset_path: parquet\n"
        "dataset_kwargs:\n  data_files:\n    validation: validation.parquet\n"
    )
    return folder
