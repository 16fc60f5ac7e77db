"""Published sets, each read by one small function.

None of the full sets could be downloaded where this was written: each function says what its fields were confirmed
against. Where a release names a column otherwise, ``--columns question=problem`` says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.geometry import Box
from ..core.questions import split_question
from ..outside.image_values import brief, located
from .fields import answer_text, boxes_of, option_texts, question_text
from .samples import BadSample, Sample, size_of_file

Record = Mapping[str, Any]
"""One entry of a set's file."""

_REGION = re.compile(r"<sot>\s*\[([^\]]*)\]\s*<eot>", re.IGNORECASE)
_TAGGED_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_FINAL_ANSWER = re.compile(r".*final answer\s*:(.*)", re.DOTALL | re.IGNORECASE)  # greedy: the last one

_FOCUS = re.compile(r"additional visual information to focus on:\s*(?:[^\n]*<object>[^\n]*(?:\n|$))*", re.IGNORECASE)
"""What V* puts before a question whose targets are already found; each ``<object>`` stands for one's crop."""

_REFUSAL = "sorry, i can not answer the question"
"""How V*'s model begins when targets are still to be found, which is no answer to learn."""

_VISCOT_FOLDERS = {"textcap": "textvqa", "visual7w": "v7w"}
"""Visual-CoT sets whose images lie in another's folder."""


class MissingColumn(ValueError):
    """A record without a field that is needed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a set lies.

    Attributes:
        file: ``.json``, ``.jsonl`` or ``.parquet``.
        images: folder that its image paths are relative to.
        unpacked: folder for images that stand inside the file.
        columns: names of columns where they differ from the set's own.
    """

    file: Path
    images: Path
    unpacked: Path
    columns: Mapping[str, str] = field(default_factory=dict)

    def records(self) -> Iterator[tuple[str, Any]]:
        """``(name, record)`` of each entry.

        Raises:
            ValueError: a file of another kind.
        """
        for index, record in enumerate(_read(self.file)):
            yield f"{self.file.name} {index}", record

    def get(self, record: Record, name: str, *otherwise: str) -> Any:
        """A field by its own name, by what ``columns`` calls it, or by another of its names.

        Raises:
            MissingColumn: none of them is there; the message names those that are.
        """
        for known in (self.columns.get(name, name), *otherwise):
            if known in record:
                return record[known]
        raise MissingColumn(f"no column {name!r} among {', '.join(map(str, record))}; name it with --columns {name}=…")

    def sample(self, read: Reader, name: str, record: Any) -> Sample:
        """An entry as one of the functions below reads it.

        Raises:
            BadSample: it is no record, or lacks a column, or one is not what it should be.
        """
        if not isinstance(record, Mapping):
            raise BadSample(name, "no record", f"an entry has named fields, got {brief(record)}")
        try:
            return read(self, name, record)
        except MissingColumn as missing:
            raise BadSample(name, "missing column", str(missing)) from missing

    def image(self, name: str, value: Any) -> Path:
        """The path of an image given as a path or URL of a file; one given by its content is unpacked.

        Raises:
            BadSample: there is none, or several, or it is damaged.
        """
        if isinstance(value, list):
            if len(value) > 1:
                raise BadSample(name, "several images", f"it shows {len(value)} images, and the zoom looks at one")
            value = value[0] if value else None
        if value is None or value == "":
            raise BadSample(name, "missing image", "it names no image")
        try:
            content = located(value, folder=self.images)
        except ValueError as error:
            raise BadSample(name, "missing image", str(error)) from error
        except OSError as error:
            raise BadSample(name, "damaged image", str(error)) from error
        return content.held.resolve() if isinstance(content.held, Path) else self._unpack(content.read())

    def _unpack(self, content: bytes) -> Path:
        """The file of an image that stood inside the set's own, named by what is in it.

        Two sets whose entries have the same names, or one that was corrected, never meet in a file.
        """
        path = self.unpacked / f"{hashlib.sha256(content).hexdigest()[:32]}{_suffix(content)}"
        if not path.exists():
            self.unpacked.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(content)
            unfinished.replace(path)
        return path.resolve()


Reader = Callable[[Source, str, Record], Sample]


def jsonl(source: Source, name: str, record: Record) -> Sample:
    """Own data: ``image``, ``question``, ``answer``, and optionally ``options``, ``box`` (or ``boxes``), ``kind``."""
    stem, options = question_text(name, source.get(record, "question")), option_texts(name, record.get("options"))
    if not options and stem:
        parsed = split_question(stem)
        stem, options = (parsed.stem, tuple(o.text for o in parsed.options)) if parsed.options else (stem, ())
    return Sample(
        name=name,
        image=source.image(name, source.get(record, "image", "images")),
        question=stem,
        answer=answer_text(name, source.get(record, "answer")),
        options=options,
        boxes=boxes_of(name, record.get(source.columns.get("box", "box"), record.get("boxes"))),
        kind=record.get("kind"),
    )


