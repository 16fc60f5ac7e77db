"""Views keep their token budget, and a box names the right pixels of the original."""

import math

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ergo_plugins.core.geometry import MAX_VIEW_ASPECT, Box, CropRules, Size, VisionGrid, fit, to_source, whole

sides = st.one_of(st.integers(1, 100), st.integers(1, 20_000))
sizes = st.builds(Size, sides, sides)
factors = st.sampled_from([28, 32])
EXTREMES = [Size(1, 1), Size(20_000, 10), Size(10, 20_000), Size(4000, 3000), Size(7680, 4320), Size(60, 75)]
UNLIMITED = CropRules(min_side_px=1, max_aspect=math.inf)


@st.composite
def limits(draw: st.DrawFn) -> tuple[int, int]:
    """``(min_tokens, max_tokens)`` as processors have them; often with hardly any room between."""
    least = draw(st.sampled_from([1, 4, 64, 256]) | st.integers(1, 300))
    return least, least + draw(st.integers(1, 8) | st.integers(1, 16_384))


@st.composite
def boxes_in(draw: st.DrawFn, size: Size) -> Box:
    """A box with area on whole pixels of an image."""
    x1, y1 = draw(st.integers(0, size.width - 1)), draw(st.integers(0, size.height - 1))
    return Box(x1, y1, draw(st.integers(x1 + 1, size.width)), draw(st.integers(y1 + 1, size.height)))


# ---- fit


@given(sizes, limits(), factors)
@example(Size(60, 75), (4, 5), 28)
@example(Size(1920, 1080), (64, 65), 32)
@example(Size(20_000, 10), (256, 1280), 28)
@settings(max_examples=200)
def test_a_view_is_within_both_limits_and_on_the_grid(size: Size, limits: tuple[int, int], factor: int) -> None:
    least, most = limits
    view = fit(size, max_tokens=most, min_tokens=least, factor=factor)
    assert view.width % factor == view.height % factor == 0
    assert least <= VisionGrid(factor).tokens(view) <= most
    assert max(view.width, view.height) <= MAX_VIEW_ASPECT * min(view.width, view.height)


@given(sizes, limits(), factors)
@settings(max_examples=200)
def test_a_view_is_its_own_view(size: Size, limits: tuple[int, int], factor: int) -> None:
    least, most = limits
    view = fit(size, max_tokens=most, min_tokens=least, factor=factor)
    assert fit(view, max_tokens=most, min_tokens=least, factor=factor) == view


@given(sizes, limits(), factors)
def test_a_view_lies_down_and_stands_up_with_its_image(size: Size, limits: tuple[int, int], factor: int) -> None:
    least, most = limits
    view = fit(size, max_tokens=most, min_tokens=least, factor=factor)
    turned = fit(Size(size.height, size.width), max_tokens=most, min_tokens=least, factor=factor)
    assert (view.width - view.height) * (size.width - size.height) >= 0
    if size.width != size.height:
        assert turned == Size(view.height, view.width)


@pytest.mark.parametrize("size", EXTREMES, ids=str)
@pytest.mark.parametrize("factor", [28, 32])
def test_every_budget_from_the_smallest_on_has_a_view(size: Size, factor: int) -> None:
    grid = VisionGrid(factor)
    for budget in range(grid.min_tokens, 2001):
        assert grid.min_tokens <= grid.tokens(grid.fit(size, budget)) <= budget


@given(st.integers(2, 200), st.integers(2, 200), st.integers(0, 100), factors)
def test_an_image_on_the_grid_and_within_the_budget_is_not_resized(
    columns: int, rows: int, spare: int, factor: int
) -> None:
    size = Size(columns * factor, rows * factor)
    assert fit(size, max_tokens=columns * rows + spare, factor=factor) == size


@given(st.integers(300, 8000), st.integers(300, 8000), st.integers(300, 2000))
@example(1211, 1211, 1764)  # one column and one row less than a budget of exactly 42 x 42
def test_an_everyday_view_fills_its_budget_and_keeps_its_proportions(width: int, height: int, budget: int) -> None:
    assume(0.25 <= width / height <= 4 and width * height >= budget * 28**2)
    view = fit(Size(width, height), max_tokens=budget)
    columns, rows = view.width / 28, view.height / 28
    lost_columns_and_rows = columns + rows + 1  # flooring takes less than one of each
    assert VisionGrid().tokens(view) >= budget - lost_columns_and_rows
    assert (columns - 1) / (rows + 1) <= width / height <= (columns + 1) / (rows - 1)


