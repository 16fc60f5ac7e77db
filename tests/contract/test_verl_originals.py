"""Originals are decoded once and their views made once, from whichever thread, and errors reach everybody."""

from __future__ import annotations

import asyncio
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from ergo_plugins.core import images
from ergo_plugins.core.geometry import Box, Size
from ergo_plugins.verl_plugin import originals
from ergo_plugins.verl_plugin.originals import KEPT_VIEWS, Original, Originals
from ergo_plugins.verl_plugin.settings import ImagesConfig

REGION, VIEW = Box(10, 10, 60, 60), Size(28, 28)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Box]:
    """The regions that were really rendered."""
    regions: list[Box] = []
    one_at_a_time = threading.Lock()

    def render(image: Image.Image, region: Box, view: Size, *, resample: str) -> Image.Image:
        with one_at_a_time:
            regions.append(region)
        return images.render(image, region, view, resample=resample)

    monkeypatch.setattr(originals, "render", render)
    return regions


def picture() -> Image.Image:
    return Image.effect_noise((80, 70), 50).convert("RGB")


def test_a_view_is_made_once_for_all_threads(made: list[Box]) -> None:
    original = Original(picture())
    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(lambda _: original.render(original.image, REGION, VIEW, resample="bicubic"), range(64)))
    assert made == [REGION]
    assert len({id(view) for view in views}) == 1
    assert views[0].tobytes() == images.render(original.image, REGION, VIEW).tobytes()


def test_other_regions_sizes_and_filters_are_other_views(made: list[Box]) -> None:
    original = Original(picture())
    for region, view, resample in [
        (REGION, VIEW, "bicubic"),
        (Box(0, 0, 60, 60), VIEW, "bicubic"),
        (REGION, Size(56, 28), "bicubic"),
        (REGION, VIEW, "box"),
    ]:
        shown = original.render(original.image, region, view, resample=resample)
        assert shown.tobytes() == images.render(original.image, region, view, resample=resample).tobytes()
    assert len(made) == 4


def test_only_the_latest_views_are_kept(made: list[Box]) -> None:
    original = Original(picture())
    regions = [Box(0, 0, 20 + i, 20) for i in range(KEPT_VIEWS + 1)]
    for region in [*regions, regions[-1], regions[0]]:
        original.render(original.image, region, VIEW)
    assert made == [*regions, regions[0]]


def test_what_goes_wrong_is_told_to_all_who_wait() -> None:
    original = Original(picture())
    for _ in range(2):
        with pytest.raises(KeyError, match="nonsense"):
            original.render(original.image, REGION, VIEW, resample="nonsense")


def test_one_decode_for_all_who_ask_at_once(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    shared = Originals(ImagesConfig())

    async def ask() -> list[Original]:
        return await asyncio.gather(*(shared.get(str(tmp_path / "a.png")) for _ in range(8)))

    assert len({id(original) for original in asyncio.run(ask())}) == 1
    assert shared.decodes == 1


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)  # True in a process that imports lmms-eval
    sound = io.BytesIO()
    Image.effect_noise((300, 200), 90).save(sound, "PNG")
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(sound.getvalue()[:2000])
    for value in (str(damaged), {"image": str(damaged)}, damaged.as_uri()):
        with pytest.raises(OSError, match=r"damaged\.png: .*truncated"):
            asyncio.run(Originals(ImagesConfig()).get(value))
