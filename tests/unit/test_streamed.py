"""Views of JPEGs that were never decoded in full: how far they are from the others, and what falls back to Pillow."""

import copy
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFile, ImageFilter

from ergo_plugins.core.geometry import Box, Size, whole
from ergo_plugins.core.images import RESAMPLERS, render, to_rgb
from ergo_plugins.outside import streamed
from ergo_plugins.outside.encoded import EncodedJpeg, encoded
from ergo_plugins.outside.image_files import TooLargeImage, open_image
from ergo_plugins.outside.streamed import DamagedImage, Decode, NoLibvips, Views, decode_named

SIZE = Size(2400, 1600)
PART = Box(501, 303, 1702, 1104)

BOUNDS: dict[tuple[Decode, str], tuple[float, int, int]] = {
    # of 8-bit values of the whole image's view, against the filter alone: mean, what 99.9 % stay within, the largest
    ("stream", "photograph"): (0.3, 3, 9),
    ("stream", "print"): (0.45, 16, 21),
    ("fast", "photograph"): (0.4, 4, 8),
    ("fast", "print"): (0.7, 20, 40),
}
CROP_BOUNDS = {"photograph": (0.35, 4, 8), "print": (0.45, 18, 20)}


def drawn(kind: str) -> Image.Image:
    """Smooth colours at several scales with noise, or small hard-edged marks."""
    random = np.random.default_rng(0)
    size = (SIZE.width, SIZE.height)
    if kind == "photograph":
        image = Image.new("RGB", size, "gray")
        for cell in (256, 64, 16):
            small = random.integers(0, 256, (SIZE.height // cell + 2, SIZE.width // cell + 2, 3), np.uint8)
            image = Image.blend(image, Image.fromarray(small).resize(size, Image.Resampling.BICUBIC), 0.4)
        noise = random.normal(0, 3, (SIZE.height, SIZE.width, 3))
        noisy = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
        return noisy.filter(ImageFilter.GaussianBlur(1))
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(2000):
        x, y = (int(at) for at in random.integers(0, size))
        width, height = (int(side) for side in random.integers(1, 14, 2))
        colour = tuple(int(value) for value in random.integers(0, 256, 3)) if random.random() < 0.3 else "black"
        draw.rectangle((x, y, x + width, y + height), fill=colour)
    return image


def jpeg(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **{"quality": 90, **options})
    return file.getvalue()


def kept(data: bytes) -> EncodedJpeg:
    """The image, still encoded."""
    image = encoded(open_image(data))
    assert image is not None
    return image


def decoded(data: bytes) -> Image.Image:
    return to_rgb(open_image(data))


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.mode == other.mode and one.tobytes() == other.tobytes()


def differences(one: Image.Image, other: Image.Image) -> tuple[float, float, int]:
    """``(mean, 99.9 %, largest)`` of 8-bit values."""
    apart = np.abs(np.asarray(one, int) - np.asarray(other, int))
    return float(apart.mean()), float(np.quantile(apart, 0.999)), int(apart.max())


def smaller(region: Box, times: float) -> Size:
    return Size(round(region.width / times), round(region.height / times))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {kind: jpeg(drawn(kind)) for kind in ("photograph", "print")}


# ---- how far


@pytest.mark.parametrize("times", [3.3, 6.5, 13.0, 27.0])
@pytest.mark.parametrize(("decode", "kind"), BOUNDS)
def test_the_first_view_is_close_to_what_the_filter_alone_gives(
    decode: Decode, kind: str, times: float, files: dict[str, bytes]
) -> None:
    image, view = kept(files[kind]), smaller(whole(SIZE), times)
    shown = Views(decode)(image, whole(SIZE), view)
    assert image.encoded is not None, "made without Pillow's pixels"
    alone = decoded(files[kind]).resize((view.width, view.height), Image.Resampling.BICUBIC)
    found = differences(shown, alone)
    assert all(is_it <= may_be for is_it, may_be in zip(found, BOUNDS[decode, kind], strict=True)), found


@pytest.mark.parametrize("kind", CROP_BOUNDS)
def test_streamed_views_are_nearer_in_the_mean_than_those_in_two_steps(kind: str, files: dict[str, bytes]) -> None:
    view = smaller(whole(SIZE), 8.1)
    original = decoded(files[kind])
    alone = original.resize((view.width, view.height), Image.Resampling.BICUBIC)
    in_two_steps = differences(render(original, whole(SIZE), view), alone)
    assert differences(Views("stream")(kept(files[kind]), whole(SIZE), view), alone)[0] < in_two_steps[0]


@pytest.mark.parametrize("times", [0.5, 1.0, 3.3, 13.0])
@pytest.mark.parametrize("region", [PART, Box(0, 0, 1601, 777), Box(2399, 1599, 2400, 1600)], ids=str)
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"subsampling": 1}, {"keep_rgb": True}], ids=str)
def test_a_streamed_crop_is_bit_for_bit_the_decoded_ones(
    options: dict[str, object], region: Box, times: float, files: dict[str, bytes]
) -> None:
    data = jpeg(decoded(files["photograph"]), **options)
    view = Size(max(1, round(region.width / times)), max(1, round(region.height / times)))
    image = kept(data)
    assert same(Views("stream")(image, region, view), render(decoded(data), region, view))
    assert image.encoded is not None


