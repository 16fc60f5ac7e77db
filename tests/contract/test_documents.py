"""Every command, setting and piece of Python that a page shows is one, and what it needs is there.

Commands are tried on the parsers of their programs and not started (`command_rules`). What one reads has to be in the
repository, left by an earlier line of its page, or the reader's own.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from ergo_plugins import __version__, open_model
from ergo_plugins.data import known_sources
from ergo_plugins.lmms_plugin.manifest import models
from ergo_plugins.panels.drawing import original
from ergo_plugins.panels.world import first_seed, make_scene
from ergo_plugins.plan.compose import opened
from ergo_plugins.report.read.journal import read_journal
from ergo_plugins.verl_plugin.reward_manager import refuse
from ergo_plugins.verl_plugin.settings import Settings
from tests.contract.command_rules import files_of
from tests.contract.command_rules.files import Files, Wrong
from tests.contract.documents import PAGES, PLACEHOLDER, ROOT, Block, Command, blocks, commands, inline, parsed
from tests.e2e.test_user_method import install
from tests.e2e.test_your_own import METHOD, REWARD, SOURCE

README = ROOT / "README.md"
READERS_OWN = {
    "photo.jpg": "a picture to ask about",
    "photos": "a folder of them",
    "images": "the images of a published training set, where its authors have put them",
    "GQA_data.json": "V*'s training file, as its authors name it",
    "TreeBench.tsv": "as its authors publish it",
    "VisualProbe_Hard/val.json": "as its authors publish it",
    "refcoco_val.jsonl": "as EGM's authors publish it",
    "hidden.jsonl": "lines that the text describes",
    "signs.jsonl": "lines like the one above it",
    "small_things": "the folder that the text makes",
    "/shared/data": "what ergo data wrote, on a disk that all machines see",
}
"""Files that no line makes, and what they are. Others that a reader has to bring are written in capitals."""
HUB = {
    *("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-72B-Instruct", "Qwen/Qwen3-VL-8B-Instruct"),
    *("nota-ai/ERGO-7B", "nvidia/EGM-8B", "Senqiao/VisionThink-Efficient"),
}
"""Models by the names under which they are published."""

BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [command for page in PAGES for command in commands(page)]


def at(one: Block | Command) -> str:
    return f"{one.page.relative_to(ROOT)}:{one.line}"


# Files


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"(?:recipes|tests|constraints|docs)/[\w./-]+\w", page.read_text())
    assert named or page != README
    assert [name for name in named if not (ROOT / name).exists() and "/NAME." not in name] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def missing(command: Command, before: Sequence[Command]) -> list[str]:
    """What a command reads and nobody has made."""
    made: set[str] = set()
    for earlier in before:
        with contextlib.suppress(Wrong):  # which is told of where it stands
            made.update(checked(earlier).writes)
    return [path for path in checked(command).reads if not is_there(path, made)]


def is_there(path: str, made: set[str]) -> bool:
    """Whether what a command reads is there when a reader comes to it."""
    path = path.partition("*")[0].rstrip("/")
    if PLACEHOLDER.fullmatch(path) or path in HUB or path in READERS_OWN:
        return True
    if any(path == one or path.startswith(f"{one.rstrip('/')}/") for one in made):
        return True
    return not path.startswith("runs/") and (ROOT / path).exists()


@cache
def checked(command: Command) -> Files:
    return files_of(command)


# Commands


@pytest.fixture(scope="module", autouse=True)
def own_packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What docs/your_own.md installs before its commands."""
    with pytest.MonkeyPatch.context() as patch:
        for section, name in ((METHOD, "halves"), (REWARD, "ergo_coverage"), (SOURCE, "street_signs")):
            patch.syspath_prepend(str(install(section, name, tmp_path_factory)))
        yield


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 100
    assert {command.page.name for command in COMMANDS} >= {"README.md", "cluster.md", "your_own.md", "egm.md"}


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "bash"], ids=at)
def test_a_block_is_bash(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.code, text=True, check=True)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_documented_command_is_one(command: Command) -> None:
    page = commands(command.page)
    assert missing(command, page[: page.index(command)]) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ergo report JOURNAL --sampels FILE", "unrecognized arguments: --sampels"),
        ("ergo reprot JOURNAL", "invalid choice: 'reprot'"),
        ("ergo data vstra FILE --out runs/data", "ergo data has no source vstra"),
        ("ergo plan train_ergo_7", "there is no recipe train_ergo_7"),
        ("ergo plan train_ergo_7b trainer.n_gpu_per_node=4", "n_gpu_per_node"),
        ("ergo plan train_ergo_7b +ergo.reward.gama=1", "ergo.reward has no key gama"),
        ("python -m ergo_plugins.panels.make_dat --out runs/x", "there is no module"),
        ("python -m ergo_plugins.panels.make_data --sample 4 --scenes 3 --out runs/x", "--scenes"),
        ("python -m ergo_plugins.plan.page --out x", "takes no words"),
        ("python -m ergo_plugins.tasks.make_benchmark treebnch FILE --out runs/x", "invalid choice: 'treebnch'"),
        ("python -m lmms_eval --model ergo_vlm --model_args model=m --tasks vstar_bench", "no model ergo_vlm"),
        ("python -m lmms_eval --model ergo_vllm --model_arg model=m --tasx vstar_bench", "--tasx"),
        ("python -m lmms_eval --model ergo_vllm --model_args model=m,crop_token=1 --tasks pope", "crop_token"),
        ("python -m lmms_eval --model ergo_vllm --model_args model=m --tasks vstar_bnch", "no task vstar_bnch"),
        ("python -m verl.trainer.main_ppo --config-dir recipes --config-nam train_ergo_7b --x", "--x"),
        ("python -m verl.trainer.main_ppo --config-dir recipes --config-name train_ergo_7b trainer.epochs=1", "epochs"),
        ("python setup.py install", "python is started with -m"),
        ("bash recipes/quickstrat.sh", "there is no recipes/quickstrat.sh"),
        ("bash recipes/quickstart.sh --contrl", "takes --control, not --contrl"),
        ("STEP=8 bash recipes/tiny/train.sh", "recipes/tiny/train.sh reads no STEP"),
        ("bash recipes/tiny/train.sh   # STEP=8 is enough", "recipes/tiny/train.sh reads no STEP"),
        ("bash recipes/tiny/train.sh trainer.save_frq=8", "save_frq"),
        ("bash recipes/tiny/prove.sh fulll", "not fulll"),
        ("bash recipes/train_ergo_7b.sh ablation_f", "there is no recipe ablation_f"),
        ("bash recipes/train_rules.sh train_ergo_7b", "train_ergo_7b"),
        ("bash recipes/train_beside_judge.sh 5_and_3", "takes 4_and_4 or 7_and_1 first, got 5_and_3"),
        ("bash recipes/ray_job.sh train_ergo_7b", "takes the address of Ray's job server first"),
        ("sbatch recipes/slurm/trian.sbatch", "there is no recipes/slurm/trian.sbatch"),
        ("NODE=2 sbatch recipes/slurm/train.sbatch", "reads no NODE"),
        ("sbatch recipes/slurm/train.sbatch trainer.save_frq=8", "save_frq"),
        ("bash recipes/sft.sh train_ergo_7b", "no recipe of supervised fine-tuning"),
        ("bash recipes/environment.sh evl", "not evl"),
        ("bash recipes/serve_judge.sh --api-keys x", "vllm serve has no option --api-keys"),
        ("bash recipes/tiny/pareto.sh x y z", "takes nothing"),
        ("pip install -e '.[evl]'", "setup.py has no extra evl"),
        ("pip install --no-dep-s pillow==13.0.0", "no such option"),
        ("pip install --no-deps pillow==12.0.0", "pillow==12.0.0 is 13.0.0 in constraints/cpu.txt"),
        ("conda create -n ergo python=3.13", "Python 3.13 is not >=3.10,<3.13"),
        ("uv venv --python 3.13", "Python 3.13 is not"),
        ("ray start --haed", "No such option"),
        ("ray job submit --address http://a:1 -- GPU=8 bash recipes/train_ergo_7b.sh", "reads no GPU"),
        ("pytest --pyargs ergo_plugins.testin -k x", "pytest is for"),
        ("podman run ergo", "nobody here knows the program podman"),
        ("docker run ergo", "invalid choice: 'ergo'"),
        ("docker run --rm --gpu all ergo-plugins:gpu", "--gpu"),
        ("docker run --rm -p 7860:7860 ergo-plugins:cpu", "opens the port to whoever"),
        ("docker run --rm ergo-plugins:cpu bash recipes/quickstrat.sh", "there is no recipes/quickstrat.sh"),
        ("docker build -f docker/gpu.Dockerfile -t ergo-plugins:cpu .", "is not the file of ergo-plugins:cpu"),
        ("DATA=/a docker compose -f docker/compose.yaml up", "reads DATA, IMAGES, not DATA"),
        ("docker compose -f docker/compos.yaml up", "with a file that is there"),
    ],
)
def test_a_wrong_command_is_found(line: str, said: str) -> None:
    (command,) = parsed(line, README, 1)
    with pytest.raises(Wrong, match=re.escape(said)):
        files_of(command)


