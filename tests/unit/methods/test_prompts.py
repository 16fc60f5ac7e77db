"""Prompts come from files that are read and never run; with a reference's prompts the turns are the reference's."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ergo_plugins.core.geometry import VisionGrid
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Reply, Turn, play
from ergo_plugins.methods.base import Sample
from ergo_plugins.methods.ergo import ERGO, Prompts, ZoomConfig
from ergo_plugins.methods.prompts import read_prompts as read_any

# The form of ERGO's released constants, in our own words.
CONSTANTS = r'''
"""Words for the two turns."""

from somewhere import nothing_we_have

SYSTEM_PROMPT = (
    "You are looking at maps. "
    'Say "here" when you know.\n'
)

QUESTION_TEMPLATE1 = """{Question}
Where on the map? Reply {"box": [..]} inside <zoom></zoom>."""
QUESTION_TEMPLATE2: str = ("A closer look. "  # two literals, side by side
                           "{Question} Reply inside <answer></answer>.")
OTHER = 3
'''
SYSTEM = 'You are looking at maps. Say "here" when you know.\n'
LOOK = '{question}\nWhere on the map? Reply {"box": [..]} inside <zoom></zoom>.'
ANSWER = "A closer look. {question} Reply inside <answer></answer>."

Written = Callable[[str, str], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a text under a name and returns where."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


# ---- Python files


def test_the_three_constants_are_read(written: Written) -> None:
    assert read_prompts(written("const.py", CONSTANTS)) == Prompts(system=SYSTEM, look=LOOK, answer=ANSWER)


@pytest.mark.parametrize(
    "harm",
    [
        "raise SystemExit(3)",
        "import os; os.remove({target!r})",
        "open({target!r}, 'w').close()",
        "OTHER = __import__('os').remove({target!r})",
        "class C:\n    __import__('os').remove({target!r})",
        "def f(x=__import__('os').remove({target!r})): pass",
    ],
)
def test_a_file_of_constants_is_never_run(written: Written, tmp_path: Path, harm: str) -> None:
    target = written("precious.txt", "still here")
    lines = harm.format(target=str(target))
    prompts = read_prompts(written("const.py", f"{lines}\n{CONSTANTS}\n{lines}\n"))
    assert prompts.system == SYSTEM
    assert target.read_text() == "still here"
    assert not list(tmp_path.rglob("__pycache__"))


def test_an_empty_system_prompt_is_no_system_message_and_not_ours(written: Written) -> None:
    assert read_prompts(written("const.py", CONSTANTS + "SYSTEM_PROMPT = ''\n")).system == ""


def test_the_last_of_two_assignments_counts_as_it_does_in_python(written: Written) -> None:
    prompts = read_prompts(written("const.py", CONSTANTS + "SYSTEM_PROMPT = 'Second thoughts.'\n"))
    assert prompts.system == "Second thoughts."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "SYSTEM_PROMPT, QUESTION_TEMPLATE1, QUESTION_TEMPLATE2"),
        (CONSTANTS.replace("QUESTION_TEMPLATE2", "QUESTION_TEMPLATE3"), "no text constant QUESTION_TEMPLATE2"),
        (CONSTANTS.replace("OTHER", "SYSTEM_PROMPT").replace("SYSTEM_PROMPT = (", "X = ("), "constant SYSTEM_PROMPT"),
        (CONSTANTS.replace('= """{Question}', '= f"""{Question}'), "constant QUESTION_TEMPLATE1"),
        (CONSTANTS + "SYSTEM_PROMPT = SYSTEM_PROMPT.strip()", "constant SYSTEM_PROMPT"),
        (CONSTANTS + "SYSTEM_PROMPT += 'More.'", "constant SYSTEM_PROMPT"),
        (CONSTANTS.replace("{Question}\nWhere", "Where"), "'look' has no {question}"),
        (CONSTANTS.replace("{Question} Reply", "Reply"), "'answer' has no {question}"),
        ("SYSTEM_PROMPT = (", "is no Python"),
    ],
)
def test_constants_that_are_missing_or_no_plain_text_are_named(written: Written, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_prompts(written("const.py", text))


# ---- yaml files


def test_a_yaml_file_changes_what_it_names_and_nothing_else(written: Written) -> None:
    prompts = read_prompts(written("prompts.yaml", 'look: "Where? {question}"\nsystem: ""\n'))
    assert prompts == Prompts(look="Where? {question}", system="")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lok: '{question}'", "unknown keys lok; known are system, look, answer, direct"),
        ("look: '{question}'\n3: x\nlook2: y", "unknown keys 3, look2; known"),
        ("look: 'Where?'", "'look' has no {question}"),
        ("answer: '{Question}'", "'answer' has no {question}"),
        ("look: 3", "look must be text"),
        ("look:\nanswer: []", "look, answer must be text"),
        ("- look", "no mapping"),
        ("", "no mapping"),
        ("look: 'open", "is no yaml"),
        ("look: !!python/object/apply:os.getcwd []", "is no yaml"),
    ],
)
def test_a_yaml_file_that_is_not_one_of_prompts_is_refused_by_name(written: Written, text: str, words: str) -> None:
    path = written("prompts.yaml", text)
    with pytest.raises(ValueError, match=words):
        read_prompts(path)


def test_files_of_other_kinds_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.yaml or \.py"):
        read_prompts(tmp_path / "prompts.txt")
    with pytest.raises(FileNotFoundError):
        read_prompts(tmp_path / "const.py")


# ---- what the model is told

STEM = "What is the {material} of the glove in {question} {coordinates}?"
FULL = f"{STEM}\nA. rubber\nB. cotton\nAnswer with the option's letter from the given choices directly."
IMAGE = Image.linear_gradient("L").resize((1200, 900)).convert("RGB")
REPLIES = ("<think>left</think><zoom>[100, 50, 300, 200]</zoom>", "<think>so</think><answer>B</answer>")


def read_prompts(path: Path) -> Prompts:
    """ERGO's."""
    return read_any(path, Prompts)


