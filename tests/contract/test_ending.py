"""How lmms-eval's models end a run: whatever raises, where lmms-eval calls us, is `SystemExit` with a sentence.

In this process, on lmms-eval's own classes and the shipped policy; `tests/e2e/test_run_ends.py` starts whole runs.
"""

from __future__ import annotations

import copy
import errno
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lmms_eval.api.instance import Instance
from lmms_eval.models import get_model, registry_v2
from PIL import Image, UnidentifiedImageError

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.lmms_plugin import manifest
from ergo_plugins.lmms_plugin.ending import ending_the_run
from ergo_plugins.lmms_plugin.models import AnswerText, ErgoHF
from ergo_plugins.methods import DEFAULT, known_methods
from tests.e2e.lmms_runs import POLICY, TINY_ZOOM

QUESTION = "Which pattern fills the red tile?\n(A) plain\n(B) checkered"


def arguments(**given: Any) -> str:
    """``--model_args``."""
    return ",".join(f"{name}={value}" for name, value in {**TINY_ZOOM, "model": POLICY, **given}.items())


@pytest.fixture(scope="module")
def policy() -> Iterator[ErgoHF]:
    model = get_model("ergo_hf").create_from_arg_string(arguments(), {"batch_size": "2", "device": "cpu"})
    yield model
    model.clean()


def photo(_row: Any = None) -> Image.Image:
    return Image.effect_noise((600, 400), 60).convert("RGB")


def messages(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A task's own code: the image and the text of a row; a row may hold an image that raises."""
    parts = [{"type": "image", "url": row["image"]()}, {"type": "text", "text": row["text"]}]
    return [{"role": "user", "content": parts}]


def asked(
    model: ErgoHF,
    rows: list[dict[str, Any]],
    *,
    journal: Path | None = None,
    previews: int = 0,
    to_messages: Callable[[Any], Any] = messages,
    repeats: int = 1,
) -> list[Any]:
    """What the model makes of some rows, asked as lmms-eval asks."""
    model.task_dict = {"panels": {"test": rows}}
    model.arguments = replace(model.arguments, journal=str(journal) if journal else None, previews=previews)
    requests = [
        Instance(
            request_type="generate_until",
            arguments=(row["text"], to_messages, {}, number, "panels", "test"),
            idx=0,
            metadata={"task": "panels", "doc_id": number, "repeats": repeats},
        )
        for number, row in enumerate(rows)
    ]
    return model.generate_until([request for request in requests for _ in range(repeats)])


def row(**changes: Any) -> dict[str, Any]:
    return {"image": photo, "text": QUESTION, **changes}


def raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


# --- opening a model -------------------------------------------------------------------------------------------------


def folder_without(tmp_path: Path, name: str) -> Path:
    folder = shutil.copytree(POLICY, tmp_path / "model")
    (folder / name).unlink()
    return folder


def folder_with(tmp_path: Path, name: str, content: str) -> Path:
    folder = shutil.copytree(POLICY, tmp_path / "model")
    (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda tmp: {"model": folder_without(tmp, "model.safetensors")}, "safetensors"),
        (lambda tmp: {"model": folder_without(tmp, "config.json")}, "config"),
        (lambda tmp: {"model": folder_with(tmp, "config.json", "{broken")}, "could not be opened"),
        (lambda tmp: {"model": folder_with(tmp, "processor_config.json", "[]")}, "could not be opened"),
        (lambda tmp: {"model": folder_with(tmp, "tokenizer.json", "{}")}, "could not be opened"),
        (lambda tmp: {"model": folder_with(tmp, "model.safetensors", "no weights")}, "could not be opened"),
        (lambda tmp: {"model": tmp / "nowhere"}, "nowhere"),
        (lambda tmp: {"device": "warp:9"}, "warp"),
        (lambda tmp: {"dtype": "float33"}, "float33"),
        (lambda tmp: {"attn_implementation": "nobodys"}, "nobodys"),
        (lambda tmp: {"prompts": tmp / "nowhere.yaml"}, "nowhere.yaml"),
        (lambda tmp: {"coarse_tokens": 1}, "coarse_tokens: a budget of 1 visual tokens is less"),
        (lambda tmp: {"batch_size": "auto"}, "--batch_size is a whole number, got 'auto'"),
        (lambda tmp: {"batch_size": 0}, "--batch_size is at least 1, got 0"),
        (lambda tmp: {"max_batch_size": 8}, "--max_batch_size goes with"),
    ],
)
def test_a_model_that_cannot_be_opened(tmp_path: Path, broken: Callable[[Path], dict[str, Any]], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        get_model("ergo_hf").create_from_arg_string(arguments(**{"device": "cpu", **broken(tmp_path)}))
    assert isinstance(ended.value.code, str)
    assert ended.value.code.startswith("ergo_hf could not be opened with model=")
    assert said in ended.value.code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model", "every part of --model_args is name=value"),
        ({"model": "m"}, "--model_args is text, name=value,name=value and so on, got a dict"),
        ("model=m", "ergo_openai needs base_url=<address"),
        ("model=m,base_url=http://127.0.0.1:9/v1,device=cuda:1", "takes no --device (got 'cuda:1')"),
    ],
)
def test_model_args_that_make_no_model(text: Any, said: str) -> None:
    with pytest.raises(SystemExit, match="ergo_openai could not be opened") as ended:
        get_model("ergo_openai").create_from_arg_string(text)
    assert said in str(ended.value.code)


