"""Our views are the ones Qwen's own image processors would make, and they leave ours alone."""

from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from ergo_plugins.core.geometry import MAX_VIEW_ASPECT, Size, VisionGrid, fit

sides = st.one_of(st.integers(1, 100), st.integers(1, 20_000))
factors = st.sampled_from([28, 32])


@st.composite
def limits(draw: st.DrawFn) -> tuple[int, int]:
    """``(min_tokens, max_tokens)``; `fit` refuses only windows without any size in them."""
    least = draw(st.sampled_from([1, 4, 64, 256]) | st.integers(1, 300))
    return least, least + draw(st.integers(1, 8) | st.integers(1, 16_384))


def host_view(size: Size, least: int, most: int, factor: int) -> Size | None:
    """The size that transformers gives an image; None where it refuses."""
    try:
        height, width = smart_resize(size.height, size.width, factor, least * factor**2, most * factor**2)
    except ValueError:
        return None
    return Size(width, height)


@given(sides, sides, limits(), factors)
@settings(max_examples=300)
def test_fit_equals_smart_resize_wherever_that_keeps_its_limits(
    width: int, height: int, limits: tuple[int, int], factor: int
) -> None:
    size, (least, most) = Size(width, height), limits
    theirs = host_view(size, least, most, factor)
    if theirs is None or not least <= VisionGrid(factor).tokens(theirs) <= most:
        return
    if max(theirs.width, theirs.height) > MAX_VIEW_ASPECT * min(theirs.width, theirs.height):
        return  # it would refuse its own result
    assert fit(size, max_tokens=most, min_tokens=least, factor=factor) == theirs


@given(sides, sides, limits(), factors)
@settings(max_examples=300)
def test_the_processor_does_not_resize_our_view_again(
    width: int, height: int, limits: tuple[int, int], factor: int
) -> None:
    least, most = limits
    view = fit(Size(width, height), max_tokens=most, min_tokens=least, factor=factor)
    assert host_view(view, least, most, factor) == view


def test_the_processor_leaves_the_views_of_extreme_images_at_every_budget() -> None:
    for size in (Size(1, 1), Size(20_000, 10), Size(10, 20_000), Size(4000, 3000)):
        for factor in (28, 32):
            for budget in range(4, 2001, 7):
                view = VisionGrid(factor).fit(size, budget)
                assert host_view(view, 4, budget, factor) == view


def test_the_two_differ_where_smart_resize_breaks_its_budget() -> None:
    """The reason for our own rule; when this fails, transformers keeps its limits and ours may go."""
    thin, small, wide = Size(15_000, 100), Size(60, 75), Size(1920, 1080)
    assert VisionGrid().tokens(host_view(thin, 4, 100, 28) or thin) > 100
    assert VisionGrid().tokens(host_view(small, 4, 4, 28) or small) < 4
    assert host_view(Size(28, 56), 4, 4, 28) == Size(56, 84)  # so it would resize its own view again, over the budget
    assert VisionGrid(32).tokens(host_view(wide, 64, 64, 32) or wide) < 64
    assert host_view(Size(20_000, 10), 4, 640, 28) is None
