"""One outcome for a terminal, and what the model looked at as two pictures."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ..core.geometry import Box
from ..core.outcome import Outcome
from ..core.outlines import POINTED_COLOR, outline


def as_text(outcome: Outcome) -> str:
    """Every turn with what it showed and cost, then boxes, problems and the answer."""
    lines = []
    for turn in outcome.turns:
        measures = [f"view {shown.view}" for shown in turn.shown] + [f"{turn.visual_tokens} visual tokens"]
        measures += [f"{turn.new_tokens} tokens written"] if turn.new_tokens is not None else []
        measures += [f"{turn.seconds:.2f} s"] if turn.seconds is not None else []
        lines += [f"── {turn.name}: {', '.join(measures)}", turn.reply.rstrip(), ""]
    lines += [f"box in the view    {_corners(outcome)}", f"box in the picture {_box(outcome.box_source)}"]
    lines += [f"mended: {repair}" for repair in outcome.repairs]
    lines += [f"problem: {problem}" for problem in outcome.problems]
    lines.append(f"visual tokens      {outcome.visual_tokens}, one pass in full detail: {outcome.single_pass_tokens}")
    lines.append(f"answer             {outcome.answer or '(none)'}")
    return "\n".join(lines)


def _corners(outcome: Outcome) -> str:
    written = outcome.values.get("box_view")
    return _box(Box(*written) if written else None)


def _box(box: Box | None) -> str:
    return "none" if box is None else "[" + ", ".join(f"{corner:g}" for corner in box.as_tuple()) + "]"


def save(image: Image.Image, outcome: Outcome, folder: Path) -> list[Path]:
    """Write ``boxed.png``, the picture with the box drawn, and ``crop.png``, what is inside it if there is a box.

    Of several pictures the first is meant. Returns the paths of what was written.
    """
    pictures = {folder / "boxed.png": image.copy()}
    if outcome.box_source is not None:
        outline(pictures[folder / "boxed.png"], outcome.box_source, POINTED_COLOR)
        x1, y1, x2, y2 = map(round, outcome.box_source.as_tuple())
        pictures[folder / "crop.png"] = image.crop((x1, y1, x2, y2))
    for path, picture in pictures.items():
        picture.save(path)
    return list(pictures)