def treevgr(source: Source, name: str, record: Record) -> Sample:
    """TreeVGR-RL-37K, ``vstar30k_visdrone6k_x1y1x2y2.parquet``: V* training and VisDrone images, all named instances.

    ``images`` (one path relative to the file), ``problem``, ``answer`` (text, for VisDrone a letter) and
    ``target_instances``, each with ``bbox`` as corners in pixels. Fields not confirmed by the authors' own code, which
    has no training part; several public loaders of this file agree on them.
    """
    stem, options = _asked(name, source.get(record, "problem", "question"))
    return Sample(
        name=name,
        image=source.image(name, source.get(record, "images", "image")),
        question=stem,
        answer=_untagged(answer_text(name, source.get(record, "answer", "solution"))),
        options=options,
        boxes=boxes_of(name, source.get(record, "target_instances", "bboxes", "bbox", "boxes")),
    )


def viscot(source: Source, name: str, record: Record) -> Sample:
    """Visual-CoT's metadata (``*_cot_train.jsonl``), not its conversations (``viscot_363k.json``).

    ``question``, ``answer``, ``image``, ``width``, ``height``, ``bboxs`` as corners in pixels of the original,
    ``dataset``, ``split``: confirmed against deepcs233/Visual-CoT. ``image`` is relative to a folder named after
    ``dataset``. Some boxes reach far over the image's edge, in DUDE one in fourteen: use ``--bad drop``.
    """
    image, folder = source.get(record, "image"), record.get("dataset")
    if isinstance(image, str) and isinstance(folder, str) and not (source.images / image).exists():
        image = f"{_VISCOT_FOLDERS.get(folder, folder)}/{image}"
    return Sample(
        name=name,
        image=source.image(name, image),
        question=question_text(name, source.get(record, "question")),
        answer=answer_text(name, source.get(record, "answer")),
        boxes=boxes_of(name, source.get(record, "bboxs", "bboxes", "bbox")),
    )


def vstar(source: Source, name: str, record: Record) -> Sample:
    """V*'s training data (seal_vqa_data): the files for GQA, VAW attributes, spatial relations and LLaVA focus.

    ``image``, ``conversations`` and ``target_instances``, each with ``name`` and ``bbox`` as ``[x, y, w, h]`` in pixels
    of the original: confirmed against the loader of penghao-wu/vstar. ``question`` and ``answer``, shorter than the
    conversation's where a record has them, not confirmed there: public loaders read them from the GQA file.
    """
    said = _conversation(name, source.get(record, "conversations"))
    short = [record.get(source.columns.get(column, column)) for column in ("question", "answer")]
    asked = question_text(name, short[0]) or said[0]
    answer = answer_text(name, short[1]) or said[1]
    if answer.strip().lower().startswith(_REFUSAL):
        raise BadSample(name, "no answer", "the answer is that there is none")
    boxes = boxes_of(name, record.get("target_instances"))  # as x, y, width and height
    stem, options = _asked(name, _FOCUS.sub("", asked))
    return Sample(
        name=name,
        image=source.image(name, source.get(record, "image")),
        question=stem,
        answer=answer,
        options=options,
        boxes=tuple(Box(b.x1, b.y1, b.x1 + b.x2, b.y1 + b.y2) for b in boxes),
    )


def vgr(source: Source, name: str, record: Record) -> Sample:
    """VGR-SFT, ``vgr_shortcot.parquet`` and ``vgr_longcot.parquet``; images are LLaVA-NeXT's.

    ``image`` is confirmed against the set's card, the closing ``Final answer: …`` against the paper's examples. The
    rest is not confirmed by the authors' own code, of which none is public: ``conversations`` whose reasoning names
    regions as ``<SOT>[x1, y1, x2, y2]<EOT><image>``, shares of the sides. Public loaders agree on it
    (THX-21/FoveaToken); the paper shows small tags and pixels, and pixels are refused as boxes outside.
    """
    said = _conversation(name, source.get(record, "conversations"))
    path = source.image(name, source.get(record, "image"))
    shares = [_shares(name, found) for found in _REGION.findall(said[1])]
    boxes: tuple[Box, ...] = ()
    if shares:
        size = size_of_file(name, path)
        boxes = tuple(share.scaled(size.width, size.height) for share in shares)
    stem, options = _asked(name, said[0])
    return Sample(
        name=name,
        image=path,
        question=stem,
        answer=_untagged(_REGION.sub("", said[1]).replace("<image>", "")),
        options=options,
        boxes=boxes,
    )


