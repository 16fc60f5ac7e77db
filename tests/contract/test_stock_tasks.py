"""Stock lmms-eval benchmarks: what their own text becomes in our two turns, and what their own scorers say to our
answers. Real yaml files, real task functions, filters and aggregations; only the rows are ours, shaped like theirs."""

import base64
import io
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmms_eval
import pytest
import requests
from datasets import Dataset, DatasetDict
from lmms_eval.api.instance import Instance
from lmms_eval.api.task import ConfigurableMessagesTask
from lmms_eval.evaluator_utils import TaskOutput
from lmms_eval.utils import load_yaml_config
from PIL import Image

from ergo_plugins.core.answers import bare_answer
from ergo_plugins.core.questions import Question, split_question

TASKS = Path(lmms_eval.__file__).parent / "tasks"

PICTURE = Image.new("RGB", (8, 8), "teal")


def base64_png() -> str:
    file = io.BytesIO()
    PICTURE.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@dataclass(frozen=True)
class Asked:
    """One row of a benchmark, and what we want to make of it.

    Attributes:
        row: as the dataset has it.
        stem: what the first turn is to ask.
        options: texts of the choices, in order; empty for an open question.
        right: the answer that scores, in the benchmark's own form.
        wrong: one that does not.
    """

    row: dict[str, Any]
    stem: str
    options: tuple[str, ...]
    right: str
    wrong: str


@dataclass(frozen=True)
class Benchmark:
    """A stock task.

    Attributes:
        yaml: below lmms-eval's ``tasks``.
        metric: its main metric.
        asked: rows; as many as make every part of its aggregation run.
        full_marks: the metric when all is right.
    """

    yaml: str
    metric: str
    asked: tuple[Asked, ...]
    full_marks: float = 1.0


def vstar(number: int, category: str, question: str, options: tuple[str, ...], right: str, wrong: str) -> Asked:
    listed = "\n".join(f"({letter}) {option}" for letter, option in zip("ABCD", options, strict=False))
    text = f"{question}\n{listed}\nAnswer with the option's letter from the given choices directly."
    row = {"image": PICTURE, "text": text, "category": category, "label": right, "question_id": str(number)}
    return Asked(row, question, options, right, wrong)


def hrbench(number: int, category: str, cycle: str, question: str, options: tuple[str, ...], right: str) -> Asked:
    row = {
        "index": number,
        "question": question,
        "answer": right,
        **dict(zip("ABCD", options, strict=True)),
        "category": category,
        "cycle_category": cycle,
        "image": base64_png(),
    }
    return Asked(row, question, options, right, "B" if right != "B" else "C")


def hrbench_rows() -> tuple[Asked, ...]:
    return (
        hrbench(0, "single", "0", "What is written on the van?", ("Ace", "Zed", "A to B", "Nothing"), "A"),
        hrbench(1, "cross", "1", "Where is the man, relative to the van?", ("Left", "Right", "Above", "Below"), "D"),
        hrbench(2, "single", "2", "How many windows does the tower have?", ("7", "17", "70", "71"), "C"),
        hrbench(3, "cross", "3", "What colour is the A. Miller & Co. sign?", ("red", "dark red", "blue", "tan"), "B"),
    )


def mme(number: int, category: str, l2: str, question: str, options: tuple[str, ...], right: str, wrong: str) -> Asked:
    row = {
        "index": number,
        "bytes": base64_png(),
        "question": question,
        "multi-choice options": [f"({letter}) {text}" for letter, text in zip("ABCDE", options, strict=True)],
        "answer": right,
        "category": category,
        "l2-category": l2,
    }
    return Asked(row, question, options, right, wrong)


NOT_SHOWN = "This image doesn't feature the object."


def cvbench(number: int, source: str, question: str, options: tuple[str, ...], right: str, wrong: str) -> Asked:
    choices = "\n".join(f"({letter}) {text}" for letter, text in zip("ABCDEF", options, strict=False))
    row = {
        "idx": number,
        "type": "3D" if source == "Omni3D" else "2D",
        "task": "Depth" if source == "Omni3D" else "Count",
        "image": PICTURE,
        "question": question,
        "choices": list(options),
        "answer": f"({right})",
        "prompt": f"{question} Select from the following choices.\n{choices}",
        "source": source,
    }
    return Asked(row, question, options, right, wrong)