def test_a_cut_command_may_lack_words_and_have_no_wrong_ones() -> None:
    def files(line: str) -> Files:
        (command,) = parsed(line, README, 1, inline=True)
        return files_of(command)

    assert files("ergo judge --audit") == Files()
    with pytest.raises(Wrong, match="ergo judge has no option --audti"):
        files("ergo judge --audti")
    with pytest.raises(Wrong, match="required"):
        files_of(parsed("ergo judge --audit", README, 1)[0])


@pytest.mark.parametrize(
    ("lines", "nowhere"),
    [
        (["ergo report runs/a/journal.jsonl"], ["runs/a/journal.jsonl"]),
        (["ergo report journal.jsonl"], ["journal.jsonl"]),
        (["ergo report JOURNAL --samples FILE"], []),
        (["bash recipes/quickstart.sh", "ergo report runs/quickstart/after/journal.jsonl"], []),
        (["OUT=runs/b bash recipes/tiny/train.sh", "ergo report runs/tiny/rollouts"], ["runs/tiny/rollouts"]),
        (["ergo data vstar FILE --out runs/c", "DATA=runs/c bash recipes/sft.sh sft_egm_8b"], []),
        (["ergo data vstar FILE --out runs/c", "DATA=runs/d bash recipes/sft.sh sft_egm_8b"], ["runs/d"]),
        (["ergo infer photo.jpg q --model nota/ERGO"], ["nota/ERGO"]),
        (["ergo infer picture.jpg q --model nota-ai/ERGO-7B"], ["picture.jpg"]),
        (["pip install -c constraints/gpu-3.9.txt -e ."], ["constraints/gpu-3.9.txt"]),
        (["python -m lmms_eval --model ergo_hf --model_args model=runs/m --tasks pope"], ["runs/m"]),
        (["bash recipes/merge.sh runs/x/checkpoints runs/m"], ["runs/x/checkpoints"]),
        (["python -m ergo_plugins.panels.measure recipes/tiny/polcy"], ["recipes/tiny/polcy"]),
    ],
)
def test_a_file_that_no_line_made_is_found(lines: list[str], nowhere: list[str]) -> None:
    given = [command for line in lines for command in parsed(line, README, 1)]
    assert missing(given[-1], given[:-1]) == nowhere


