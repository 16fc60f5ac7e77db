"""One episode, three drivers, one outcome; and no reply, image or budget loses a sample or breaks its budget."""

import asyncio
import json
import threading
from collections.abc import Callable
from itertools import cycle, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ergo_plugins.core.geometry import Box, Size, VisionGrid
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Episode, Player, Reply, Turn, View, play, play_async, play_batch
from ergo_plugins.methods.base import Sample
from ergo_plugins.methods.ergo import ERGO, ZoomConfig, zoom_episode
from tests.unit.core.strange_replies import BOXES

QUESTION = split_question("What colour is it?\nA. red\nB. blue")
ABSOLUTE, RELATIVE = VisionGrid(28, "absolute"), VisionGrid(32, "relative")
LOOK = "<think>left</think><zoom>[10, 20, 90, 80]</zoom>"
ANSWER = "<think>so</think><answer>B</answer>"


def episode(
    size: tuple[int, int] = (300, 200), config: ZoomConfig | None = None, grid: VisionGrid = ABSOLUTE
) -> Episode:
    method, config = ERGO.variant(config or ZoomConfig())
    return method.episode(Sample(Image.new("RGB", size), QUESTION), config, grid)


def scripted(*replies: str) -> Callable[[Turn], Reply]:
    """A model that says these things in turn."""
    said = iter(replies)
    return lambda turn: Reply(next(said))


def counting(rounds: int) -> Episode:
    """An episode of any number of turns; its outcome lists what it was told."""
    told = []
    for i in range(rounds):
        reply = yield Turn(f"turn {i}", (View(Image.new("RGB", (28, 28)), None), "?"), 1)
        told.append(reply.text)
    return Outcome("counting", answer=" ".join(told))


# ---- the drivers


def in_lockstep(episodes: list[Episode], scripts: list[list[str]]) -> list[Outcome]:
    said = [iter(script) for script in scripts]
    return play_batch(episodes, lambda waiting: [Reply(next(said[i])) for i, _ in waiting])


def overlapping(episodes: list[Episode], scripts: list[list[str]]) -> list[Outcome]:
    async def one(episode: Episode, script: list[str]) -> Outcome:
        said = iter(script)

        async def ask(turn: Turn) -> Reply:
            await asyncio.sleep(0)
            return Reply(next(said))

        return await play_async(episode, ask, asyncio.to_thread)

    async def everyone() -> list[Outcome]:
        return list(await asyncio.gather(*map(one, episodes, scripts)))

    return asyncio.run(everyone())


SCRIPTS = [[reply, ANSWER] for reply, _ in BOXES.values()] + [[LOOK, reply] for reply, _ in BOXES.values()]


@pytest.mark.parametrize("grid", [ABSOLUTE, RELATIVE], ids=["absolute", "relative"])
def test_the_three_drivers_bring_about_the_same_outcomes(grid: VisionGrid) -> None:
    def episodes() -> list[Episode]:
        return [episode(grid=grid) for _ in SCRIPTS]

    alone = [play(one, scripted(*script)) for one, script in zip(episodes(), SCRIPTS, strict=True)]
    assert in_lockstep(episodes(), SCRIPTS) == alone
    assert overlapping(episodes(), SCRIPTS) == alone
    assert len({json.dumps(outcome.to_json()) for outcome in alone}) > len(BOXES)  # and they are not all alike


def test_episodes_of_different_length_play_in_one_batch() -> None:
    scripts = [["a", "b", "c"][:rounds] for rounds in (3, 0, 1, 2)]
    outcomes = in_lockstep([counting(len(script)) for script in scripts], scripts)
    assert [outcome.answer for outcome in outcomes] == ["a b c", "", "a", "a b"]
    assert overlapping([counting(len(script)) for script in scripts], scripts) == outcomes


@pytest.mark.parametrize("lengths", [[], [0], [1], [0, 1], [2, 2], [1, 2], [3, 1]])
def test_a_batch_asks_until_nobody_is_left(lengths: list[int]) -> None:
    asked: list[list[int]] = []

    def ask_all(waiting: list[tuple[int, Turn]]) -> list[Reply]:
        asked.append([i for i, _ in waiting])
        return [Reply("") for _ in waiting]

    play_batch([counting(length) for length in lengths], ask_all)
    longest = max(lengths, default=0)
    assert asked == [[i for i, length in enumerate(lengths) if length > turn] for turn in range(longest)]


