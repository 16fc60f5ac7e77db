"""What the model wrote is read leniently, reported exactly, and never raises or takes long."""

import math
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ergo_plugins.core.answers import bare_answer, extract_letter, matches
from ergo_plugins.core.grounding import parse_located
from ergo_plugins.core.questions import Option
from ergo_plugins.core.replies import (
    LONGEST_SHOWN,
    is_well_formed_answer,
    outside_thinking,
    parse_answer,
    shown,
)
from ergo_plugins.methods.egm import is_well_formed as is_well_formed_grounding
from ergo_plugins.methods.ergo import is_well_formed_look, parse_look
from tests.unit.core.strange_replies import BOXES, LONG

OPTIONS = tuple(Option(letter, text) for letter, text in zip("ABCD", ("red", "blue", "a man", "7"), strict=True))


def letter(text: str) -> object:
    return extract_letter(text, OPTIONS)


def open_answer(text: str) -> object:
    return bare_answer(text, ())


def number_match(text: str) -> object:
    return matches(text, "7", "number")


READERS: dict[Callable[[str], object], tuple[str, ...]] = {
    parse_look: ("", "<zoom>", "<zoom>[", "<think></think><zoom>[1,2,3,4]"),
    parse_answer: ("", "<answer>", "<think></think><answer>B"),
    is_well_formed_look: ("", "<think></think><zoom>[", "<think></think><zoom>[1"),
    is_well_formed_answer: ("", "<think></think><answer>"),
    outside_thinking: ("", "<think>"),
    shown: ("",),
    letter: ("", "the answer", "the answer is", "\\boxed{", "A", "(A", "Zz"),
    open_answer: ("", "Yes"),
    number_match: ("", "$", "-", "7"),
    parse_located: ("", "<box>[", "[1, 2,", "<think></think>[1"),
    is_well_formed_grounding: ("", "<think>", "<think></think>[{"),
}
"""All that read model text, and what a long run can follow so that their patterns match for long before they fail."""


# ---- the box


@pytest.mark.parametrize("name", BOXES)
def test_the_box_of_a_reply(name: str) -> None:
    reply, corners = BOXES[name]
    look = parse_look(reply)
    assert (look.box_frame.as_tuple() if look.box_frame else None) == corners
    assert (look.problem is None) == (corners is not None)


@pytest.mark.parametrize(
    ("reply", "repairs"),
    [
        ("<think>left</think><zoom>[10, 20, 30, 40]</zoom>", ()),
        ("<zoom>[30, 40, 10, 20]</zoom>", ("corners swapped",)),
        ("<zoom>[30, 40, 10, 20][3, 4, 1, 2]</zoom>", ("corners swapped", "union of 2 boxes")),
        ("<zoom>[10, 20, 30, 40]", ("no </zoom>",)),
        ("<think><zoom>[10, 20, 30, 40]", ("<zoom> inside <think>", "no </zoom>")),
    ],
)
def test_every_repair_of_a_box_is_listed_once(reply: str, repairs: tuple[str, ...]) -> None:
    assert parse_look(reply).repairs == repairs


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ("it is red", "no <zoom>"),
        ("<zoom>[1, 2, 3]</zoom>", "4 numbers expected, got 3 in '1, 2, 3'"),
        ("<zoom>1, 2, 3, 4</zoom><zoom>5</zoom>", "4 numbers expected, got 5 in '1, 2, 3, 4 5'"),
        ("<zoom>[1, 2, 3, 9999999]</zoom>", "4 numbers up to 1000000 expected in '1, 2, 3, 9999999'"),
    ],
)
def test_a_problem_says_what_was_wanted_and_what_came(reply: str, problem: str) -> None:
    assert parse_look(reply).problem == problem


@given(st.tuples(*[st.integers(-(10**6), 10**6)] * 4))
def test_any_four_whole_numbers_are_a_box_in_order(corners: tuple[int, int, int, int]) -> None:
    look = parse_look(f"<think>there</think><zoom>{list(corners)}</zoom>")
    assert look.box_frame is not None
    x1, y1, x2, y2 = look.box_frame.as_tuple()
    assert (x1, x2) == tuple(sorted((corners[0], corners[2])))
    assert (y1, y2) == tuple(sorted((corners[1], corners[3])))
    assert look.repairs == (() if (x1, y1) == corners[:2] else ("corners swapped",))