# What stands in sentences


def test_models_that_sentences_name_are_known() -> None:
    named = {found[1] for page in PAGES for said in inline(page) if (found := re.match(r"--model (\w+_\w+)$", said))}
    assert len(named) > 3
    assert named - set(models()) == set()


def test_settings_that_sentences_name_are_known() -> None:
    """Of verl by its own configuration, of ours by the page of all settings."""
    _, config = opened("train_ergo_7b", ["data.train_files=a", "data.val_files=b"])
    ours = (ROOT / "docs/config.md").read_text()
    setting = re.compile(r"(actor_rollout_ref|algorithm|data|ergo|reward|trainer)((?:\.\w+)+)(?:=.*)?")
    named = {found for page in PAGES for said in inline(page) if (found := setting.fullmatch(said))}
    assert len(named) > 10
    for found in named:
        *groups, last = found[2].split(".")[1:]
        if last == "py":
            continue
        if found[1] == "ergo":
            assert f"| `{last}` |" in ours or f"`ergo.{last}`" in ours, found[0]
        else:
            assert last in OmegaConf.select(config, ".".join((found[1], *groups))), found[0]


def test_sources_that_the_readme_lists_are_known() -> None:
    (listed,) = (
        one.comment for one in commands(README) if one.words[:2] == ("ergo", "data") and "treevgr" in one.comment
    )
    assert set(re.findall(r"\w+", listed)) - {"or"} <= set(known_sources())