def mmvp(number: int, question: str, options: tuple[str, str], right: str) -> Asked:
    row = {
        "Index": number,
        "Question": question,
        "Options": f"(a) {options[0]} (b) {options[1]}",
        "Correct Answer": f"({right.lower()})",
        "image": PICTURE,
    }
    return Asked(row, question, options, right, "A" if right == "B" else "B")


def pope(number: int, thing: str, right: str) -> Asked:
    question = f"Is there a {thing} in the image?"
    row = {"question_id": str(number), "question": question, "answer": right, "category": "random", "image": PICTURE}
    return Asked(row, question, (), right, "no" if right == "yes" else "yes")


def ai2d(question: str, options: tuple[str, ...], right: str, wrong: str) -> Asked:
    row = {"question": question, "options": list(options), "answer": str("ABCD".index(right)), "image": PICTURE}
    return Asked(row, question, options, right, wrong)


def chartqa(kind: str, question: str, right: str, wrong: str) -> Asked:
    return Asked({"type": kind, "question": question, "answer": right, "image": PICTURE}, question, (), right, wrong)


def realworldqa(question: str, options: tuple[str, ...], right: str, wrong: str) -> Asked:
    listed = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", options, strict=False))
    request = (
        f"{listed}\nPlease answer directly with only the letter of the correct option and nothing else."
        if options
        else "Please answer directly with a single word or number."
    )
    row = {"image": PICTURE, "question": f"{question}\n\n{request}", "answer": right}
    return Asked(row, question, options, right, wrong)


BENCHMARKS = {
    "vstar_bench": Benchmark(
        "vstar_bench/vstar_bench.yaml",
        "vstar_overall_acc",
        (
            vstar(
                0,
                "direct_attributes",
                "What is the material of the scarf?",
                ("wool", "silk", "linen", "a man-made fibre"),
                "D",
                "A",
            ),
            vstar(
                1,
                "relative_position",
                "Is the lamp on the left or right side of the A-frame sign?",
                ("right", "left"),
                "B",
                "A",
            ),
            vstar(
                2, "direct_attributes", "What is the color of the kite?", ("blue", "red", "white", "black"), "A", "C"
            ),
        ),
        full_marks=100.0,
    ),
    "hrbench4k": Benchmark("hrbench/hrbench4k.yaml", "average", hrbench_rows()),
    "hrbench8k": Benchmark("hrbench/hrbench8k.yaml", "average", hrbench_rows()),
    "mmerealworld_lite": Benchmark(
        "mme_realworld/mme_realworld_lite.yaml",
        "mme_realworld_score",
        (
            mme(
                0,
                "Perception/Remote Sensing",
                "color",
                "What color is the roof in the lower left area of the picture?",
                ("Red", "Grey", "Green", "Brown", NOT_SHOWN),
                "D",
                "B",
            ),
            mme(
                1,
                "Reasoning/Autonomous_Driving",
                "attention/attribute",
                "You are driving. Which sign applies?",
                ("Stop", "Give way", "No entry", "One way", NOT_SHOWN),
                "E",
                "A",
            ),
            mme(
                2,
                "Perception/Monitoring",
                "counting",
                "How many bicycles stand by the fence?",
                ("3", "13", "30", "33", NOT_SHOWN),
                "A",
                "E",
            ),
        ),
    ),
    "cv_bench": Benchmark(
        "cv_bench/cv_bench.yaml",
        "cv_bench_acc",
        (
            cvbench(0, "ADE20K", "How many chairs are in the image?", ("3", "1", "0", "2"), "C", "A"),
            cvbench(
                1,
                "COCO",
                "Considering the relative positions of the cat (marked by the red box) and the cup, "
                "where is the cat located with respect to the cup?",
                ("above", "below"),
                "A",
                "B",
            ),
            cvbench(
                2,
                "Omni3D",
                "Which object is closer to the camera taking this photo, the desk or the door?",
                ("desk", "door"),
                "B",
                "A",
            ),
        ),
    ),
    "mmvp": Benchmark(
        "mmvp/mmvp.yaml",
        "mmvp_accuracy",
        (
            mmvp(1, "Is the window open or closed?", ("Open", "Closed"), "A"),
            mmvp(2, "Is the window open or closed?", ("Open", "Closed"), "B"),
            mmvp(3, "Does the boat face the viewer?", ("Yes", "No"), "B"),
            mmvp(4, "Does the boat face the viewer?", ("Yes", "No"), "A"),
        ),
    ),
    "pope": Benchmark(
        "pope/pope.yaml",
        "pope_accuracy",
        (pope(0, "kettle", "yes"), pope(1, "dog", "no"), pope(2, "wine glass", "yes")),
    ),
    "ai2d": Benchmark(
        "ai2d/ai2d.yaml",
        "exact_match",
        (
            ai2d("Which part does the letter C point to?", ("Root", "Stem", "Leaf", "A seed"), "C", "A"),
            ai2d("What eats the beetle?", ("the fox", "the owl", "the A. niger mould", "none"), "B", "D"),
            ai2d("From the diagram, how many stages are there?", ("4", "3", "5", "2"), "A", "B"),
        ),
    ),
    "chartqa": Benchmark(
        "chartqa/chartqa.yaml",
        "relaxed_overall",
        (
            chartqa("human_test", "What was the share in 1999?", "14", "15"),
            chartqa("augmented_test", "Which country leads?", "New Zealand", "Zealand"),
            chartqa("human_test", "Is the blue line ever above the red one?", "No", "Yes"),
        ),
    ),
    "realworldqa": Benchmark(
        "realworldqa/realworldqa.yaml",
        "exact_match",
        (
            realworldqa("Which lane may turn left?", ("The left one", "The right one", "Both"), "A", "B"),
            realworldqa("How many cars are waiting?", (), "3", "4"),
            realworldqa("Does the road go up or down?", (), "Downhill", "Uphill"),
        ),
    ),
}
"""Invented rows with the fields that the tasks read, and traps in them: ``a man-made fibre`` begins with a letter that
is a choice, ``A. Miller`` looks like an option, ``17`` holds ``7``."""