# ---- the answer


@pytest.mark.parametrize(
    ("reply", "text", "repairs", "problem"),
    [
        ("<think>so</think><answer>B</answer>", "B", (), None),
        ("<answer>\n B. red \n</answer>", "B. red", (), None),
        ("<answer>B", "B", ("no </answer>",), None),
        ("<answer>A</answer><answer>B</answer>", "B", ("last of 2 answers",), None),
        ("<answer>A</answer><answer></answer>", "A", (), None),
        ("<answer><answer>B</answer></answer>", "B", (), None),
        ("<think><answer>A</answer> no</think><answer>B</answer>", "B", (), None),
        ("<think><answer>A</answer>", "A", ("<answer> inside <think>",), None),
        ("<think>so</think>The answer is B.", "The answer is B.", (), "no <answer>"),
        ("I first thought A.</think>\n\nB", "B", (), "no <answer>"),
        ("B", "B", (), "no <answer>"),
        ("<answer></answer>", "", (), "empty <answer>"),
        ("<answer> \n </answer>", "", (), "empty <answer>"),
        ("<think>all of it is thought", "", (), "no <answer>, and nothing outside <think>"),
        ("", "", (), "no <answer>, and nothing outside <think>"),
        ("<answer>1 < 2 & </b></answer>", "1 < 2 & </b>", (), None),
    ],
)
def test_the_answer_of_a_reply(reply: str, text: str, repairs: tuple[str, ...], problem: str | None) -> None:
    answer = parse_answer(reply)
    assert (answer.text, answer.repairs, answer.problem) == (text, repairs, problem)


# ---- the form that is rewarded

GOOD_LOOK = "<think>on the left</think><zoom>[10, 20, 30, 40]</zoom>"
GOOD_ANSWER = "<think>it is red</think><answer>B</answer>"


@pytest.mark.parametrize(
    "reply",
    [
        GOOD_LOOK,
        f"\n{GOOD_LOOK}\n",
        "<think>\n</think>\n\n<zoom> [10,20,30,40] </zoom>",
        "<think></think><zoom>[0, 0, 0, 0]</zoom>",
    ],
)
def test_a_well_formed_look(reply: str) -> None:
    assert is_well_formed_look(reply)
    assert not is_well_formed_answer(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "<zoom>[10, 20, 30, 40]</zoom>",
        "<think>left</think>[10, 20, 30, 40]",
        GOOD_LOOK + "So I look there.",
        "Well: " + GOOD_LOOK,
        "<think>a</think>then<zoom>[10, 20, 30, 40]</zoom>",
        "<zoom>[10, 20, 30, 40]</zoom><think>left</think>",
        "<think>left<zoom>[10, 20, 30, 40]</zoom></think>",
        "<think>left</think><zoom>[10, 20, 30, 40]",
        "<think>left<zoom>[10, 20, 30, 40]</zoom>",
        GOOD_LOOK + GOOD_LOOK,
        "<think>a</think>" + GOOD_LOOK,
        "<think>a" + GOOD_LOOK,
        "<think>left</think><zoom>10, 20, 30, 40</zoom>",
        "<think>left</think><zoom>[10, 20, 30]</zoom>",
        "<think>left</think><zoom>[10.5, 20, 30, 40]</zoom>",
        "<think>left</think><zoom>[-10, 20, 30, 40]</zoom>",
        "<think>left</think><zoom>[10, 20, 30, 40], [1, 2, 3, 4]</zoom>",
        "<think>left</think><zoom>[１０, 20, 30, 40]</zoom>",
        "<Think>left</Think><zoom>[10, 20, 30, 40]</zoom>",
    ],
)
def test_a_look_that_is_not_well_formed(reply: str) -> None:
    assert not is_well_formed_look(reply)