def test_more_than_one_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit, match="ergo models run in one process"):
        get_model("ergo_hf").create_from_arg_string(arguments(device="cpu"))


def test_a_registry_that_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(registry_v2, "ModelManifest")
    with pytest.raises(SystemExit, match=r"could not register its models with lmms-eval .*ergo doctor"):
        manifest.manifests()


def test_only_models_are_found_where_lmms_eval_looks_for_them() -> None:
    assert {model.chat_class_path for model in manifest.manifests()} == {
        f"ergo_plugins.lmms_plugin.manifest.{name}"
        for name in (
            *("ErgoVLLM", "ErgoHF", "ErgoOpenAI"),
            *(
                f"{method}_{engine}"
                for method in known_methods()
                if method != DEFAULT
                for engine in ("vllm", "hf", "openai")
            ),
        )
    }
    with pytest.raises(AttributeError, match="no attribute ErgoGGUF"):
        _ = manifest.ErgoGGUF


# --- a run -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        KeyError("nobody foresaw this"),
        RecursionError("too deep"),
        MemoryError(),
        ValueError("no column of that name"),
        AttributeError("'NoneType' object has no attribute 'convert'"),
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.EIO, "Input/output error"),
        PermissionError(errno.EACCES, "Permission denied"),
        ConnectionError("the hub is down"),
        ZeroDivisionError(),
        NotImplementedError(),
        StopIteration(),
        StopAsyncIteration(),
        AssertionError(),
        Exception(),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}",
)
def test_a_row_that_raises_what_is_no_damage(policy: ErgoHF, error: BaseException) -> None:
    with pytest.raises(SystemExit) as ended:
        asked(policy, [row(), row(image=raising(error)), row()])
    said = str(ended.value.code)
    what = str(error) or "raised in "
    assert said.startswith(f"the run ended early: SampleFault: panels/test/1: {type(error).__name__}: {what}")
    assert "the same command goes on from there" in said


def damaged_file() -> Any:
    import io

    return Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(30))).convert("RGB")


def broken_base64() -> Any:
    import base64

    return base64.b64decode("no base64!", validate=True)


def wrapped() -> Any:
    try:
        damaged_file()
    except OSError as damage:
        raise RuntimeError("row 1 is broken") from damage


@pytest.mark.parametrize(
    "image",
    [
        damaged_file,
        broken_base64,
        wrapped,
        raising(FileNotFoundError(errno.ENOENT, "No such file", "x.png")),
        raising(IsADirectoryError(errno.EISDIR, "Is a directory", "x")),
        raising(UnidentifiedImageError("cannot identify image file")),
        lambda: Image.open("/nowhere/x.png"),
        lambda: "/nowhere/x.png",
    ],
    ids=["damaged", "base64", "wrapped", "missing", "folder", "no image", "missing by Pillow", "missing path"],
)
def test_a_row_whose_image_is_damaged_is_one_wrong_sample(policy: ErgoHF, image: Callable[[], Any]) -> None:
    results = asked(policy, [row(), row(image=image), row()])
    assert [bool(result.text.outcome.turns) for result in results] == [True, False, True]
    assert results[1].text == "Z"
    (problem,) = results[1].text.outcome.problems
    assert problem.startswith("image: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "question: empty"),
        (" \n\t", "question: empty"),
        ("\u200b\u2060", "question: empty"),
        (None, "question: text was wanted, got None"),
        (7, "question: text was wanted, got 7"),
        (float("nan"), "question: text was wanted, got nan"),
        (["What?"], "question: text was wanted, got ['What?']"),
        (b"What?", "question: text was wanted, got b'What?'"),
    ],
)
def test_a_row_without_a_question_is_one_wrong_sample(policy: ErgoHF, tmp_path: Path, text: Any, said: str) -> None:
    for _ in range(2):  # the second time from the journal
        results = asked(policy, [row(), row(text=text)], journal=tmp_path / "j.jsonl")
        assert results[1].text.outcome.problems == (said,)
        assert all(type(result.text) is AnswerText and isinstance(result.text, str) for result in results)


