"""Pixel patches of a view, made once for all rollouts that saw it.

verl runs the image processor over each new turn, and again over each trajectory when it has ended, then in the event
loop of all of them. The rollouts of a prompt share their views (`originals`), so that most of that work would be done
again with the same result.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature

_PARTS = ("pixel_values", "image_grid_thw")
_Key = tuple[int, str]
_Made = tuple[torch.Tensor, torch.Tensor]


class Patches:
    """An image processor's ``preprocess`` that knows views it has seen, whichever thread asks.

    What it gives is what the processor itself gives, to the bit. Anything but a list of PIL images goes to the
    processor as ever. Nobody may draw on an image after it was seen here.

    Attributes:
        made: images that went through the processor.
    """

    def __init__(self, image_processor: Any, *, kept_mib: float) -> None:
        self.made = 0
        self._kept_bytes = kept_mib * 2**20
        self._preprocess = image_processor.preprocess
        self._known: dict[_Key, Future[_Made]] = {}
        self._sizes: dict[_Key, int] = {}
        self._lock = threading.RLock()  # an image may be collected, and so forgotten, while a thread holds it

    @classmethod
    def remember(cls, image_processor: Any, *, kept_mib: float) -> None:
        """From now on this processor knows views it has seen, the latest up to a limit.

        A second call changes nothing, nor does one for a processor that makes other things than patches and grids.
        """
        is_one = isinstance(getattr(image_processor.preprocess, "__self__", None), cls)
        if not is_one and set(image_processor.model_input_names) == set(_PARTS):
            image_processor.preprocess = cls(image_processor, kept_mib=kept_mib).preprocess

    def preprocess(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:
        """See `BaseImageProcessor.preprocess` of transformers."""
        if args or kwargs.get("return_tensors") != "pt" or not _are_pictures(images):
            as_ever: BatchFeature = self._preprocess(images, *args, **kwargs)
            return as_ever
        keys = [(id(image), repr(sorted(kwargs.items()))) for image in images]
        missing: dict[_Key, Image.Image] = {}
        with self._lock:
            for key, image in zip(keys, images, strict=True):
                if key not in self._known:
                    self._known[key] = Future()
                    missing[key] = image
            found = [self._known[key] for key in keys]
        if missing:
            self._make(missing, kwargs)
        pixels, grids = zip(*(one.result() for one in found), strict=True)
        return BatchFeature({"pixel_values": torch.cat(pixels), "image_grid_thw": torch.stack(grids)})

    def _make(self, missing: dict[_Key, Image.Image], kwargs: dict[str, Any]) -> None:
        promised = [self._known[key] for key in missing]
        try:
            made = self._preprocess(list(missing.values()), **kwargs)
            patches = made["pixel_values"].split(made["image_grid_thw"].prod(-1).tolist())
            # each its own memory, not a window into that of all
            results = [(p.clone(), grid.clone()) for p, grid in zip(patches, made["image_grid_thw"], strict=True)]
        except BaseException as error:
            for key, promise in zip(missing, promised, strict=True):
                self._forget(key)
                promise.set_exception(error)
            raise
        with self._lock:
            self.made += len(missing)
            for (key, image), promise, result in zip(missing.items(), promised, results, strict=True):
                promise.set_result(result)
                self._sizes[key] = result[0].nbytes
                # the number of an image that is gone may be another's
                weakref.finalize(image, self._forget, key).atexit = False
            while sum(self._sizes.values()) > self._kept_bytes:
                self._forget(next(iter(self._sizes)))

    def _forget(self, key: _Key) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._sizes.pop(key, None)


def _are_pictures(images: Any) -> bool:
    return isinstance(images, Sequence) and bool(images) and all(isinstance(image, Image.Image) for image in images)
