"""The doctor, in the environment that is really installed and in ones that are broken on purpose."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ergo_plugins import __version__
from ergo_plugins.commands.doctor import PACKAGES, Package, examine, required_versions

ERGO = Path(sys.executable).parent / "ergo"


def test_the_hosts_that_are_installed_are_found_to_work() -> None:
    done = subprocess.run([str(ERGO), "doctor", "--json"], capture_output=True, text=True, timeout=600, check=False)
    report = json.loads(done.stdout)
    found = {finding["name"]: finding for finding in report["packages"]}
    assert report["version"] == __version__
    assert list(found) == [package.name for package in PACKAGES]
    broken = {name: finding["detail"] for name, finding in found.items() if finding["state"] == "broken"}
    assert (done.returncode, broken) == (0, {})
    for package in PACKAGES:
        assert (found[package.name]["version"] is None) == (importlib.util.find_spec(package.module) is None)
    assert "offers ergo_hf, ergo_openai, ergo_vllm" in found["lmms-eval"]["detail"]
    assert found["lmms-eval"]["entry_point"] == "ergo = ergo_plugins.lmms_plugin.manifest:manifests"
    if found["verl"]["version"]:
        assert "reward_manager" in found["verl"]["detail"]
        assert found["verl"]["entry_point"] == "ergo = ergo_plugins.verl_plugin.register"


def test_required_versions_come_from_our_own_metadata() -> None:
    tested = required_versions()
    assert tested["lmms-eval"][1] == "eval"
    assert tested["verl"][1] == "verl"
    assert tested["pillow"][1] == ""
    assert tested["vllm"][0].startswith(">=")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which every Python process imports first."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_a_package_that_does_not_import_is_broken_and_harms_nothing(stand_in: Path) -> None:
    (stand_in / "PIL.py").write_text("import nonexistent_part\n")
    (stand_in / "yaml.py").write_text("import os; os._exit(7)\n")
    pillow, yaml = examine([Package("pillow", "PIL"), Package("pyyaml", "yaml")])
    assert (pillow.state, yaml.state) == ("broken", "broken")
    assert pillow.detail == "ModuleNotFoundError: No module named 'nonexistent_part'"
    assert pillow.fix == f"pip install --force-reinstall --no-deps pillow=={pillow.version}"
    assert yaml.detail == "its import ended with exit code 7"


def test_torchvision_that_lacks_its_operators_beside_a_cpu_torch_has_its_own_fix(stand_in: Path) -> None:
    (stand_in / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    (stand_in / "torch.py").write_text(
        "class version: cuda = hip = None\nclass cuda: device_count = staticmethod(lambda: 0)\n"
    )
    (finding,) = examine([Package("torchvision", "torchvision")])
    assert finding.state == "broken"
    assert finding.fix == "python -m ergo_plugins.cpu.torchvision"


def test_verl_with_plugins_switched_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERL_USE_EXTERNAL_PLUGINS", "none")
    verl = next(package for package in PACKAGES if package.name == "verl")
    (finding,) = examine([verl])
    if finding.state == "not installed":
        assert finding.fix == "pip install 'ergo-plugins[verl]'"
        return
    assert finding.state == "broken"
    assert finding.fix == "unset VERL_USE_EXTERNAL_PLUGINS"


def test_an_untested_version_is_told_but_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ergo_plugins.commands.doctor.required_versions", lambda: {"pillow": ("<2", "eval")})
    (finding,) = examine([Package("pillow", "PIL")])
    assert (finding.state, finding.fix) == ("untested version", "pip install 'ergo-plugins[eval]'")


def test_what_is_not_installed_has_the_command_that_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ergo_plugins.commands.doctor.required_versions", lambda: {"never-published-9x": (">=1", "vllm")}
    )
    (finding,) = examine([Package("never-published-9x", "never")])
    assert (finding.state, finding.fix) == ("not installed", "pip install 'ergo-plugins[vllm]'")


def test_what_a_recipe_lacks_is_listed(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    policy = root / "recipes" / "tiny" / "policy"
    for name in ("train", "validation"):
        (tmp_path / f"{name}.parquet").touch()

    def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ergo_plugins.cli", "doctor", "--recipe", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "DATA": "", "MODEL": "", "JUDGE_URL": "", "OUT": str(tmp_path), **environment},
            cwd=root,
            timeout=300,
            check=False,
        )

    tiny = ("recipes/tiny/train.yaml", f"actor_rollout_ref.model.path={policy}")
    ready = doctor(*tiny, DATA=str(tmp_path))
    assert (ready.returncode, ready.stdout.strip()) == (0, "train lacks nothing that can be seen here")
    lacking = doctor("train_ergo_7b", "ergo.judge.urls=[http://127.0.0.1:9/v1]", "trainer.n_gpus_per_node=64")
    assert lacking.returncode == 1
    for words in (
        "GPUs: ",
        "64 wanted (64 that learn)",
        "data.train_files is not given",
        "http://127.0.0.1:9/v1: nobody",
    ):
        assert words in lacking.stdout
    refused = doctor("train_nothing")
    assert refused.returncode == 2
    assert "there is no recipe train_nothing" in refused.stderr
