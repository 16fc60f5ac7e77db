"""What is stored is what others read, to the last pixel."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ergo_plugins.core.png import png


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 99))
def test_pixels_come_back(width: int, height: int, seed: int) -> None:
    image = Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(3 * width * height))
    with Image.open(io.BytesIO(png(image))) as read:
        read.verify()  # checksums
    with Image.open(io.BytesIO(png(image))) as read:
        assert (read.format, read.mode, read.size) == ("PNG", "RGB", (width, height))
        assert read.tobytes() == image.tobytes()


def test_a_large_view_takes_more_than_one_stored_block() -> None:
    image = Image.effect_noise((1000, 700), 60).convert("RGB")
    with Image.open(io.BytesIO(png(image))) as read:
        assert read.tobytes() == image.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_other_modes_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=f"views are RGB, got mode {mode}"):
        png(Image.new(mode, (4, 4)))