@pytest.mark.parametrize(
    ("to_messages", "said"),
    [
        (lambda row: [{"role": "system", "content": []}], "panels/test/0: a system message"),
        (
            lambda row: [{"role": "user", "content": [{"type": "video", "url": "x"}]}],
            "panels/test/0: a task with video",
        ),
        (lambda row: [{"role": "user", "content": "only text"}], "panels/test/0 has 0 images and 1 texts"),
        (lambda row: [{"role": "user", "content": [{"text": "no type"}]}], "panels/test/0: KeyError: 'type'"),
        (lambda row: None, "panels/test/0: TypeError"),
    ],
)
def test_a_task_that_is_none_for_the_zoom(policy: ErgoHF, to_messages: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        asked(policy, [row()], to_messages=to_messages)
    assert said in str(ended.value.code)


def test_a_journal_that_cannot_be_one(policy: ErgoHF, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("notes")
    for journal, said in ((tmp_path, "it is no file"), (file / "j.jsonl", "cannot be opened"), (file, "is no journal")):
        with pytest.raises(SystemExit, match=said):
            asked(policy, [row()], journal=journal)
    assert file.read_text() == "notes"


def test_a_previews_folder_that_cannot_be_made(policy: ErgoHF, tmp_path: Path) -> None:
    (tmp_path / "j_views").write_text("in the way")
    with pytest.raises(SystemExit, match=r"j_views cannot be made .*previews=0"):
        asked(policy, [row()], journal=tmp_path / "j.jsonl", previews=5)
    assert asked(policy, [row()], journal=tmp_path / "j.jsonl", previews=0)


def test_a_preview_that_cannot_be_written_names_its_sample(policy: ErgoHF, tmp_path: Path) -> None:
    def in_the_way() -> Image.Image:
        shutil.rmtree(tmp_path / "j_views", ignore_errors=True)
        (tmp_path / "j_views").write_text("in the way")
        return photo()

    with pytest.raises(SystemExit, match=r"panels/test/0: the preview .* cannot be written .*previews=0"):
        asked(policy, [row(image=in_the_way)], journal=tmp_path / "j.jsonl", previews=5)


def test_repeats_are_samples_of_their_own(policy: ErgoHF, tmp_path: Path) -> None:
    journal = tmp_path / "j.jsonl"
    assert len(asked(policy, [row(), row()], journal=journal, previews=9, repeats=3)) == 6
    entries = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert sorted((entry["doc_id"], entry["repeat"]) for entry in entries) == [(d, r) for d in (0, 1) for r in range(3)]
    assert len({file for entry in entries for file in entry["previews"].values()}) == 12
    before = journal.read_bytes()
    asked(policy, [row(), row()], journal=journal, repeats=3)
    assert journal.read_bytes() == before, "all six are found again"


# --- the end itself --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (MemoryError(), "Give it less at a time"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"), "Give it less at a time"),
        (OSError(errno.ENOSPC, "No space left on device"), "Make room on the disk"),
        (ImportError("No module named 'vllm'"), "Run `ergo doctor`"),
        (AssertionError("Torch not compiled with CUDA enabled"), "ergo doctor"),
        (AssertionError(), "raised in "),
        (RuntimeError("no weights"), "the same command goes on from there"),
    ],
)
def test_the_end_says_what_came_and_what_to_do(error: Exception, advice: str) -> None:
    with pytest.raises(SystemExit) as ended, ending_the_run("the run ended early"):
        raise error
    said = str(ended.value.code)
    assert said.startswith(f"the run ended early: {type(error).__name__}: {error}".rstrip(". "))
    assert advice in said
    assert ended.value.__cause__ is error


@pytest.mark.parametrize("code", [0, None])
def test_leaving_with_success_in_the_middle_of_a_run_is_no_success(code: int | None) -> None:
    with pytest.raises(SystemExit) as ended, ending_the_run("the run ended early"):
        raise SystemExit(code)
    assert ended.value.code not in (0, None)


def test_an_answer_stays_a_string_that_knows_its_outcome() -> None:
    answer = AnswerText(" B ", Outcome("ergo", answer="B"))
    for again in (answer.strip(), copy.deepcopy(answer), copy.copy(answer), pickle.loads(pickle.dumps(answer))):
        assert isinstance(again, str)
        assert again.strip() == "B"
        assert again.outcome == answer.outcome
    assert json.dumps(answer) == '" B "'
    with pytest.raises(TypeError):
        AnswerText(None, answer.outcome)  # type: ignore[arg-type]