def test_the_settings_for_another_project_are_verls_and_ours(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(README) if block.language == "yaml")
    recipe = tmp_path / "theirs.yaml"
    recipe.write_text(f"defaults: [ppo_trainer, _self_]\n{block.code}")
    _, config = opened(str(recipe), ["data.train_files=a", "data.val_files=b"])
    settings = Settings.of(config)
    refuse(config, settings)
    assert (settings.judge.source, settings.method.name) == ("endpoints", "ergo")
    recipe.write_text(recipe.read_text().replace("default_agent_loop", "default_loop"))
    with pytest.raises(Exception, match="default_loop"):
        opened(str(recipe))


# Python


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "python"], ids=at)
def test_a_block_is_python(block: Block) -> None:
    compile(block.code, at(block), "exec")


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word but for the model: the shipped policy, which is asked in its own words, on a CPU."""
    (block,) = (block for block in blocks(README) if block.language == "python")
    named = 'open_model("Qwen/Qwen2.5-VL-7B-Instruct", engine="vllm", coarse_tokens=640)'
    assert named in block.code
    tiny = ROOT / "recipes" / "tiny"
    words = {"prompts": tiny / "prompts.yaml", "zoom_new_tokens": 24, "answer_new_tokens": 24, "resample": "box"}
    monkeypatch.chdir(tmp_path)
    original(make_scene(first_seed("test"))).save("photo.jpg")

    def model() -> object:
        return open_model(tiny / "policy", device="cpu", coarse_tokens=16, crop_tokens=16, **words)

    given: dict[str, object] = {"model_here": model}
    exec(compile(block.code.replace(named, "model_here()"), at(block), "exec"), given)
    assert (tmp_path / "crop.png").is_file()
    assert len(read_journal(tmp_path / "runs" / "asked.jsonl").rows) == len(given["pairs"])  # type: ignore[arg-type]


def test_the_python_without_a_gpu_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word, on the first picture that its page makes."""
    block, _ = (block for block in blocks(ROOT / "docs" / "python.md") if block.language == "python")
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    picture = tmp_path / "runs" / "demo" / "panels" / "images" / "test_0_0000.png"
    picture.parent.mkdir(parents=True)
    scene = make_scene(first_seed("test"))
    assert scene.text.replace("\n", r"\n") in block.code
    original(scene).save(picture)
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {}
    exec(compile(block.code, at(block), "exec"), given)
    assert given["found"].answer in {"A", "B", "C", "D"}
    assert (tmp_path / "runs" / "demo" / "crop.png").is_file()


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    for one in citation["references"]:
        assert f"arXiv:{one['url'].rpartition('/')[2]}" in README.read_text()
