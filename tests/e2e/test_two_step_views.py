"""Views far smaller than their region are shrunk in two steps: a model reads the same in them."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ergo_plugins.core import images
from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Episode
from ergo_plugins.engines import Job, open_engine
from ergo_plugins.lmms_plugin.arguments import read_arguments
from ergo_plugins.methods.ergo import zoom_episode
from ergo_plugins.outside.image_files import open_image
from tests.e2e.lmms_runs import POLICY, TINY_ZOOM


def test_no_answer_changes(panels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default filter; the panels' own, BOX, knows no second step."""
    arguments = read_arguments("hf", {**TINY_ZOOM, "model": str(POLICY), "dtype": "float32", "resample": "bicubic"})
    engine = open_engine("hf", **arguments.engine)
    rows = pd.read_parquet(panels / "test.parquet").to_dict("records")

    def opened(row: dict[str, Any]) -> Episode:
        original = images.to_rgb(open_image(io.BytesIO(row["image"]["bytes"])))
        return zoom_episode(original, split_question(row["text"]), arguments.config, engine.grid)

    def played() -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        jobs = [Job(row["question_id"], functools.partial(opened, row)) for row in rows]
        engine.play_all(jobs, lambda job, outcome: outcomes.update({job.key: outcome}))
        return outcomes

    in_two = played()
    monkeypatch.setattr(images, "REDUCING_GAP", None)
    exact = played()
    assert len(exact) == 12
    for key, outcome in exact.items():
        assert in_two[key].answer == outcome.answer
        assert in_two[key].box_source == outcome.box_source