@pytest.mark.parametrize(
    ("size", "least", "most", "view"),
    [
        (Size(1, 1), 4, 640, Size(56, 56)),
        (Size(20_000, 10), 4, 640, Size(200 * 28, 28)),
        (Size(10, 20_000), 4, 640, Size(28, 200 * 28)),
        (Size(20_000, 10), 4, 1280, Size(200 * 28, 28)),  # 400x2 tokens would be as thin, and further from its 255
        (Size(40_000, 40), 4, 2000, Size(600 * 28, 3 * 28)),
        (Size(15_000, 100), 4, 100, Size(100 * 28, 28)),
        (Size(3840, 2160), 4, 640, Size(33 * 28, 18 * 28)),
        (Size(1000, 1000), 4, 4, Size(56, 56)),
        (Size(500, 501), 4, 5, Size(56, 56)),
    ],
    ids=str,
)
def test_views_worked_out_by_hand(size: Size, least: int, most: int, view: Size) -> None:
    assert fit(size, max_tokens=most, min_tokens=least) == view


@pytest.mark.parametrize(("least", "most"), [(0, 640), (-4, 640), (641, 640), (1, 0)])
def test_limits_that_contradict_each_other_are_refused(least: int, most: int) -> None:
    with pytest.raises(ValueError, match="min_tokens"):
        fit(Size(100, 100), max_tokens=most, min_tokens=least)


def test_a_budget_below_the_processors_minimum_is_refused_rather_than_silently_enlarged() -> None:
    with pytest.raises(ValueError, match=r"32 visual tokens is less than the 64"):
        VisionGrid(32, "relative", min_tokens=64).fit(Size(800, 600), 32)


def test_a_budget_above_the_processors_maximum_is_cut_to_it() -> None:
    grid = VisionGrid(max_tokens=100)
    assert grid.tokens(grid.fit(Size(5000, 5000), 2000)) <= 100


# ---- to_source


@given(st.data(), sizes, st.sampled_from(["absolute", "relative"]), st.integers(4, 2000))
@settings(max_examples=200)
def test_a_box_written_exactly_comes_back_pixel_for_pixel(
    data: st.DataObject, source: Size, coordinates: str, budget: int
) -> None:
    """Whatever the view did to the proportions: each axis is mapped on its own."""
    grid = VisionGrid(28, coordinates)  # type: ignore[arg-type]
    frame = grid.frame(grid.fit(source, budget))
    box = data.draw(boxes_in(source))
    written = box.scaled(frame.width / source.width, frame.height / source.height)
    assert to_source(written, frame, source, UNLIMITED) == (box, ())


corners = st.floats(-1e6, 1e6) | st.integers(-50, 2100).map(float)


@st.composite
def model_boxes(draw: st.DrawFn) -> Box:
    """What `parse_look` can return: any numbers, in order."""
    (x1, x2), (y1, y2) = (sorted((draw(corners), draw(corners))) for _ in range(2))
    return Box(x1, y1, x2, y2)


rules = st.builds(CropRules, st.integers(1, 300), st.floats(1, 200))


@given(model_boxes(), sizes, sizes, rules)
@settings(max_examples=200)
def test_a_crop_is_inside_the_image_whole_and_within_the_rules(
    box: Box, frame: Size, source: Size, rules: CropRules
) -> None:
    crop, repairs = to_source(box, frame, source, rules)
    if crop is None:
        assert repairs == ()
        return
    assert all(isinstance(corner, int) for corner in crop.as_tuple())
    assert 0 <= crop.x1 < crop.x2 <= source.width
    assert 0 <= crop.y1 < crop.y2 <= source.height
    assert crop.width >= min(rules.min_side_px, source.width)
    assert crop.height >= min(rules.min_side_px, source.height)
    short, long = sorted((crop.width, crop.height))
    fills_the_image = crop.width == source.width or crop.height == source.height
    assert long <= short * rules.max_aspect or fills_the_image


def test_the_short_side_is_rounded_up_to_the_aspect() -> None:
    square = Size(1000, 1000)
    crop, repairs = to_source(Box(0, 500, 205, 501), square, square, CropRules(min_side_px=1, max_aspect=10))
    assert crop is not None
    assert (crop.width, crop.height) == (205, 21)  # 20 would be 10.25 : 1
    assert repairs == ("aspect capped",)


@given(model_boxes(), sizes, sizes, rules)
@settings(max_examples=200)
def test_a_usable_crop_is_not_changed_again(box: Box, frame: Size, source: Size, rules: CropRules) -> None:
    crop, _ = to_source(box, frame, source, rules)
    assume(crop is not None)
    assert crop is not None
    assert to_source(crop, source, source, rules) == (crop, ())


