"""Decoded originals and their views, shared by all who need one at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from weakref import WeakValueDictionary

from PIL import Image

from ..core.geometry import Box, Size
from ..core.images import render, size_of, to_rgb
from ..image_files import open_image
from .settings import ImagesConfig

KEPT_VIEWS = 16
"""Views kept of an original: the coarse one and the crops that the rollouts of a group agree on."""


class Original:
    """A decoded image; each view of it is made once for all rollouts that ask for it, from whichever thread.

    Attributes:
        image: RGB and upright.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self._views: OrderedDict[tuple[Box, Size, str], Future[Image.Image]] = OrderedDict()
        self._lock = threading.Lock()

    def render(self, image: Image.Image, region: Box, view: Size, *, resample: str = "bicubic") -> Image.Image:
        """As `core.images.render` of ``self.image``; who gets the view must not draw on it."""
        assert image is self.image
        key = (region, view, resample)
        with self._lock:
            made = self._views.get(key)
            is_new = made is None
            if made is None:
                made = self._views[key] = Future()
                if len(self._views) > KEPT_VIEWS:
                    self._views.popitem(last=False)
        if is_new:
            try:
                made.set_result(render(image, region, view, resample=resample))
            except Exception as error:  # noqa: BLE001  (all who wait for the view raise it)
                made.set_exception(error)
        return made.result()


class Originals:
    """Decodes each original once for the n rollouts of a prompt, however they overlap.

    An original in use by anybody is shared. Of those no longer in use, the latest are kept up to a limit. For one
    event loop.

    Attributes:
        decodes: images decoded so far.
    """

    def __init__(self, config: ImagesConfig) -> None:
        self.config = config
        self.decodes = 0
        self._in_use: WeakValueDictionary[str, Original] = WeakValueDictionary()
        self._kept: OrderedDict[str, Original] = OrderedDict()
        self._decoding: dict[str, asyncio.Task[Original]] = {}

    async def get(self, path: str) -> Original:
        """The original at a path.

        Raises:
            FileNotFoundError, OSError: it is missing or damaged.
            ValueError: it has more pixels than allowed.
        """
        original = self._kept.get(path) or self._in_use.get(path)
        if original is None:
            if path not in self._decoding:
                self._decoding[path] = asyncio.create_task(asyncio.to_thread(self._decode, path))
                self._decoding[path].add_done_callback(lambda _: self._decoding.pop(path))
            original = await asyncio.shield(self._decoding[path])
        self._keep(path, original)
        return original

    def _decode(self, path: str) -> Original:
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no image {path}")
        with open_image(path) as image:
            megapixels = size_of(image).area / 1e6
            if megapixels > self.config.max_megapixels:
                raise ValueError(
                    f"{path} has {megapixels:.0f} megapixels, more than ergo.images.max_megapixels="
                    f"{self.config.max_megapixels:g}"
                )
            self.decodes += 1
            rgb = to_rgb(image)
            rgb.load()
            return Original(rgb)

    def _keep(self, path: str, original: Original) -> None:
        self._in_use[path] = original
        self._kept[path] = original
        self._kept.move_to_end(path)
        while len(self._kept) > 1 and self._kept_megapixels() > self.config.kept_megapixels:
            self._kept.popitem(last=False)

    def _kept_megapixels(self) -> float:
        return sum(size_of(original.image).area for original in self._kept.values()) / 1e6