@pytest.mark.parametrize("times", [1.5, 3.3, 13.0])
@pytest.mark.parametrize("kind", CROP_BOUNDS)
def test_a_fast_crop_is_close(kind: str, times: float, files: dict[str, bytes]) -> None:
    view = smaller(PART, times)
    cut = decoded(files[kind]).crop((501, 303, 1702, 1104))
    alone = cut.resize((view.width, view.height), Image.Resampling.BICUBIC)
    found = differences(Views("fast")(kept(files[kind]), PART, view), alone)
    assert all(is_it <= may_be for is_it, may_be in zip(found, CROP_BOUNDS[kind], strict=True)), found


@pytest.mark.parametrize("decode", ["stream", "fast"])
def test_a_crop_shows_nothing_beside_it(decode: Decode) -> None:
    """The marks next to it end where blocks of the JPEG do, so that they do not reach into it by compression."""
    clean = Image.new("RGB", (640, 480), "gray")
    marked = clean.copy()
    marked.paste("red", (0, 0, 640, 160))
    marked.paste("gray", (160, 160, 480, 320))
    region = Box(160, 176, 480, 320)
    views = [Views(decode)(kept(jpeg(image, subsampling=0)), region, Size(56, 28)) for image in (clean, marked)]
    assert same(*views)


# ---- what is Pillow's all the same


@pytest.mark.parametrize("decode", ["stream", "fast"])
@pytest.mark.parametrize("resample", sorted(set(RESAMPLERS) - {streamed.FILTER}))
def test_other_filters_are_pillows(resample: str, decode: Decode, files: dict[str, bytes]) -> None:
    for region in (whole(SIZE), PART):
        view = smaller(region, 8.1)
        shown = Views(decode)(kept(files["print"]), region, view, resample=resample)
        assert same(shown, render(decoded(files["print"]), region, view, resample=resample))


