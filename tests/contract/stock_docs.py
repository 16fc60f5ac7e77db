"""Three documents in the exact shape of each stock task: one is answered rightly, one wrongly, one unreadably.

As a program, for tasks that call a judge while they score: prints what the stock scorers say of them, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lmms_eval
from datasets import Dataset, DatasetDict
from lmms_eval.api.instance import Instance
from lmms_eval.api.task import ConfigurableMessagesTask
from lmms_eval.utils import load_yaml_config
from PIL import Image

from ergo_plugins.core.geometry import VisionGrid
from ergo_plugins.engines.scripted import ScriptedEngine
from ergo_plugins.lmms_plugin.arguments import ModelArguments
from ergo_plugins.lmms_plugin.run import play_samples
from ergo_plugins.lmms_plugin.samples import samples_of
from ergo_plugins.methods import method_named

TASKS = Path(lmms_eval.__file__).parent / "tasks"
PICTURE = Image.new("RGB", (56, 56), "teal")
CALL = '<think>small</think><tool_call>{"name": "resize_image", "arguments": {"action": "resize"}}</tool_call>'
UNREADABLE = "<think>It may be \ufffd or"
"""A thought that was cut: there is no answer in it."""


@dataclass(frozen=True)
class Stock:
    """A task's documents and how a model answers them; None for unreadably.

    Attributes:
        yaml: below lmms-eval's ``tasks``.
        metric: whose values are looked at.
        scores: what the stock scorer should say of each.
        paid: whether the scorer calls a judge.
    """

    yaml: str
    metric: str
    rows: Sequence[dict[str, Any]]
    answers: Sequence[str | None]
    scores: Sequence[float] = (1.0, 0.0, 0.0)
    paid: bool = False


def _chartqa() -> Stock:
    rows = [
        {"type": kind, "question": question, "answer": answer, "image": PICTURE}
        for kind, question, answer in (
            ("human_test", "What was the share in 1999?", "14"),
            ("augmented_test", "Which country leads?", "New Zealand"),
            ("human_test", "Is the blue line ever above the red one?", "No"),
        )
    ]
    return Stock("chartqa/chartqa.yaml", "relaxed_overall", rows, ["\\boxed{14}", "Zealand", None])


def _ocrbench() -> Stock:
    rows = [
        {"dataset": data, "question": question, "question_type": kind, "answer": [answer], "image": PICTURE}
        for data, question, kind, answer in (
            ("IIIT5K", "what is written in the image?", "Regular Text Recognition", "CENTRE"),
            ("docVQA", "What is the date?", "Doc-oriented VQA", "May 5"),
            ("HME100k", "Please write out the expression.", "Handwritten Mathematical Expression Recognition", "x + 1"),
        )
    ]
    return Stock("ocrbench/ocrbench.yaml", "ocrbench_accuracy", rows, ["centre", "June 5", None])


def _docvqa() -> Stock:
    rows = [
        {
            **{"questionId": str(n), "question": q, "question_types": ["handwritten"], "docId": 1, "image": PICTURE},
            **{"ucsf_document_id": "a", "ucsf_document_page_no": "1", "data_split": "val", "answers": a},
        }
        for n, (q, a) in enumerate(
            [("Who wrote it?", ["R. J. Miller", "Miller"]), ("Which year?", ["1987"]), ("To whom?", ["the board"])]
        )
    ]
    return Stock("docvqa/docvqa_val.yaml", "anls", rows, ["r. j. miller.", "two thousand", None])


def _mme() -> Stock:
    rows = [
        {
            "question_id": f"existence/{n // 2}.jpg",
            "category": "existence",
            "question": q,
            "answer": a,
            "image": PICTURE,
        }
        for n, (q, a) in enumerate(
            [
                ("Is there a kettle in this image? Please answer yes or no.", "Yes"),
                ("Is there a wine glass in this image? Please answer yes or no.", "No"),
                ("Is there a boat in this image? Please answer yes or no.", "Yes"),
                ("Is there a dog in this image? Please answer yes or no.", "No"),
            ]
        )
    ]
    answers = ["Yes, there is.", "yes", None, "No."]
    return Stock("mme/mme.yaml", "mme_perception_score", rows, answers, (1.0, 0.0, 0.0, 1.0))


def _realworldqa() -> Stock:
    letters = "Please answer directly with only the letter of the correct option and nothing else."
    rows = [
        {"image": PICTURE, "image_path": "1.webp", "question": question, "answer": answer}
        for question, answer in (
            (f"Which lane may turn left?\n\nA. The left one\nB. The right one\nC. Both\n{letters}", "A"),
            ("How many cars wait?\n\nPlease answer directly with a single word or number.", "3"),
            (f"Which is nearer?\n\nA. The bus\nB. The van\n{letters}", "B"),
        )
    ]
    return Stock("realworldqa/realworldqa.yaml", "exact_match", rows, ["\\boxed{A}", "4", None])


def _pope() -> Stock:
    rows = [
        {
            **{"id": str(n), "question_id": str(n), "question": f"Is there a {thing} in the image?", "answer": answer},
            **{"image_source": "COCO_1", "category": "random", "image": PICTURE},
        }
        for n, (thing, answer) in enumerate([("kettle", "yes"), ("dog", "no"), ("wine glass", "yes")])
    ]
    return Stock("pope/pope.yaml", "pope_accuracy", rows, ["Yes, it is there.", "Yes", None])


def _mathvista(kind: str) -> Stock:
    metadata = {
        **{"split": "testmini", "language": "english", "source": "IQTest", "category": "general-vqa", "img_width": 56},
        **{"task": "visual question answering", "context": "synthetic scene", "grade": "not applicable"},
        **{"skills": ["numeric commonsense"], "img_height": 56},
    }
    rows = [
        {
            **{"pid": str(n), "question": q, "image": f"{n}.jpg", "decoded_image": PICTURE, "choices": c, "unit": None},
            **{"precision": p, "answer": a, "question_type": t, "answer_type": k, "metadata": metadata, "query": q},
        }
        for n, (q, c, p, a, t, k) in enumerate(
            [
                ("Which is longer?", ["the red one", "the blue one"], None, "the blue one", "multi_choice", "text"),
                ("How many cubes are there?", None, None, "7", "free_form", "integer"),
                ("What is the slope?", None, 1.0, "1.2", "free_form", "float"),
            ]
        )
    ]
    yaml = f"mathvista/mathvista_testmini_{kind}.yaml"
    return Stock(yaml, "llm_as_judge_eval", rows, ["\\boxed{B}", "8", None], paid=True)


def _mathverse(yaml: str) -> Stock:
    rows = [
        {
            **{
                "sample_index": str(n),
                "problem_index": str(n),
                "problem_version": "Vision Only",
                "question": "",
                "image": PICTURE,
                "answer": a,
                "question_type": t,
                "query_wo": q,
                "query_cot": q,
                "question_for_eval": q,
            },
            "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Angle"},
        }
        for n, (q, a, t) in enumerate(
            [
                ("Give the option letter.\nWhat is angle 2?\nChoices:\nA:50°\nB:60°", "B", "multi-choice"),
                ("How long is AB?", "6", "free-form"),
                ("How long is CD?", "5\\sqrt{2}", "free-form"),
            ]
        )
    ]
    return Stock(f"mathverse/{yaml}.yaml", "gpt_eval_score", rows, ["\\boxed{B}", "7", None], paid=True)


def _mmvet() -> Stock:
    rows = [
        {
            **{"question_id": f"v1_{n}", "image": PICTURE, "question": q, "answer": a, "image_source": "web"},
            **{"capability": "ocr,math", "img_path": ""},
        }
        for n, (q, a) in enumerate(
            [("What is x?", "-1"), ("What is the total?", "12.5<OR>12.50"), ("What does he hold?", "a kettle")]
        )
    ]
    return Stock("mmvet/mmvet.yaml", "gpt_eval_score", rows, ["\\boxed{-1}", "13", None], paid=True)


def _mmbench() -> Stock:
    rows = [
        {
            **{"index": n, "question": q, "hint": "nan", "answer": "nan", "image": PICTURE, "source": "web"},
            **{"A": "red", "B": "dark red", "C": "nan", "D": "nan", "split": "test", "comment": "nan"},
            **{"category": "attribute", "L2-category": "perception"},
        }
        for n, q in enumerate(["Which colour is the van?", "Which is the roof?", "Which is the door?"])
    ]
    return Stock("mmbench/mmbench_en_test.yaml", "submission", rows, ["\\boxed{B}", "red", None])


STOCK = {
    **{"chartqa": _chartqa(), "ocrbench": _ocrbench(), "docvqa_val": _docvqa(), "mme": _mme()},
    **{"realworldqa": _realworldqa(), "pope": _pope(), "mmbench_en_test": _mmbench(), "mmvet": _mmvet()},
    **{f"mathvista_testmini_{kind}": _mathvista(kind) for kind in ("cot", "format", "solution")},
    **{name: _mathverse(name) for name in ("mathverse_testmini", "mathverse_testmini_vision_only")},
}
"""``mmmu_val`` has documents of its own in `tests.e2e.two_images`."""


class StockTask(ConfigurableMessagesTask):  # type: ignore[misc]
    """A stock task as lmms-eval builds it for chat models, on rows that are already here."""

    def __init__(self, yaml: Path, rows: Dataset) -> None:
        self._rows = rows
        super().__init__(config=load_yaml_config(yaml_path=str(yaml)))

    def download(self, dataset_kwargs: Any = None) -> None:
        """In place of the hub."""
        self.dataset = self.dataset_no_image = DatasetDict({self.config.test_split: self._rows})

    def played(self, answers: Sequence[str | None], method: str = "visionthink") -> list[str]:
        """What scorers are handed when a model asks for the whole image each time and answers so."""
        split = self.config.test_split
        requests = [
            SimpleNamespace(
                args=(self.doc_to_text(row), self.doc_to_messages, {}, number, self.task_name, split), metadata={}
            )
            for number, row in enumerate(self.task_docs)
        ]
        samples = [sample for sample in samples_of(requests, {self.task_name: {split: self.task_docs}}) if sample]

        def reply(key: str, turn: Any) -> str:
            answer = answers[int(key.rpartition("/")[2])]
            if turn.name == "reduced":
                return CALL
            return UNREADABLE if answer is None else f"<think>so</think><answer>{answer}</answer>"

        engine = ScriptedEngine(reply, VisionGrid())
        chosen = method_named(method)
        entries = play_samples(engine, samples, ModelArguments(chosen, chosen.config(), {}))
        return [entries[sample.key].returned for sample in samples]

    def results(self, returned: Sequence[str]) -> list[dict[str, Any]]:
        """What the stock filters and the stock scorer make of them."""
        instances = [
            Instance("generate_until", (), 0, {"task": self.task_name, "doc_id": number, "repeats": 1}, [text])
            for number, text in enumerate(returned)
        ]
        rows = list(self.task_docs)
        for ensemble in self._filters:
            ensemble.apply(instances, rows)
        return [
            self.process_results(row, [next(iter(instance.filtered_resps.values()))])
            for row, instance in zip(rows, instances, strict=True)
        ]


def stock_task(name: str) -> StockTask:
    """A task of `STOCK`."""
    return StockTask(TASKS / STOCK[name].yaml, Dataset.from_list(list(STOCK[name].rows)))


def value_of(result: dict[str, Any], metric: str) -> float:
    """The score in what a stock scorer says of a sample."""
    value = result[metric]
    if isinstance(value, dict):
        value = value.get("score", value.get("true_false"))
    return float(value)


def scores(name: str) -> list[float]:
    """The stock score of each document of a task."""
    task, stock = stock_task(name), STOCK[name]
    return [value_of(result, stock.metric) for result in task.results(task.played(stock.answers))]


if __name__ == "__main__":
    print("RESULT " + json.dumps({name: scores(name) for name in sys.argv[1:]}))
