"""A few rollouts of a step as pictures, in the trackers that show pictures: TensorBoard and Weights & Biases.

A picture is the original, reduced, with every part that the policy saw outlined in orange and the evidence in green
where it is known, and beside it those parts. It is made again from the original, which the record names.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.geometry import Box, Size, whole
from ..core.images import render, size_of, to_rgb
from ..core.outcome import Outcome
from ..core.outlines import POINTED_COLOR, TARGET_COLOR, outline
from ..core.record import ROLLOUT_RECORD, Entry
from ..outside.image_files import open_image

_logger = logging.getLogger(__name__)

SHOWING = ("tensorboard", "wandb")
"""Trackers that pictures go to, by their names in ``trainer.logger``."""

SIDE_PX = 448
"""Longest side of the original and of each part in a picture."""

GAP_PX = 8
LONGEST_REPLY = 2000
"""Characters of a reply beside its picture."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One to be shown.

    Attributes:
        entry: its record.
        parts: its reward under ``reward``, and the parts of it that are numbers.
    """

    entry: Entry
    parts: Mapping[str, float]


def tell_if_nothing_shows(count: int, loggers: str | Sequence[str]) -> None:
    """A warning where pictures are wanted and no tracker takes any.

    Args:
        count: how many a step are wanted.
        loggers: verl's ``trainer.logger``.
    """
    named = [loggers] if isinstance(loggers, str) else list(loggers)
    if count and not set(SHOWING) & set(named):
        _logger.warning(
            "ergo.trainer.pictures=%s shows nothing: pictures go to %s, and trainer.logger names %s",
            count,
            " and ".join(SHOWING),
            ", ".join(named),
        )


def chosen(keys: Sequence[str], count: int) -> list[str]:
    """Of a step's trajectories (``uid_session_turn``) those to show: the first rollout of each prompt, then the second.

    In the order of their uids, which are random; the batch may have short replies first.
    """
    finals: dict[tuple[int, str], tuple[int, str]] = {}
    for key in keys:
        uid, session, turn = key.rsplit("_", 2)
        place = int(session), uid
        finals[place] = max(finals.get(place, (-1, "")), (int(turn), key))
    return [finals[place][1] for place in sorted(finals)[:count]]


def rollouts(rewards: Sequence[float], parts: Sequence[Mapping[str, Any]]) -> list[Rollout]:
    """Trajectories by what was reported of them; those without a record, which another manager scored, are left out."""
    found = []
    for reward, reported in zip(rewards, parts, strict=True):
        if reported.get(ROLLOUT_RECORD) is not None:
            numbers = {
                name: float(part) for name, part in reported.items() if isinstance(part, int | float | np.number)
            }
            entry = Entry.from_json(json.loads(reported[ROLLOUT_RECORD]))
            found.append(Rollout(entry, {"reward": reward, **numbers}))
    return found


def show(trackers: Mapping[str, Any], name: str, rollouts: Sequence[Rollout], step: int) -> None:
    """Hand pictures and words to those trackers that show them. What has no picture is told in the log.

    Args:
        trackers: verl's, by their names: ``Tracking.logger``.
        name: what the pictures are called there; their numbers from 1 follow it in TensorBoard.
        rollouts: to be shown.
        step: of the training.
    """
    if not set(SHOWING) & set(trackers):
        return
    shown = [(picture, words(rollout)) for rollout in rollouts if (picture := _picture_or_told(rollout.entry))]
    if not shown:
        return
    if "tensorboard" in trackers:
        writer = trackers["tensorboard"].writer
        for number, (picture, said) in enumerate(shown, start=1):
            writer.add_image(f"{name}/{number}", np.asarray(picture), step, dataformats="HWC")
            writer.add_text(f"{name}/{number}", "\n".join(f"    {line}" for line in said.splitlines()), step)
    if "wandb" in trackers:
        wandb = trackers["wandb"]
        images = [wandb.Image(picture, caption=said) for picture, said in shown]
        wandb.log({name: images}, step=step)  # joins the figures that verl logs at this step


def words(rollout: Rollout) -> str:
    """What stands beside a picture: the reward, the question, the replies."""
    entry = rollout.entry
    lines = [entry.key, "  ".join(f"{name} {value:g}" for name, value in rollout.parts.items()), entry.question]
    lines += [f"── {turn.name}\n{turn.reply[:LONGEST_REPLY]}" for turn in entry.outcome.turns]
    lines += [f"problem: {problem}" for problem in entry.outcome.problems]
    return "\n".join(lines)


def picture(entry: Entry) -> Image.Image:
    """The original with boxes and, side by side with it, the parts that were shown.

    Raises:
        OSError: the original is missing or damaged, or is not the one it was.
        ValueError: the record does not say where it lies, or there was none.
    """
    outcome = entry.outcome
    if entry.image_path is None or outcome.source is None:
        raise ValueError("its image came as bytes or pixels and not as a file, or could not be read")
    with open_image(Path(entry.image_path)) as image:
        original = to_rgb(image)
    if size_of(original) != outcome.source:
        raise OSError(f"{entry.image_path} is of another size than the original that was shown")
    parts = _parts_shown(outcome)
    first = _reduced(original, whole(outcome.source))
    scale = first.width / outcome.source.width, first.height / outcome.source.height
    if entry.target_box_source is not None:
        outline(first, entry.target_box_source.scaled(*scale), TARGET_COLOR)
    for box in parts or filter(None, [outcome.pointed_at]):
        outline(first, box.scaled(*scale), POINTED_COLOR)
    return _side_by_side([first, *(_reduced(original, part) for part in parts)])


def _picture_or_told(entry: Entry) -> Image.Image | None:
    """Training does not end for the want of a picture."""
    try:
        return picture(entry)
    except (OSError, ValueError) as error:
        _logger.warning("no picture of %s, image_path %s: %s", entry.key, entry.image_path, error)
        return None


def _parts_shown(outcome: Outcome) -> list[Box]:
    """The regions of the original that were shown beside all of it, each once."""
    regions = (shown.region_source for turn in outcome.turns for shown in turn.shown)
    everything = whole(outcome.source) if outcome.source else None
    return list(dict.fromkeys(region for region in regions if region is not None and region != everything))


def _reduced(original: Image.Image, region: Box) -> Image.Image:
    """A region in the size of a picture; small ones are enlarged to it, so that people see what is there."""
    scale = SIDE_PX / max(region.width, region.height)
    size = Size(max(1, round(region.width * scale)), max(1, round(region.height * scale)))
    return render(original, region, size)


def _side_by_side(images: Iterable[Image.Image]) -> Image.Image:
    images = list(images)
    width = sum(image.width for image in images) + GAP_PX * (len(images) - 1)
    together = Image.new("RGB", (width, max(image.height for image in images)), "white")
    left = 0
    for image in images:
        together.paste(image, (left, 0))
        left += image.width + GAP_PX
    return together
