"""Whatever Pillow can open becomes the RGB pixels people see, or an OSError; a view is exactly its region."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageDraw, ImageFile, ImageFilter

from ergo_plugins.core.geometry import Box, Size, whole
from ergo_plugins.core.images import RESAMPLERS, render, size_of, to_rgb
from ergo_plugins.outside.image_files import open_image

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what Pillow says of the damage done here


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    """A lazily opened image, as hosts hand them over."""
    return open_image(io.BytesIO(data))


def pixels(image: Image.Image) -> list[tuple[int, int, int]]:
    """All pixels of an RGB image, row by row."""
    assert image.mode == "RGB"
    values = image.tobytes()
    return [(values[i], values[i + 1], values[i + 2]) for i in range(0, len(values), 3)]


def picture(width: int = 64, height: int = 48) -> Image.Image:
    """An image whose pixels all differ from their neighbours."""
    image = Image.new("RGB", (width, height))
    image.putdata([((37 * i) % 256, (91 * i + 7) % 256, (53 * i * i) % 256) for i in range(width * height)])
    return image


# ---- modes


def test_rgb_stays_as_it_is() -> None:
    image = picture()
    assert pixels(to_rgb(image)) == pixels(image)
    assert pixels(to_rgb(opened(saved(image, "PNG")))) == pixels(image)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa"])
def test_transparency_lies_on_white(mode: str) -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(0, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 128)])
    opaque, clear, half = pixels(to_rgb(image.convert(mode)))
    assert opaque == BLACK
    assert clear == WHITE
    assert all(abs(channel - 127) <= 1 for channel in half)


def test_a_palette_without_transparency_gives_its_colours() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2])
    assert pixels(to_rgb(opened(saved(image, "PNG")))) == [RED, GREEN, BLUE]


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(file_format: str) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLUE])
    image.putdata([0, 1, 2])
    assert pixels(to_rgb(opened(saved(image, file_format, transparency=1)))) == [RED, WHITE, BLUE]


def test_a_palette_with_degrees_of_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*BLACK, *BLACK])
    image.putdata([0, 1])
    dark, light = pixels(to_rgb(opened(saved(image, "PNG", transparency=bytes([255, 0])))))
    assert (dark, light) == (BLACK, WHITE)


def test_a_transparent_colour_of_an_rgb_png_is_white() -> None:
    image = Image.new("RGB", (2, 1), RED)
    image.putpixel((1, 0), GREEN)
    assert pixels(to_rgb(opened(saved(image, "PNG", transparency=GREEN)))) == [RED, WHITE]


def test_one_bit_is_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert pixels(to_rgb(opened(saved(image, "PNG")))) == [BLACK, WHITE]


def test_eight_bit_grey() -> None:
    image = Image.new("L", (3, 1))
    image.putdata([0, 100, 255])
    assert pixels(to_rgb(image)) == [BLACK, (100, 100, 100), WHITE]


SIXTEEN_BIT = [0, 257, 0x1234, 0x7FFF, 0x8000, 0xFFFF]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped_to_white(file_format: str) -> None:
    image = Image.new("I;16", (len(SIXTEEN_BIT), 1))
    for x, value in enumerate(SIXTEEN_BIT):
        image.putpixel((x, 0), value)
    reopened = opened(saved(image, file_format))
    assert reopened.mode.startswith("I;16")
    for grey, value in zip(pixels(to_rgb(reopened)), SIXTEEN_BIT, strict=True):
        assert grey[0] == grey[1] == grey[2]
        assert abs(grey[0] - value / 257) < 1


@pytest.mark.parametrize(("values", "divisor"), [([0, 100, 255], 1), ([0, 1000, 65535], 257)])
def test_a_32_bit_container_is_read_by_what_it_holds(values: list[int], divisor: int) -> None:
    image = Image.new("I", (len(values), 1))
    image.putdata(values)
    greys = [grey[0] for grey in pixels(to_rgb(image))]
    assert all(abs(grey - value / divisor) < 1 for grey, value in zip(greys, values, strict=True))


@pytest.mark.parametrize(
    ("values", "greys"),
    [((0.0, 0.5, 1.0), (0, 128, 255)), ((0.0, 100.0, 255.0), (0, 100, 255)), ((0.0, 0.0, 0.0), (0, 0, 0))],
)
def test_floating_point_grey_is_0_to_1_or_0_to_255(values: tuple[float, ...], greys: tuple[int, ...]) -> None:
    image = Image.new("F", (3, 1))
    image.putdata(values)
    assert pixels(to_rgb(opened(saved(image, "TIFF")))) == [(grey,) * 3 for grey in greys]


@pytest.mark.parametrize("values", [(-1.0, 0.0), (0.0, 300.0), (0.0, float("inf"))])
def test_other_floats_are_refused(values: tuple[float, ...]) -> None:
    image = Image.new("F", (2, 1))
    image.putdata(values)
    with pytest.raises(OSError, match="float pixels"):
        to_rgb(opened(saved(image, "TIFF")))


def test_cmyk_jpeg_has_the_colours_it_was_saved_with() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    reopened = opened(saved(image, "JPEG", quality=100))
    assert reopened.mode == "CMYK"
    red, green, blue = pixels(to_rgb(reopened))[0]
    assert red > 240
    assert green < 15
    assert blue < 15


def test_the_first_frame_of_an_animation_is_used() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    assert opened(data).n_frames == 3  # type: ignore[attr-defined]
    assert set(pixels(to_rgb(opened(data)))) == {RED}


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (10, 20_000)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "F"])
def test_extreme_sizes_keep_their_size(mode: str, size: tuple[int, int]) -> None:
    assert to_rgb(Image.new(mode, size)).size == size


# ---- orientation

UPRIGHT = Image.new("RGB", (3, 2))
UPRIGHT.putdata([RED, GREEN, BLUE, WHITE, BLACK, (9, 99, 199)])

STORED: dict[int, Callable[[Image.Image], Image.Image]] = {
    # orientation: how a camera that writes it has stored the upright picture (EXIF 2.3, tag 274)
    1: lambda upright: upright,
    2: lambda upright: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda upright: upright.rotate(180),
    4: lambda upright: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda upright: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(90, expand=True),
    6: lambda upright: upright.rotate(90, expand=True),
    7: lambda upright: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(-90, expand=True),
    8: lambda upright: upright.rotate(-90, expand=True),
}


def orientation(value: object) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_a_turned_photo_is_put_upright(value: int, file_format: str) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = saved(STORED[value](UPRIGHT), file_format, exif=orientation(value), **options)
    image = to_rgb(opened(data))
    assert image.size == UPRIGHT.size
    assert pixels(image) == pixels(UPRIGHT)


def test_a_turned_jpeg_is_put_upright() -> None:
    left_red = Image.new("RGB", (64, 32), BLUE)
    left_red.paste(RED, (0, 0, 32, 32))
    data = saved(left_red.rotate(90, expand=True), "JPEG", quality=95, exif=orientation(6))
    assert opened(data).size == (32, 64)
    image = to_rgb(opened(data))
    assert image.size == (64, 32)
    left, right = image.getpixel((8, 16)), image.getpixel((56, 16))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[0] > 200 > 50 > left[2]
    assert right[2] > 200 > 50 > right[0]


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(value: int) -> None:
    assert pixels(to_rgb(opened(saved(UPRIGHT, "PNG", exif=orientation(value))))) == pixels(UPRIGHT)


EXIF = orientation(6).tobytes()
BROKEN_EXIF = {
    "no TIFF header": EXIF.replace(b"MM\x00*", b"XX\x00*"),
    "cut off": EXIF[:12],
    "a table beyond the end": EXIF.replace(struct.pack(">L", 8), struct.pack(">L", 0x7FFFFFFF), 1),
    "nothing in it": b"Exif\x00\x00",
}


@pytest.mark.parametrize("exif", BROKEN_EXIF.values(), ids=BROKEN_EXIF.keys())
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG"])
def test_unreadable_exif_does_not_cost_the_picture(file_format: str, exif: bytes) -> None:
    image = Image.new("RGB", (6, 4), RED)
    assert to_rgb(opened(saved(image, file_format, exif=exif, quality=100))).size == (6, 4)


@given(st.binary(max_size=60))
@settings(max_examples=60)
def test_no_exif_costs_the_picture(exif: bytes) -> None:
    data = saved(Image.new("RGB", (6, 4), RED), "PNG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08" + exif)
    assert sorted(to_rgb(opened(data)).size) == [4, 6]


# ---- damage

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"]


@pytest.fixture
def strict_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow as it comes: importing lmms-eval anywhere in the process tells it to make up what a file lacks."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)


@pytest.mark.usefixtures("strict_pillow")
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_an_oserror(file_format: str, share: float) -> None:
    """Also where Pillow opens it and notices only on decoding; grey filling would be scored as if it were the image."""
    data = saved(picture(200, 150), file_format)
    with pytest.raises(OSError, match=r".+"):
        to_rgb(opened(data[: int(share * len(data))]))


@given(st.sampled_from(FORMATS), st.integers(0, 10**6), st.binary(min_size=1, max_size=8), st.booleans())
@example("PNG", 37, b"\xff", False)  # a chunk whose name is no text
@settings(max_examples=300)
def test_damage_within_a_file_is_an_oserror_or_an_image(
    file_format: str, place: int, damage: bytes, made_up: bool
) -> None:
    data = bytearray(saved(picture(), file_format))
    start = place % len(data)
    data[start : start + len(damage)] = damage
    try:
        with pytest.MonkeyPatch.context() as pillow:
            pillow.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", made_up)  # True in a process that imports lmms-eval
            image = to_rgb(opened(bytes(data)))
    except OSError:
        return
    assert image.mode == "RGB"


# ---- views


@pytest.mark.parametrize("resample", RESAMPLERS)
@pytest.mark.parametrize(
    "region", [Box(0, 0, 64, 48), Box(5, 7, 29, 40), Box(63, 47, 64, 48), Box(0, 10, 64, 11)], ids=str
)
@pytest.mark.parametrize("view", [Size(28, 28), Size(112, 56)], ids=str)
def test_a_view_shows_its_region_and_nothing_beside_it(resample: str, region: Box, view: Size) -> None:
    """Cut, then resized: a pixel next to the region must not show, or a judge of the crop would see more than it."""
    image = picture()
    expected = image.crop(region.as_tuple()).resize((view.width, view.height), RESAMPLERS[resample])  # type: ignore[arg-type]
    assert pixels(render(image, region, view, resample=resample)) == pixels(expected)

    changed = image.copy()
    changed.paste(WHITE, (0, 0, *image.size))
    changed.paste(image.crop(region.as_tuple()), (int(region.x1), int(region.y1)))  # type: ignore[arg-type]
    assert pixels(render(changed, region, view, resample=resample)) == pixels(expected)


def test_box_resampling_is_the_mean_of_whole_pixels() -> None:
    image = picture(40, 20)
    view = render(image, Box(4, 2, 36, 18), Size(8, 4), resample="box")
    source = pixels(image)
    for row in range(4):
        for column in range(8):
            block = [source[(2 + 4 * row + y) * 40 + 4 + 4 * column + x] for y in range(4) for x in range(4)]
            mean = [sum(pixel[channel] for pixel in block) / 16 for channel in range(3)]
            shown = pixels(view)[8 * row + column]
            assert all(abs(a - b) <= 0.5 for a, b in zip(shown, mean, strict=True))


@pytest.mark.parametrize(
    ("softness", "mean", "most_of", "worst"), [(4, 0.75, 4, 8), (0, 3, 16, 32)], ids=["photograph", "hard edges"]
)
@pytest.mark.parametrize("times", [6.0, 9.1, 20.0])
@pytest.mark.parametrize("resample", RESAMPLERS)
def test_a_much_smaller_view_is_close_to_what_the_filter_alone_gives(
    resample: str, times: float, softness: int, mean: float, most_of: int, worst: int
) -> None:
    """Differences of 8-bit values: their mean, what 99.9 % stay within, the largest."""
    random = np.random.default_rng(0)
    image = Image.new("RGB", (2400, 1600), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(600):
        (x, y), size = random.integers(0, image.size), int(random.integers(8, 80))
        draw.text((int(x), int(y)), "Exit 17", fill=tuple(random.integers(0, 160, 3).tolist()), font_size=size)
    image = image.filter(ImageFilter.GaussianBlur(softness))
    view = Size(round(image.width / times), round(image.height / times))
    alone = image.resize((view.width, view.height), RESAMPLERS[resample])
    apart = np.abs(np.asarray(render(image, whole(size_of(image)), view, resample=resample), int) - np.asarray(alone))
    assert apart.mean() <= mean
    assert np.percentile(apart, 99.9) <= most_of
    assert apart.max() <= worst
    if resample == "box":
        assert apart.max() == 0


@pytest.mark.parametrize("resample", RESAMPLERS)
def test_a_view_of_the_same_size_is_the_image_itself(resample: str) -> None:
    image = picture()
    assert pixels(render(image, whole(size_of(image)), size_of(image), resample=resample)) == pixels(image)


def test_a_view_leaves_the_original_alone() -> None:
    image = picture()
    before = image.tobytes()
    render(image, Box(5, 7, 29, 40), Size(28, 28)).paste(RED, (0, 0, 28, 28))
    render(image, whole(size_of(image)), size_of(image)).paste(RED, (0, 0, 28, 28))
    assert image.tobytes() == before