@pytest.mark.parametrize("reply", [GOOD_ANSWER, f" {GOOD_ANSWER}\n", "<think>\n\n</think>\n<answer>a < b</answer>"])
def test_a_well_formed_answer(reply: str) -> None:
    assert is_well_formed_answer(reply)
    assert not is_well_formed_look(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "B",
        "<answer>B</answer>",
        "<think>so</think>B",
        "<think>so</think><answer></answer>",
        "<think>so</think><answer> </answer>",
        "<think>so</think><answer>B",
        "<answer>B</answer><think>so</think>",
        "<think>so<answer>B</answer></think>",
        GOOD_ANSWER + ".",
        GOOD_ANSWER + GOOD_ANSWER,
        "<think>so</think><answer><answer>B</answer>",
        GOOD_LOOK + GOOD_ANSWER,
    ],
)
def test_an_answer_that_is_not_well_formed(reply: str) -> None:
    assert not is_well_formed_answer(reply)


@given(st.text(), st.text())
def test_what_is_well_formed_is_read_without_repairs(thought: str, answer: str) -> None:
    reply = f"<think>{thought}</think><answer>{answer}</answer>"
    if is_well_formed_answer(reply):
        assert parse_answer(reply).text == answer.strip()
        assert parse_answer(reply).repairs == ()
    look = f"<think>{thought}</think><zoom>[1, 2, 3, 4]</zoom>"
    if is_well_formed_look(look):
        assert parse_look(look).repairs == ()
        assert parse_look(look).box_frame is not None


# ---- any text at all

pieces = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<zoom>",
        "</zoom>",
        "<answer>",
        "</answer>",
        "[",
        "]",
        "1",
        "-",
        ".",
        "e",
        ",",
        " ",
        "９",
        "A",
    ]
)
replies = st.text() | st.lists(pieces | st.text(max_size=3), max_size=40).map("".join)


@given(replies)
@example("<zoom>[1e400,2,3,4]</zoom>")
def test_no_reply_raises_and_every_result_is_usable(reply: str) -> None:
    for read in READERS:
        read(reply)
    look, answer = parse_look(reply), parse_answer(reply)
    assert (look.box_frame is None) != (look.problem is None)
    if look.box_frame:
        box = look.box_frame
        assert all(math.isfinite(corner) for corner in (*box.as_tuple(), box.area))
        assert box.x1 <= box.x2
        assert box.y1 <= box.y2
    assert answer.text == answer.text.strip()
    assert answer.text or answer.problem
    for words in (look.problem or "", answer.problem or ""):
        assert "\n" not in words
        assert len(words) < 200 + 10 * LONGEST_SHOWN  # repr() writes some characters as ten


def cpu_seconds(read: Callable[[str], object], text: str, repeats: int) -> float:
    """The shortest of several, in processor time: a busy machine does not look like a slow function."""
    times = []
    for _ in range(repeats):
        started = time.thread_time()
        read(text)
        times.append(time.thread_time() - started)
    return min(times)


@pytest.mark.parametrize("unit", LONG.values(), ids=LONG.keys())
def test_reading_takes_time_in_proportion_to_the_length(unit: str) -> None:
    """Sixteen times the text takes at most 64 times as long; quadratic reading takes 256 times as long."""
    for read, prefixes in READERS.items():
        for prefix in prefixes:
            short, long = (prefix + unit * (length // len(unit)) + "!" for length in (1_000, 16_000))
            once = cpu_seconds(read, short, repeats=3)
            assert once < 0.1, f"{read.__name__} of {prefix!r} + {unit!r} * n took {once:.1f} s for 1000 characters"
            then = cpu_seconds(read, long, repeats=1)
            if then >= 64 * once:  # what shares the core slows even processor time; what is quadratic stays so
                once, then = cpu_seconds(read, short, repeats=20), min(then, cpu_seconds(read, long, repeats=20))
            assert then < 64 * once, f"{read.__name__} of {prefix!r} + {unit!r} * n: {once:.6f} s, then {then:.3f} s"


def counted(text: str) -> int:
    """What Python does once for each character."""
    return sum(character == "!" for character in text)


@pytest.mark.parametrize("unit", LONG.values(), ids=LONG.keys())
def test_a_megabyte_is_read_in_the_time_of_thirty_plain_loops(unit: str) -> None:
    """About a second on a processor of today, and as many of its own on a slower one."""
    text = unit * (10**6 // len(unit)) + "!"
    loop = cpu_seconds(counted, text, repeats=3)
    for read in READERS:
        took = cpu_seconds(read, text, repeats=1)
        if took >= 30 * loop:  # once may be bad luck
            took = cpu_seconds(read, text, repeats=5)
        assert took < 30 * loop, read.__name__