def visionthink(source: Source, name: str, record: Record) -> Sample:
    """VisionThink-Smart and -General, as parquet or as the folder that ``load_from_disk`` reads.

    ``problem`` with ``<image>``, ``images`` (one), ``original_answer`` (of the rule variant ``solution``), and ``info``
    with ``tgt_width``, ``tgt_height`` and ``use_tool``, which says whether the reduced image was too small:
    confirmed against the loader of dvlab-research/VisionThink, not against the sets.
    """
    info = record.get("info")
    info = info if isinstance(info, Mapping) else {}
    stem, options = _asked(name, source.get(record, "problem", "question"))
    return Sample(
        name=name,
        image=source.image(name, source.get(record, "images", "image")),
        question=stem,
        answer=_untagged(answer_text(name, source.get(record, "original_answer", "solution", "answer"))),
        options=options,
        hints={hint: int(info[hint]) for hint in ("tgt_width", "tgt_height", "use_tool") if info.get(hint) is not None},
    )


def panels(source: Source, name: str, record: Record) -> Sample:
    """Panel images as ergo_plugins/panels/make_data.py writes them."""
    name = answer_text(name, source.get(record, "question_id"))
    stem, options = _asked(name, source.get(record, "text"))
    return Sample(
        name=name,
        image=source.image(name, f"images/{name}.png"),
        question=stem,
        answer=answer_text(name, source.get(record, "label")),
        options=options,
        boxes=boxes_of(name, source.get(record, "target_box")),
    )


SOURCES: dict[str, Reader] = {
    "treevgr": treevgr,
    "viscot": viscot,
    "vstar": vstar,
    "vgr": vgr,
    "visionthink": visionthink,
    "jsonl": jsonl,
    "panels": panels,
}


def _read(file: Path) -> Iterator[Any]:
    if file.is_dir():
        yield from _read_arrow(file)
    elif file.suffix == ".parquet":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(file).iter_batches(batch_size=64):
            yield from batch.to_pylist()
    elif file.suffix == ".jsonl":
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _parsed(line, f"{file}:{number}")
    elif file.suffix == ".json":
        records = _parsed(file.read_text(encoding="utf-8"), str(file))
        if not isinstance(records, list):
            raise ValueError(f"{file} is no list of entries but {brief(records)}")
        yield from records
    else:
        raise ValueError(f"a set is read from .json, .jsonl or .parquet, got {file}")


def _read_arrow(folder: Path) -> Iterator[Any]:
    """The rows of a folder that ``datasets`` wrote with ``save_to_disk``; images stay as they are."""
    import pyarrow as pa

    files = sorted(folder.glob("*.arrow")) or sorted(folder.glob("*/*.arrow"))
    if not files:
        raise ValueError(f"{folder} holds no *.arrow, as datasets' save_to_disk writes them")
    for file in files:
        with pa.memory_map(str(file)) as mapped, pa.ipc.open_stream(mapped) as stream:
            for batch in stream:
                yield from batch.to_pylist()


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{place} is no JSON: {error}") from error


def _asked(name: str, value: Any) -> tuple[str, tuple[str, ...]]:
    """What a question's text asks, and the options it offers; nothing if it is empty."""
    text = question_text(name, value)
    if not text:
        return "", ()
    question = split_question(text)
    return question.stem, tuple(option.text for option in question.options)


def _conversation(name: str, value: Any) -> list[str]:
    """What was said, at least a question and an answer."""
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        raise BadSample(name, "unreadable conversation", f"a conversation is a list of turns, got {brief(value)}")
    said = [turn.get("value") for turn in value]
    if len(said) < 2 or not all(isinstance(text, str) for text in said):
        raise BadSample(name, "no answer", "the conversation has no answer")
    return said


def _shares(name: str, corners: str) -> Box:
    try:
        x1, y1, x2, y2 = map(float, corners.split(","))
    except ValueError:
        raise BadSample(name, "unreadable box", f"a region is [x1, y1, x2, y2], got [{corners}]") from None
    return Box(x1, y1, x2, y2)


def _untagged(answer: str) -> str:
    """The answer without reasoning before it."""
    found = _TAGGED_ANSWER.search(answer) or _FINAL_ANSWER.fullmatch(answer)
    return (found[1] if found else answer.rpartition("</think>")[2]).strip()


def _suffix(data: bytes) -> str:
    return ".png" if data.startswith(b"\x89PNG") else ".webp" if data[8:12] == b"WEBP" else ".jpg"