def test_turns_that_are_cut_or_stopped_differently_are_asked_apart() -> None:
    """A lockstep generation has one cap and one set of stop strings."""

    def one(cap: int, stop: tuple[str, ...]) -> Episode:
        reply = yield Turn("only", ("?",), cap, stop=stop)
        return Outcome(method="counting", answer=reply.text)

    def ask_all(waiting: list[tuple[int, Turn]]) -> list[Reply]:
        assert len({(turn.max_new_tokens, turn.stop) for _, turn in waiting}) == 1
        return [Reply(f"{i}") for i, _ in waiting]

    outcomes = play_batch([one(1, ()), one(2, ()), one(1, ()), one(1, ("x",))], ask_all)
    assert [outcome.answer for outcome in outcomes] == ["0", "1", "2", "3"]


def test_a_batch_hands_over_each_turn_with_its_episode() -> None:
    def ask_all(waiting: list[tuple[int, Turn]]) -> list[Reply]:
        return [Reply(f"{i}/{turn.name}") for i, turn in waiting]

    outcomes = play_batch([counting(1), counting(2)], ask_all)
    assert [outcome.answer for outcome in outcomes] == ["0/turn 0", "1/turn 0 1/turn 1"]


@pytest.mark.parametrize("replies", [[], [Reply("a")] * 3])
def test_a_model_that_replies_too_little_or_too_much_is_an_error(replies: list[Reply]) -> None:
    with pytest.raises(ValueError, match="zip"):
        play_batch([counting(1), counting(1)], lambda waiting: replies)


def test_pixels_are_computed_off_the_event_loop() -> None:
    """`play_async` advances the episode only through ``run``; the loop's thread stays free for the others."""
    threads: list[int] = []

    def watched() -> Episode:
        threads.append(threading.get_ident())
        yield Turn("look", (View(Image.new("RGB", (28, 28)), None), "?"), 1)
        threads.append(threading.get_ident())
        return Outcome("watched")

    overlapping([watched()], [["a"]])
    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_a_failing_model_ends_the_episode_with_its_own_error() -> None:
    class Unplugged(Exception):
        pass

    def ask(turn: Turn) -> Reply:
        raise Unplugged

    async def ask_later(turn: Turn) -> Reply:
        raise Unplugged

    with pytest.raises(Unplugged):
        play(counting(1), ask)
    with pytest.raises(Unplugged):
        play_batch([counting(1)], lambda waiting: [ask(turn) for _, turn in waiting])
    with pytest.raises(Unplugged):
        asyncio.run(play_async(counting(1), ask_later, asyncio.to_thread))


def test_a_player_says_where_its_episode_stands() -> None:
    player = Player(counting(1))
    first = player.start()
    assert first is not None
    assert player.turn is first
    assert first.name == "turn 0"
    with pytest.raises(RuntimeError, match="has not ended"):
        player.finished()
    assert player.send(Reply("a")) is None
    assert player.turn is None
    assert player.finished().answer == "a"


def test_the_original_is_given_back_while_the_model_answers() -> None:
    """Many samples overlap: an 8K original is 100 MB that a waiting episode need not hold."""
    import weakref

    def opened() -> tuple[Episode, "weakref.ref[Image.Image]"]:
        image = Image.new("RGB", (300, 200))
        return zoom_episode(image, QUESTION, ZoomConfig(), ABSOLUTE), weakref.ref(image)

    one, original = opened()
    player = Player(one)
    player.start()
    player.send(Reply(LOOK))
    assert original() is None
    player.send(Reply(ANSWER))
    assert player.finished().answer == "B"


# ---- outcomes

counts = st.none() | st.integers(0, 10**6)
times = st.none() | st.floats(0, 1e6)
some_sizes = st.builds(Size, st.integers(1, 10**5), st.integers(1, 10**5))
some_boxes = st.none() | st.builds(Box, *[st.floats(-1e9, 1e9) | st.integers(0, 10**5)] * 4)
words = st.text(max_size=20)
images = st.builds(Shown, some_boxes, some_sizes, st.integers(0, 10**5))
records = st.builds(
    TurnRecord, words, st.lists(images, max_size=3).map(tuple), words, words, counts, counts, counts, times
)
plain = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | words | st.lists(words, max_size=2)
outcomes = st.builds(
    Outcome,
    method=words,
    source=st.none() | some_sizes,
    turns=st.lists(records, max_size=3).map(tuple),
    answer=words,
    boxes=st.dictionaries(words, some_boxes, max_size=3),
    values=st.dictionaries(words, plain, max_size=3),
    single_pass_tokens=st.integers(0, 10**5),
    repairs=st.lists(words, max_size=3).map(tuple),
    problems=st.lists(words, max_size=3).map(tuple),
    seconds=times,
)


