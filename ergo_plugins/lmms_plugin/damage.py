"""Which exceptions say that a row's image is missing or damaged; all others say that something else is wrong.

A task decodes its images in its own code and in that of `datasets`, and which exception a broken file raises there
depends on the format and on the damaged byte. So the place decides, not the type: what comes out of a decoder is
damage. A `KeyError` out of a task's own lines is a bug of the task, and "too many open files" a fault of the machine:
neither must count as a wrong answer of the model.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from PIL import UnidentifiedImageError

_DECODERS = ("PIL", "base64", "datasets.features.image")
_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)


def is_image_damage(error: BaseException) -> bool:
    """Whether an exception, or what it was raised from, says that an image file is missing or cannot be decoded."""
    if isinstance(error, MemoryError | RecursionError | ImportError):
        return False
    if isinstance(error, UnidentifiedImageError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _NO_SUCH_FILE
    if _innermost_module(error).startswith(tuple(f"{decoder}." for decoder in _DECODERS)):
        return True
    return error.__cause__ is not None and is_image_damage(error.__cause__)


def missing_images(features: Mapping[str, Any] | None, row: Mapping[str, Any]) -> list[str]:
    """The image columns of a row, if it has an image in none of them.

    Args:
        features: of a `datasets.Dataset`; None of a data set of another kind.
        row: decoded.
    """
    from datasets import Image

    def is_image(feature: Any) -> bool:
        return isinstance(feature, Image) or isinstance(getattr(feature, "feature", None), Image)

    columns = [name for name, feature in (features or {}).items() if is_image(feature)]
    return columns if not any(row.get(name) for name in columns) else []


def _innermost_module(error: BaseException) -> str:
    """The name of the module whose line raised, with a dot at its end."""
    trace, module = error.__traceback__, ""
    while trace is not None:
        module, trace = str(trace.tb_frame.f_globals.get("__name__", "")), trace.tb_next
    return f"{module}."