@pytest.mark.parametrize("decode", ["stream", "fast"])
def test_views_larger_than_their_region_are_pillows(decode: Decode, files: dict[str, bytes]) -> None:
    for region in (whole(SIZE), Box(40, 40, 60, 70)):
        view = Size(int(region.width) + 12, int(region.height) // 2)
        shown = Views(decode)(kept(files["print"]), region, view)
        assert same(shown, render(decoded(files["print"]), region, view))


@pytest.mark.parametrize("decode", ["stream", "fast"])
def test_after_two_views_the_pixels_are_kept(decode: Decode, files: dict[str, bytes]) -> None:
    image, views = kept(files["print"]), Views(decode)
    for region in (whole(SIZE), PART):
        views(image, region, smaller(region, 4))
        assert image.encoded is not None
    third = views(image, PART, Size(112, 56))
    assert image.encoded is None
    assert same(third, render(decoded(files["print"]), PART, Size(112, 56)))


def turned(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


SMALL = Image.effect_noise((64, 48), 40).convert("RGB")

OTHERS: dict[str, Callable[[], bytes]] = {
    "turned": lambda: jpeg(SMALL, exif=turned(6)),
    "grey": lambda: jpeg(SMALL.convert("L")),
    "CMYK": lambda: jpeg(SMALL.convert("CMYK")),
    "progressive": lambda: jpeg(SMALL, progressive=True),
    "PNG": lambda: saved(SMALL, "PNG"),
    "WebP": lambda: saved(SMALL, "WEBP"),
    "two pictures": lambda: saved(SMALL, "MPO", save_all=True, append_images=[SMALL]),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_else_there_is_is_decoded_as_ever(other: str) -> None:
    assert encoded(open_image(OTHERS[other]())) is None


@pytest.mark.parametrize("exif", [turned(1), turned(9)])
def test_an_upright_jpeg_is_kept(exif: Image.Exif) -> None:
    assert encoded(open_image(jpeg(SMALL, exif=exif))) is not None


def test_a_decoded_or_reduced_jpeg_is_not_taken_for_its_file() -> None:
    loaded, reduced = open_image(jpeg(SMALL)), open_image(jpeg(SMALL))
    loaded.load()
    reduced.draft("RGB", (32, 24))
    assert encoded(loaded) is None
    assert encoded(reduced) is None


# ---- whoever wants pixels

WAYS: dict[str, Callable[[Image.Image], object]] = {
    "load": lambda image: image.load(),
    "copy": lambda image: image.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "crop": lambda image: image.crop((0, 0, 8, 8)),
    "paste": lambda image: image.paste("red", (0, 0, 8, 8)),
    "putpixel": lambda image: image.putpixel((0, 0), (1, 2, 3)),
    "draw": lambda image: ImageDraw.Draw(image).line((0, 0, 8, 8), fill="red"),
    "thumbnail": lambda image: image.thumbnail((16, 16)),
    "draft": lambda image: image.draft("RGB", (32, 24)),
    "array": np.asarray,
    "putalpha": lambda image: image.putalpha(7),
    "grey": lambda image: image.convert("L"),
    "matrix": lambda image: image.convert("RGB", (1.0, 0, 0, 0) * 3),
    "to_rgb": to_rgb,
}


@pytest.mark.parametrize("way", WAYS)
def test_whoever_touches_the_pixels_gets_them_and_what_is_done_to_them_is_seen(way: str) -> None:
    data = jpeg(SMALL)
    image, plain = kept(data), open_image(data)
    WAYS[way](image)
    WAYS[way](plain)
    assert image.encoded is None
    assert same(image, plain)
    shown = Views("fast")(image, whole(Size(*image.size)), Size(8, 6))
    assert same(shown, render(plain, whole(Size(*plain.size)), Size(8, 6)))


def test_a_copy_in_rgb_is_one_of_its_own() -> None:
    image = kept(jpeg(SMALL))
    other = image.convert("RGB")
    assert isinstance(other, EncodedJpeg)
    other.paste("red", (0, 0, 64, 48))
    assert image.encoded is not None
    assert same(image, decoded(jpeg(SMALL)))


# ---- damage, limits and what is not installed


@pytest.mark.parametrize("decode", ["stream", "fast"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_truncated_file_is_damage(
    decode: Decode, share: float, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    data = files["photograph"][: int(share * len(files["photograph"]))]
    with pytest.raises(OSError) as pillows:  # noqa: PT011
        decoded(data)
    with pytest.raises(DamagedImage) as ours:
        Views(decode)(kept(data), whole(SIZE), Size(56, 28))
    assert str(ours.value) == f"OSError: {pillows.value}"


@pytest.mark.parametrize("decode", ["stream", "fast"])
def test_what_pillow_is_told_to_make_up_is_made_up_the_same(
    decode: Decode, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a process that imports lmms-eval."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = files["photograph"][: len(files["photograph"]) // 2]
    assert same(Views(decode)(kept(data), whole(SIZE), Size(56, 28)), render(decoded(data), whole(SIZE), Size(56, 28)))


def test_the_limit_holds_from_the_header(files: dict[str, bytes]) -> None:
    with pytest.raises(TooLargeImage):
        encoded(open_image(files["print"], max_megapixels=1))


def test_without_pyvips_a_choice_of_it_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyvips", None)
    streamed._vips.cache_clear()
    assert decode_named("exact") == "exact"
    with pytest.raises(NoLibvips, match=r"decode=fast needs pyvips.*pip install 'ergo-plugins\[fast\]'"):
        decode_named("fast")
    streamed._vips.cache_clear()


def test_a_way_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="decode is one of exact, stream, fast, got 'quick'"):
        decode_named("quick")
