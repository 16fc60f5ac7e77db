"""Decoded originals, shared by all who need one at the same time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path
from weakref import WeakValueDictionary

from PIL import Image

from ..core.images import size_of, to_rgb
from ..image_files import open_image
from .settings import ImagesConfig


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
        self._in_use: WeakValueDictionary[str, Image.Image] = WeakValueDictionary()
        self._kept: OrderedDict[str, Image.Image] = OrderedDict()
        self._decoding: dict[str, asyncio.Task[Image.Image]] = {}

    async def get(self, path: str) -> Image.Image:
        """The original, RGB and upright.

        Raises:
            FileNotFoundError, OSError: it is missing or damaged.
            ValueError: it has more pixels than allowed.
        """
        image = self._kept.get(path) or self._in_use.get(path)
        if image is None:
            if path not in self._decoding:
                self._decoding[path] = asyncio.create_task(asyncio.to_thread(self._decode, path))
                self._decoding[path].add_done_callback(lambda _: self._decoding.pop(path))
            image = await asyncio.shield(self._decoding[path])
        self._keep(path, image)
        return image

    def _decode(self, path: str) -> Image.Image:
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
            return rgb

    def _keep(self, path: str, image: Image.Image) -> None:
        self._in_use[path] = image
        self._kept[path] = image
        self._kept.move_to_end(path)
        while len(self._kept) > 1 and self._kept_megapixels() > self.config.kept_megapixels:
            self._kept.popitem(last=False)

    def _kept_megapixels(self) -> float:
        return sum(size_of(image).area for image in self._kept.values()) / 1e6