@given(model_boxes(), sizes, sizes, rules)
@settings(max_examples=200)
def test_a_crop_holds_all_that_was_pointed_at(box: Box, frame: Size, source: Size, rules: CropRules) -> None:
    """No repair takes away pixels of the image that the model asked for."""
    crop, _ = to_source(box, frame, source, rules)
    pointed = box.scaled(source.width / frame.width, source.height / frame.height).clamped(source)
    if crop is None:
        assert pointed.area == 0
        return
    near = 1e-5  # float noise is not a pixel
    assert crop.x1 <= pointed.x1 + near
    assert crop.y1 <= pointed.y1 + near
    assert crop.x2 >= pointed.x2 - near
    assert crop.y2 >= pointed.y2 - near


VIEW, SOURCE = Size(1000, 500), Size(2000, 2000)  # twice as wide, four times as high


@pytest.mark.parametrize(
    ("box_view", "box_source", "repairs"),
    [
        (Box(100, 100, 300, 200), Box(200, 400, 600, 800), ()),
        (Box(100.3, 100.1, 300.2, 200.2), Box(200, 400, 601, 801), ()),
        (Box(-50, -50, 300, 200), Box(0, 0, 600, 800), ("clamped",)),
        (Box(900, 400, 5000, 5000), Box(1800, 1600, 2000, 2000), ("clamped",)),
        (Box(-9, -9, 9999, 9999), Box(0, 0, 2000, 2000), ("clamped",)),
        (Box(500, 250, 501, 251), Box(987, 988, 1015, 1016), ("grown to minimum side",)),
        (Box(0, 0, 1, 1), Box(0, 0, 28, 28), ("grown to minimum side",)),
        (Box(999, 499, 1000, 500), Box(1972, 1972, 2000, 2000), ("grown to minimum side",)),
        (Box(500, 250, 500, 250), Box(986, 986, 1014, 1014), ("grown to minimum side",)),
        (Box(0, 250, 1000, 260), Box(0, 920, 2000, 1120), ("aspect capped",)),
        (Box(0, 0, 1000, 1), Box(0, 0, 2000, 200), ("grown to minimum side", "aspect capped")),
        (Box(0, 0, 204.5, 1), Box(0, 0, 409, 41), ("grown to minimum side", "aspect capped")),  # 40.9 pixels are 41
        (Box(1000, 0, 1100, 500), None, ()),
        (Box(0, -30, 1000, 0), None, ()),
        (Box(-20, 10, -10, 20), None, ()),
        (Box(0, 500, 10, 500), None, ()),
    ],
    ids=str,
)
def test_boxes_worked_out_by_hand(box_view: Box, box_source: Box | None, repairs: tuple[str, ...]) -> None:
    assert to_source(box_view, VIEW, SOURCE, CropRules(28, 10.0)) == (box_source, repairs)


def test_an_image_smaller_than_the_rules_is_used_as_far_as_it_goes() -> None:
    assert to_source(Box(0, 0, 1, 1), Size(3, 2), Size(3, 2), CropRules(28, 10))[0] == whole(Size(3, 2))
    assert to_source(Box(0, 0, 500, 10), Size(500, 10), Size(500, 10), CropRules(28, 10)) == (Box(0, 0, 500, 10), ())


@pytest.mark.parametrize("unusable", [{"min_side_px": 0}, {"max_aspect": 0.5}])
def test_rules_that_no_crop_can_meet_are_refused(unusable: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CropRules(**unusable)  # type: ignore[arg-type]


# ---- boxes and sizes

whole_boxes = st.tuples(*[st.integers(-50, 50)] * 4).map(
    lambda c: Box(min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


@given(whole_boxes, whole_boxes)
def test_a_union_holds_both_and_nothing_more_than_it_must(one: Box, other: Box) -> None:
    union = one.union(other)
    assert union == other.union(one)
    assert one.union(one) == one
    assert union.union(one) == union
    for box in (one, other):
        assert box.area == 0 or box.coverage_by(union) == 1
    assert {union.x1, union.x2} <= {one.x1, one.x2, other.x1, other.x2}
    assert {union.y1, union.y2} <= {one.y1, one.y2, other.y1, other.y2}


@given(whole_boxes, whole_boxes)
def test_coverage_counts_the_pixels_of_the_one_that_lie_in_the_other(one: Box, other: Box) -> None:
    def pixels(box: Box) -> set[tuple[int, int]]:
        return {(x, y) for x in range(int(box.x1), int(box.x2)) for y in range(int(box.y1), int(box.y2))}

    covered = len(pixels(one) & pixels(other))
    assert one.coverage_by(other) == (covered / one.area if one.area else 0)


def test_a_size_has_pixels() -> None:
    with pytest.raises(ValueError, match="0x5"):
        Size(0, 5)
