"""What the messages of a row say: the text of a question around its image, and the image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..outside.image_files import ImageValue

IMAGE_MARK = "<image>"
"""Where verl's data set puts an image into a text; it stays in texts of rows whose images it was not given."""

_MARKS = re.compile(r"\s*(?:<image>\s*)+")
_OTHER_MEDIA = ("video", "audio")


@dataclass(frozen=True, slots=True)
class Said:
    """What a prompt says.

    Attributes:
        question: all texts of the user, joined where the image stood; empty if there is none.
        system: the text of its system messages; empty for none.
        images: the images in order, as `image_files.open_image` takes them.
    """

    question: str
    system: str
    images: tuple[ImageValue, ...]


def read_messages(messages: Any) -> Said:
    """What the messages of a prompt say; verl hands them over as a list or an array.

    Texts are joined by the white space that stood around the image: a new line if there was one or nothing at all.

    Raises:
        ValueError: no messages, some of another role, a video or audio, or a part that is none of these.
    """
    texts: dict[str, list[str]] = {"system": [], "user": []}
    images: list[ImageValue] = []
    for role, part in _parts(messages):
        text, image = _text_or_image(part)
        if image is not None:
            images.append(image)
            texts["user"].append(IMAGE_MARK)
        else:
            texts["user" if role == "user" else "system"].append(text)
    return Said(joined(texts["user"]), joined(texts["system"]), tuple(images))


def joined(texts: Sequence[str]) -> str:
    """Texts without the marks of images, none lost, as one."""
    whole = ""
    for text in texts:
        apart = whole and text and not (whole[-1].isspace() or text[0].isspace())
        whole += ("\n" if apart and IMAGE_MARK not in (whole, text) else "") + text
    return without_marks(whole)


def without_marks(text: str) -> str:
    """A text without the marks of images; what stood on both sides of one stays apart."""

    def between(found: re.Match[str]) -> str:
        space = found[0].replace(IMAGE_MARK, "")
        return "\n" if "\n" in space or not space else " "

    return _MARKS.sub(between, text).strip()


def image_value(part: Mapping[str, Any]) -> Any:
    """The image of a mapping: its bytes, else what verl decoded, else where it lies; None if it holds none.

    Bytes come first: they are the file as it is, and what verl made of them beside is the same image without its EXIF.
    """
    if part.get("bytes") is not None:
        return part["bytes"]
    for name in ("image", "image_url", "url", "path"):
        value = part.get(name)
        if isinstance(value, Mapping):
            value = image_value(value)
        if value is not None:
            return value
    return None


def _parts(messages: Any) -> Iterator[tuple[str, Any]]:
    """``(role, part)`` of all messages; a plain text is one part."""
    if messages is None or isinstance(messages, str | bytes | Mapping) or len(messages) == 0:
        raise ValueError(f"a prompt is a list of messages, got {messages!r:.80}")
    for message in messages:
        if not isinstance(message, Mapping) or "role" not in message:
            raise ValueError(f"a message has a role and a content, got {message!r:.80}")
        role, content = message["role"], message.get("content")
        if role not in ("user", "system", "developer"):
            raise ValueError(f"messages of a prompt are the system's and the user's, got one of {role!r}")
        if content is None:
            continue
        for part in [content] if isinstance(content, str) else content:
            yield role, part


def _text_or_image(part: Any) -> tuple[str, Any]:
    """``(text, None)`` or ``("", image)`` of a part."""
    if isinstance(part, str):
        return part, None
    if not isinstance(part, Mapping):
        raise ValueError(f"a part of a message is a text or an image, got {part!r:.80}")  # noqa: TRY004
    kind = part.get("type")
    media = next((name for name in _OTHER_MEDIA if str(kind).startswith(name) or part.get(name) is not None), None)
    if media:
        raise ValueError(f"the prompt shows {media}, and only an image can be zoomed into")
    if kind == "text" or (kind is None and part.get("text") is not None):
        return _text(part.get("text")), None
    image = image_value(part)
    if image is None:
        names = sorted(name for name, value in part.items() if value is not None)
        raise ValueError(f"a part of a message is a text or an image, got one with {', '.join(names) or 'nothing'}")
    return "", image


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError(f"a text of a message is a string, got {text!r:.80}")  # noqa: TRY004
    return text
