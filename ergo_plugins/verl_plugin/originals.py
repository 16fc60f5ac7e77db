"""Decoded originals and their views, shared by all who need one at the same time."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import OrderedDict
from concurrent.futures import Future
from functools import cached_property
from weakref import WeakValueDictionary

from PIL import Image

from ..core.geometry import Box, Size
from ..core.images import render, size_of, to_rgb
from ..outside.image_files import ImageValue, TooLargeImage, image_key, open_image, path_of
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

    def sent(self, value: ImageValue) -> ImageValue:
        """A row's image as it travels to the reward: pixels as a file, since verl would send them bare."""
        return self._png if isinstance(value, Image.Image) else value

    @cached_property
    def _png(self) -> bytes:
        """The same pixels as a file, made once for all rollouts that have to send it along."""
        file = io.BytesIO()
        self.image.save(file, "PNG", compress_level=1)
        return file.getvalue()

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

    An original in use by anybody is shared. Of those no longer in use, the latest are kept up to a limit, and up to
    another those decoded ahead of their rollouts. For one event loop.

    Attributes:
        decodes: images decoded so far.
    """

    def __init__(self, config: ImagesConfig) -> None:
        self.config = config
        self.decodes = 0
        self._in_use: WeakValueDictionary[str, Original] = WeakValueDictionary()
        self._kept: OrderedDict[str, Original] = OrderedDict()
        self._ahead: OrderedDict[str, Original | None] = OrderedDict()
        self._decoding: dict[str, asyncio.Task[Original]] = {}

    async def get(self, image: ImageValue) -> Original:
        """The original behind a row's image.

        Raises:
            FileNotFoundError, OSError: it is missing or damaged.
            ValueError: it is no image, or has more pixels than allowed.
        """
        key = await asyncio.to_thread(content_key, image)
        original = self._kept.get(key) or self._in_use.get(key)
        self._ahead.pop(key, None)  # from here on it is in use, and later one of those kept
        if original is None:
            original = await self._decoded(key, image)
        self._keep(key, original)
        return original

    async def ahead(self, image: ImageValue) -> Original | None:
        """Decode an image that nobody has asked for yet, and keep it until somebody does.

        Returns:
            None where it is here already, and where ``ahead_megapixels`` leave no room beside those that wait.

        Raises:
            As `get`.
        """
        key, megapixels = await asyncio.to_thread(self._looked_at, image)
        if key in self._ahead or key in self._decoding or key in self._in_use:
            return None
        if self._ahead_megapixels() + megapixels > self.config.ahead_megapixels:
            return None
        self._ahead[key] = None
        try:
            original = self._in_use[key] = await self._decoded(key, image)
        except BaseException:
            self._ahead.pop(key, None)
            raise
        if key in self._ahead:  # its rollouts have not overtaken us
            self._ahead[key] = original
        return original

    def forget_ahead(self) -> None:
        """Let go of all that was decoded ahead and not asked for."""
        self._ahead.clear()

    async def _decoded(self, key: str, image: ImageValue) -> Original:
        """An original from whoever decodes it first."""
        if key not in self._decoding:
            self._decoding[key] = asyncio.create_task(asyncio.to_thread(self._decode, image))
            self._decoding[key].add_done_callback(lambda _: self._decoding.pop(key))
        return await asyncio.shield(self._decoding[key])

    def _looked_at(self, value: ImageValue) -> tuple[str, float]:
        """An image's key, and its megapixels from its header."""
        key = content_key(value)
        with open_image(value, max_megapixels=self.config.max_megapixels) as image:
            return key, size_of(image).area / 1e6

    def _ahead_megapixels(self) -> float:
        return sum(size_of(original.image).area for original in self._ahead.values() if original is not None) / 1e6

    def _decode(self, value: ImageValue) -> Original:
        try:
            with open_image(value, max_megapixels=self.config.max_megapixels) as image:
                self.decodes += 1
                rgb = to_rgb(image)
                rgb.load()
                return Original(rgb.copy() if rgb is value else rgb)  # ours, whatever becomes of the row's own
        except TooLargeImage as error:
            raise ValueError(f"{error}; the limit is ergo.images.max_megapixels") from error
        except FileNotFoundError:
            raise
        except OSError as error:
            path = path_of(value)
            if path is None or str(path) in str(error):
                raise
            raise OSError(f"{path}: {error}") from error

    def _keep(self, key: str, original: Original) -> None:
        self._in_use[key] = original
        self._kept[key] = original
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and self._kept_megapixels() > self.config.kept_megapixels:
            self._kept.popitem(last=False)

    def _kept_megapixels(self) -> float:
        return sum(size_of(original.image).area for original in self._kept.values()) / 1e6


def content_key(image: ImageValue) -> str:
    """Names an image so that other pixels have another name: by content, and for a file by its time and size too."""
    path = path_of(image)
    if path is None:
        return image_key(image)
    if not path.is_file():
        raise FileNotFoundError(f"there is no image {path}")
    status = path.stat()
    return f"{path} {status.st_mtime_ns} {status.st_size}"