@given(outcomes)
def test_an_outcome_survives_json(outcome: Outcome) -> None:
    written = json.dumps(outcome.to_json(), allow_nan=False)
    assert Outcome.from_json(json.loads(written)) == outcome


def test_an_outcome_adds_up() -> None:
    outcome = play(episode((1000, 500), ZoomConfig(coarse_tokens=100, crop_tokens=50)), scripted(LOOK, ANSWER))
    assert outcome.visual_tokens == sum(turn.visual_tokens for turn in outcome.turns)
    assert outcome.box_source is not None
    assert outcome.area_ratio == outcome.box_source.area / (1000 * 500)
    assert outcome.single_pass_tokens == 36 * 18
    assert outcome.to_json()["area_ratio"] == outcome.area_ratio
    assert outcome.to_json()["visual_tokens"] == outcome.visual_tokens


def test_what_is_not_an_outcome_is_not_read_as_one() -> None:
    with pytest.raises(KeyError):
        Outcome.from_json({})


def test_how_the_prompt_began_a_reply_is_kept_beside_what_the_model_wrote() -> None:
    opened = [Reply("left</think><zoom>[10, 20, 90, 80]</zoom>", opened="<think>\n"), Reply(ANSWER)]
    said = iter(opened)
    outcome = play(episode(), lambda turn: next(said))
    assert [(turn.opened, turn.reply) for turn in outcome.turns] == [(r.opened, r.text) for r in opened]
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


def test_records_from_before_that_was_kept_are_read() -> None:
    plain = play(episode(), scripted(LOOK, ANSWER)).to_json()
    for turn in plain["turns"]:
        del turn["opened"]
    assert [turn.opened for turn in Outcome.from_json(plain).turns] == ["", ""]


# ---- no sample is lost, no budget broken

BUDGETS = [(4, 4), (5, 2000), (2000, 5), (37, 64), (640, 640)]


def checked(turns: list[Turn], outcome: Outcome, config: ZoomConfig, grid: VisionGrid, source: Size) -> None:
    """The views that were shown, and the record of them, are what was paid for."""
    assert [turn.name for turn in turns] == ["look", "answer"]
    for turn, record, budget in zip(turns, outcome.turns, (config.coarse_tokens, config.crop_tokens), strict=True):
        assert turn.images[0].size == (record.view.width, record.view.height)
        assert record.view.width % grid.factor == record.view.height % grid.factor == 0
        tokens = (record.view.width // grid.factor) * (record.view.height // grid.factor)
        assert grid.min_tokens <= tokens <= budget
        assert tokens == record.visual_tokens
    assert outcome.source == source
    assert (outcome.box_source is None) == any(problem.startswith("look:") for problem in outcome.problems)
    box = outcome.box_source
    assert box is None or (0 <= box.x1 < box.x2 <= source.width and 0 <= box.y1 < box.y2 <= source.height)
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json(), allow_nan=False))) == outcome


def watched(
    image: Image.Image, config: ZoomConfig, grid: VisionGrid, replies: tuple[str, str]
) -> tuple[list[Turn], Outcome]:
    turns: list[Turn] = []
    model = scripted(*replies)

    def ask(turn: Turn) -> Reply:
        turns.append(turn)
        return model(turn)

    return turns, play(zoom_episode(image, QUESTION, config, grid), ask)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (4000, 3000)], ids=str)
@pytest.mark.parametrize("grid", [ABSOLUTE, RELATIVE], ids=["absolute", "relative"])
def test_every_strange_reply_ends_with_an_answer_inside_its_budgets(size: tuple[int, int], grid: VisionGrid) -> None:
    image = Image.new("L", size)  # one channel and a quick filter: only sizes matter here
    for (reply, _), (coarse, crop) in zip(BOXES.values(), cycle(BUDGETS)):
        config = ZoomConfig(coarse_tokens=coarse, crop_tokens=crop, resample="box")
        turns, outcome = watched(image, config, grid, (reply, ANSWER))
        assert outcome.answer == "B"
        checked(turns, outcome, config, grid, Size(*size))