class LocalTask(ConfigurableMessagesTask):  # type: ignore[misc]
    """A stock task as lmms-eval builds it for chat models, on rows that are already here."""

    def __init__(self, name: str) -> None:
        self._asked = BENCHMARKS[name].asked
        super().__init__(config=load_yaml_config(yaml_path=str(TASKS / BENCHMARKS[name].yaml)))
        self.args = None

    def download(self, dataset_kwargs: Any = None) -> None:
        rows = Dataset.from_list([asked.row for asked in self._asked])
        self.dataset = self.dataset_no_image = DatasetDict({self.config.test_split: rows})

    def question(self, doc_id: int) -> Question:
        """The question of a row as our model receives it: the text of the host's messages, taken apart."""
        (message,) = self.doc_to_messages(self.task_docs[doc_id])
        (text,) = [part["text"] for part in message["content"] if part["type"] == "text"]
        assert len([part for part in message["content"] if part["type"] == "image"]) == 1
        assert text == self.doc_to_text(self.task_docs[doc_id])
        return split_question(text)

    def score(self, returned: dict[int, str], metric: str) -> float:
        """The host's metric over some rows and what our model returned for them: filters, scorer, aggregation."""
        instances = [
            Instance("generate_until", (), 0, {"task": self.task_name, "doc_id": i, "repeats": 1}, [text])
            for i, text in returned.items()
        ]
        rows = [self.task_docs[i] for i in returned]
        for ensemble in self._filters:
            ensemble.apply(instances, rows)
        output = TaskOutput.from_taskdict(self.task_name, self)
        for instance, row in zip(instances, rows, strict=True):
            for key, response in instance.filtered_resps.items():
                for name, value in self.process_results(row, [response]).items():
                    output.sample_metrics[name, key].append(value)
        output.calculate_aggregate_metric(bootstrap_iters=0)
        (score,) = [value for key, value in output.agg_metrics.items() if key.split(",")[0] == metric]
        return float(score)


_tasks: dict[str, LocalTask] = {}