def conversation(config: ZoomConfig, grid: VisionGrid | None = None) -> list[Turn]:
    """The turns of one sample."""
    turns: list[Turn] = []

    def ask(turn: Turn) -> Reply:
        turns.append(turn)
        return Reply(REPLIES[len(turns) - 1])

    method, config = ERGO.variant(config)
    play(method.episode(Sample(IMAGE, split_question(FULL)), config, grid or VisionGrid()), ask)
    return turns


def test_the_conversation_is_the_references(written: Written) -> None:
    """System text once; the stem alone, then all of the question; each text after its image; each image in budget.

    Braces in a question are words like any other.
    """
    prompts = read_prompts(written("const.py", CONSTANTS))
    config = ZoomConfig(coarse_tokens=100, crop_tokens=200, prompts=prompts)
    look, answer = conversation(config)

    assert look.system == SYSTEM
    assert look.text == STEM + '\nWhere on the map? Reply {"box": [..]} inside <zoom></zoom>.'
    assert look.stop == ("</zoom>",)
    assert answer.system == ""
    assert answer.text == f"A closer look. {FULL} Reply inside <answer></answer>."
    assert answer.stop == ()
    assert (look.max_new_tokens, answer.max_new_tokens) == (1024, 1024)

    assert look.images[0].size == (11 * 28, 8 * 28)  # 88 tokens of 100, the proportions of 1200x900
    assert look.images[0].tobytes() == IMAGE.resize((11 * 28, 8 * 28), Image.Resampling.BICUBIC).tobytes()
    x_scale, y_scale = 1200 / (11 * 28), 900 / (8 * 28)
    region = (int(100 * x_scale), int(50 * y_scale), -int(-300 * x_scale // 1), -int(-200 * y_scale // 1))
    assert answer.images[0].size == (16 * 28, 12 * 28)  # 192 tokens of 200
    assert answer.images[0].tobytes() == IMAGE.crop(region).resize((448, 336), Image.Resampling.BICUBIC).tobytes()


def test_our_own_prompts_ask_in_the_coordinates_of_the_model() -> None:
    absolute, _ = conversation(ZoomConfig())
    relative, _ = conversation(ZoomConfig(), VisionGrid(32, "relative"))
    assert "pixels of this image" in absolute.text
    assert "0 to 1000" in relative.text
    for turn in (absolute, relative):
        assert "{coordinates} and" not in turn.text
        assert turn.text.count(STEM) == 1
        assert "rubber" not in turn.text


def test_the_first_turn_can_be_asked_the_full_question() -> None:
    look, _ = conversation(ZoomConfig(stage1_question="full"))
    assert FULL in look.text


def test_a_single_pass_asks_in_the_benchmarks_own_words() -> None:
    (only,) = conversation(ZoomConfig(zoom="off", coarse_tokens=100))
    assert only.text == FULL
    assert only.system == ""
    assert only.images[0].size == (11 * 28, 8 * 28)


def test_prompts_without_a_place_for_the_question_are_refused() -> None:
    with pytest.raises(ValueError, match="'direct' has no"):
        Prompts(direct="Say something.")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("coarse_tokens", 0, "coarse_tokens is at least 1, got 0"),
        ("answer_new_tokens", -1, "answer_new_tokens"),
        ("stage1_question", "options", "one of stem, full, got 'options'"),
        ("zoom", "yes", "one of on, off"),
        ("resample", "nearest", "one of bicubic"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(setting: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ZoomConfig(**{setting: value})  # type: ignore[arg-type]
