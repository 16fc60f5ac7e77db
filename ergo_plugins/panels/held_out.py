"""Figures of a policy on what a world keeps back, as JSON: what the measure.py of each world share."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin  # noqa: E402

from .world import SPLITS  # noqa: E402

Figures = Callable[[PreTrainedModel, ProcessorMixin, argparse.Namespace], dict[str, Any]]
"""Of a policy in float32 that is not being taught, its processor and what the command was given."""


def main(
    said: str,
    figures: Figures,
    *,
    what: str = "questions",
    more: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """The command of a world.

    Args:
        said: what it says of itself.
        figures: found for ``given.count`` of ``given.split``.
        what: is counted.
        more: adds the world's own arguments.
    """
    parser = argparse.ArgumentParser(description=said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path)
    parser.add_argument(f"--{what}", type=int, default=1024, dest="count", metavar="N")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("-o", "--out", type=Path)
    if more:
        more(parser)
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    policy = AutoModelForImageTextToText.from_pretrained(given.policy, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(given.policy)
    text = json.dumps({"n": given.count, **figures(policy, processor, given)}, indent=2)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    print(text)
