"""Teachers look where their documentation says."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from ergo_plugins.panels.boxes import LOOSE_SHARES, WHOLE_VIEW, LooseHabit, box_beside, cell_box
from ergo_plugins.panels.world import WORDINGS, oracle, scenes

SCENES = list(scenes("train", 600, stream=9))


def test_shares_are_shares() -> None:
    assert len(LOOSE_SHARES) == len(WORDINGS)
    for shares in LOOSE_SHARES:
        assert sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("wording", WORDINGS)
def test_the_loose_teacher_looks_as_its_shares_say(wording: str) -> None:
    rng = random.Random(0)
    seen: Counter[str] = Counter()
    for scene in (replace(scene, wording=wording) for scene in SCENES):
        box, is_taught = LooseHabit().choose(scene, rng)
        assert is_taught
        hit = oracle(scene.target_source, scene.to_source(box)).is_hit
        seen["hit"] += hit
        seen["whole"] += box == WHOLE_VIEW
        assert not (hit and box == WHOLE_VIEW)
    cell, two, _, _, whole = LOOSE_SHARES[WORDINGS.index(wording)]
    assert seen["hit"] / len(SCENES) == pytest.approx(cell + two, abs=0.08)
    assert seen["whole"] / len(SCENES) == pytest.approx(whole, abs=0.08)


def test_beside_is_beside() -> None:
    rng = random.Random(0)
    for scene in SCENES:
        box, cell = box_beside(scene, rng), cell_box(scene)
        assert WHOLE_VIEW.coverage_by(box) == pytest.approx(1 / 16)
        assert box != cell
        assert max(abs(box.x1 - cell.x1), abs(box.y1 - cell.y1)) == cell.width
        assert not oracle(scene.target_source, scene.to_source(box)).is_hit
