"""The shipped policy through vLLM on a GPU: it sees and answers as on a CPU. Run with ``pytest tests/gpu -m gpu``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lmms_runs import POLICY, lmms_eval, make_panels

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("options", [{}, {"enable_prefix_caching": False}])
def test_panels(tmp_path: Path, options: dict[str, object]) -> None:
    tasks = make_panels(tmp_path / "panels", samples=40)
    run = lmms_eval("ergo_vllm", tasks, tmp_path / "run", model=POLICY, max_model_len=2048, **options)
    assert run.exit_code == 0, run.log
    assert len(run.by_doc) == 40
    assert run.results["results"]["ergo_panels"]["panels_accuracy,none"] >= 0.5