numbers = st.integers(-2000, 25_000) | st.floats(-2e6, 2e6)
pointing = st.tuples(numbers, numbers, numbers, numbers).map(lambda box: f"<zoom>{list(box)}</zoom>")


@given(
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)) | st.sampled_from([(1, 1), (5000, 3), (3, 5000)]),
    coarse=st.integers(4, 2000),
    crop=st.integers(4, 2000),
    grid=st.sampled_from([ABSOLUTE, RELATIVE]),
    replies=st.tuples(pointing | st.text(), st.text()),
)
@settings(max_examples=150)
def test_any_image_any_budget_and_any_reply(
    size: tuple[int, int], coarse: int, crop: int, grid: VisionGrid, replies: tuple[str, str]
) -> None:
    config = ZoomConfig(coarse_tokens=coarse, crop_tokens=crop, resample="box")
    turns, outcome = watched(Image.new("L", size), config, grid, replies)
    checked(turns, outcome, config, grid, Size(*size))


@pytest.mark.parametrize(("grid", "budget"), list(product([ABSOLUTE, RELATIVE], [4, 640, 2000])))
def test_a_single_pass_keeps_its_budget_too(grid: VisionGrid, budget: int) -> None:
    config = ZoomConfig(coarse_tokens=budget, zoom="off")
    outcome = play(episode((1000, 500), config, grid), scripted("B"))
    assert outcome.visual_tokens <= budget
    assert (outcome.answer, outcome.problems, outcome.box_source) == ("B", (), None)
    assert [turn.name for turn in outcome.turns] == ["answer"]


@pytest.mark.parametrize(
    ("replies", "problems"),
    [
        ([Reply(LOOK), Reply(ANSWER)], ()),
        ([Reply("<zoom>[1, 2"), Reply(ANSWER)], ("look: 4 numbers expected, got 2 in '[1, 2'",)),
        (
            [Reply("<think>well", finish="length"), Reply(ANSWER)],
            ("truncated: the look reply reached its token cap", "look: no <zoom>"),
        ),
        (
            [Reply("<zoom>[9000, 9000, 9001, 9001]</zoom>"), Reply("<answer></answer>", finish="length")],
            (
                "look: the box lies outside the 308x196 view",
                "truncated: the answer reply reached its token cap",
                "answer: empty <answer>",
            ),
        ),
    ],
)
def test_what_went_wrong_is_in_the_outcome(replies: list[Reply], problems: tuple[str, ...]) -> None:
    said = iter(replies)
    assert play(episode(), lambda turn: next(said)).problems == problems


@pytest.mark.parametrize(
    ("grid", "said"), [(VisionGrid(32, "absolute"), [64, 96, 192, 160]), (RELATIVE, [100, 300, 300, 500])]
)
def test_where_the_model_pointed_is_kept_in_pixels_of_the_view(grid: VisionGrid, said: list[int]) -> None:
    outcome = play(episode((1280, 640), ZoomConfig(coarse_tokens=200), grid), scripted(f"<zoom>{said}</zoom>", ANSWER))
    assert outcome.turns[0].view == Size(640, 320)
    assert outcome.values["box_view"] == [64, 96, 192, 160]
    assert outcome.box_source == Box(128, 192, 384, 320)


def test_what_was_mended_is_in_the_outcome() -> None:
    outcome = play(episode(), scripted("<zoom>[99999, 5, -7, 190", "<answer>A</answer><answer>B</answer>"))
    assert outcome.repairs == ("look: no </zoom>", "look: corners swapped", "box: clamped", "answer: last of 2 answers")
    assert outcome.answer == "B"


def test_the_cost_of_a_reply_is_in_the_record() -> None:
    said = iter([Reply(LOOK, "stop", 100, 0, 10, 0.5), Reply(ANSWER, "stop", 200, 90, 20, 0.25)])
    records = play(episode(), lambda turn: next(said)).turns
    assert [(r.reply, r.finish, r.prompt_tokens, r.cached_tokens, r.new_tokens, r.seconds) for r in records] == [
        (LOOK, "stop", 100, 0, 10, 0.5),
        (ANSWER, "stop", 200, 90, 20, 0.25),
    ]
