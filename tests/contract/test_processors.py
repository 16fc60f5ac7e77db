"""What a journal knows a model by."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ergo_plugins.outside.processors import weights_fingerprint

POLICY = Path(__file__).resolve().parents[2] / "recipes" / "tiny" / "policy"


def test_other_weights_in_the_same_folder_are_another_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(POLICY, folder)
    before = weights_fingerprint(str(folder))
    os.utime(folder / "model.safetensors", (0, 0))
    assert weights_fingerprint(str(folder)) == before == weights_fingerprint(str(POLICY)), "a copy is the same model"

    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    assert weights_fingerprint(str(folder)) not in (before, None)


def test_a_hub_id_has_no_local_weights() -> None:
    assert weights_fingerprint("somebody/some-model") is None