@pytest.fixture(params=BENCHMARKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def task(name: str) -> LocalTask:
    if name not in _tasks:
        _tasks[name] = LocalTask(name)
    return _tasks[name]


@pytest.fixture(autouse=True)
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every attempt to reach the network, which fails; scorers swallow the failure, so the attempts are kept."""
    attempts: list[str] = []

    def refused(*arguments: Any, **_: Any) -> Any:
        attempts.append(str(arguments[:2]))
        raise requests.ConnectionError("no network in this test")

    monkeypatch.setattr(requests, "post", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    yield attempts
    assert attempts == [], "a scorer called somebody"


def test_the_first_turn_asks_the_question_alone(name: str, task: LocalTask) -> None:
    for doc_id, asked in enumerate(BENCHMARKS[name].asked):
        question = task.question(doc_id)
        assert question.stem == asked.stem
        assert tuple(option.text for option in question.options) == asked.options
        assert question.letters == tuple("ABCDE"[: len(asked.options)])
        assert question.full == task.doc_to_text(task.task_docs[doc_id])


def dressed(asked: Asked, answer: str) -> list[str]:
    """Ways in which a model may give an answer."""
    if not asked.options:
        said = [answer, f"{answer}.", f" {answer}\n", f"**{answer}**", answer.capitalize()]
        return [*said, f"{answer}, it is.", f"{answer.capitalize()}. I see it."] if answer in ("yes", "no") else said
    text = asked.options["ABCDE".index(answer)]
    return [
        *(
            answer,
            answer.lower(),
            f"({answer})",
            f"{answer}.",
            f"**{answer}**",
            f"{answer}. {text}",
            f"({answer}) {text}",
        ),
        *(f"The answer is {answer}.", f"Answer: ({answer})", f"\\boxed{{{answer}}}", text, f"{text}."),
    ]


CHOOSES_NOTHING = [
    "I cannot tell.",
    "",
    "...",
    "Z",
    "A man is there",
    "A or B",
    "None",
    "z",
    "The answer is unclear",
    "It's A's",
]
SAYS_NOTHING = ["I cannot tell.", "", "...", "Z", "A man is there", "maybe"]


def test_a_right_answer_scores_however_it_is_put(name: str, task: LocalTask) -> None:
    benchmark = BENCHMARKS[name]
    for doc_id, asked in enumerate(benchmark.asked):
        options = task.question(doc_id).options
        for reply in dressed(asked, asked.right):
            assert task.score({doc_id: bare_answer(reply, options)}, benchmark.metric) == benchmark.full_marks, reply


def test_a_wrong_answer_scores_nothing_however_it_is_put(name: str, task: LocalTask) -> None:
    benchmark = BENCHMARKS[name]
    for doc_id, asked in enumerate(benchmark.asked):
        options = task.question(doc_id).options
        for reply in dressed(asked, asked.wrong):
            assert task.score({doc_id: bare_answer(reply, options)}, benchmark.metric) == 0, reply


def test_a_reply_without_an_answer_scores_nothing_and_asks_no_judge(name: str, task: LocalTask) -> None:
    benchmark = BENCHMARKS[name]
    for doc_id, asked in enumerate(benchmark.asked):
        options = task.question(doc_id).options
        for reply in CHOOSES_NOTHING if asked.options else SAYS_NOTHING:
            assert task.score({doc_id: bare_answer(reply, options)}, benchmark.metric) == 0, reply


def test_every_sample_counts_in_the_mean(name: str, task: LocalTask) -> None:
    benchmark = BENCHMARKS[name]
    replies = [asked.right for asked in benchmark.asked]
    replies[0], replies[1] = "I cannot tell.", benchmark.asked[1].wrong
    returned = {i: bare_answer(reply, task.question(i).options) for i, reply in enumerate(replies)}
    share = (len(replies) - 2) / len(replies)
    assert task.score(returned, benchmark.metric) == pytest.approx(share * benchmark.full_marks)


def test_the_pairs_of_mmvp_are_scored() -> None:
    task = LocalTask("mmvp")
    right = {i: asked.right for i, asked in enumerate(BENCHMARKS["mmvp"].asked)}
    assert task.score(right, "mmvp_pair_accuracy") == 1
    assert (
        task.score({**right, 0: bare_answer("I cannot tell.", task.question(0).options)}, "mmvp_pair_accuracy") == 0.5
    )


# ---- why the bare letter is returned: the same scorers on what a model says. When one of these fails, the host has
# ---- changed for the better, and there is less for us to do.


def test_vstar_takes_an_article_for_a_letter() -> None:
    task = LocalTask("vstar_bench")
    assert task.score({2: "A dark one"}, "vstar_overall_acc") == 100  # the right letter is A
    assert task.score({2: bare_answer("A dark one", task.question(2).options)}, "vstar_overall_acc") == 0


def test_hrbench_would_call_its_judge(calls: list[str]) -> None:
    from lmms_eval.tasks.hrbench.utils import hrbench_evaluator

    options = dict(zip("ABCD", ("Ace", "Zed", "A to B", "Nothing"), strict=True))
    hrbench_evaluator.get_chat_response({"question": "?", "options": options, "prediction": "I cannot tell."})
    assert calls
    calls.clear()


def test_pope_scores_a_sentence_as_wrong() -> None:
    task = LocalTask("pope")
    assert task.score({0: "Yes, there is."}, "pope_accuracy") == 0
    assert task.score({0: bare_answer("Yes, there is.", ())}, "pope_accuracy") == 1
