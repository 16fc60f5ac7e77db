"""The page, in Gradio: an image, a question, what a method looks at and says, and a single pass beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..core.images import to_rgb
from ..core.outcome import Outcome
from ..engines import EngineFault
from ..outside.image_files import open_image
from ..python_api import Model
from .choices import Choice, Missing, Models
from .course import Course, numbers, reduced, table_of, with_boxes

Shown = tuple[Any, ...]
"""New values of the picture, both conversations, the table and the status line."""

STYLE = "#numbers th { overflow-wrap: normal; word-break: keep-all }"
"""Gradio would break the words in a table's head."""
FONT = ("system-ui", "sans-serif")

CACHE_S = (3600, 86400)
"""Gradio looks for pictures to delete so often, and deletes those that are so old."""


def build(
    choices: Sequence[Choice], missing: Sequence[Missing], models: Models, *, visitors: int, folder: Path
) -> gr.Blocks:
    """The page, not yet served.

    Args:
        visitors: questions that are answered at the same time; others wait in line.
        folder: there, empty, and kept as long as the page is served; small pictures of the gallery go there.
    """
    by_name = {choice.name: choice for choice in choices}
    galleries = {choice.name: _small_pictures(choice, folder / str(i)) for i, choice in enumerate(choices)}

    def preview(path: str | None) -> Iterator[tuple[str | None, str]]:
        if not path:
            yield None, ""
            return
        try:
            picture = _opened(path)[0]
        except (OSError, ValueError) as error:
            yield None, _sentence(error)
            return
        with tempfile.TemporaryDirectory(prefix="ergo_demo_") as kept:
            yield _saved(picture, Path(kept)), ""

    def ask(path: str | None, question: str, name: str) -> Iterator[Shown]:
        yield from _answered(path, question, by_name[name], models)

    def chosen(name: str) -> Any:
        return gr.Gallery(value=galleries[name], visible=bool(galleries[name]))

    def picked(name: str, selected: gr.SelectData) -> tuple[str, str]:
        example = by_name[name].examples[selected.index]
        return str(example.image), example.question

    first = choices[0].name
    page: gr.Blocks
    with gr.Blocks(title="ergo demo", analytics_enabled=False, delete_cache=CACHE_S) as page:
        gr.Markdown("## Where does the model look?\nDrop an image, ask, and see what it is shown, and at what cost.")
        with gr.Row():
            with gr.Column(scale=2):
                method = gr.Dropdown([choice.name for choice in choices], value=first, label="Model and method")
                file = gr.File(label="Image", file_types=["image"], type="filepath", height=120)
                question = gr.Textbox(label="Question", lines=3, elem_id="question")
                button = gr.Button("Ask", variant="primary", elem_id="ask")
                status = gr.Markdown(elem_id="status")
            look = gr.Image(
                label="The image, and where it looked", interactive=False, scale=3, height=480, elem_id="where"
            )
        gallery = gr.Gallery(
            value=galleries[first],
            label="Or take one of these",
            columns=6,
            height=180,
            visible=bool(galleries[first]),
            elem_id="gallery",
            allow_preview=False,
            interactive=False,
        )
        table = gr.Markdown(elem_id="numbers")
        with gr.Row():
            looked = gr.Chatbot(
                label="The method", height=420, render_markdown=False, buttons=["copy"], elem_id="method"
            )
            single = gr.Chatbot(
                label="A single pass", height=420, render_markdown=False, buttons=["copy"], elem_id="single"
            )
        if missing:
            made_by = [f"- {one.name}: `{one.made_by}` makes it" for one in missing]
            gr.Markdown("Not there yet:\n\n" + "\n".join(made_by))
        method.change(chosen, method, gallery, show_progress="hidden")
        file.change(preview, file, [look, status], show_progress="hidden")
        gallery.select(picked, method, [file, question], show_progress="hidden")
        shown = [look, looked, single, table, status]
        gr.on(
            [button.click, question.submit],
            ask,
            [file, question, method],
            shown,
            concurrency_limit=visitors,
            show_progress="minimal",
        )
    return page


def serve(page: gr.Blocks, *, host: str, port: int, share: bool) -> None:
    """Serve the page until the process is interrupted.

    Raises:
        OSError: the port is taken.
    """
    theme = gr.themes.Default(font=FONT, font_mono=("ui-monospace", "monospace"))  # of this machine: none is fetched
    page.queue().launch(server_name=host, server_port=port, share=share, theme=theme, css=STYLE, footer_links=[])


def _answered(path: str | None, question: str, choice: Choice, models: Models) -> Iterator[Shown]:
    """The page from asking to both answers."""
    if not path or not question.strip():
        yield gr.skip(), [], [], "", "An image and a question are needed."
        return
    with tempfile.TemporaryDirectory(prefix="ergo_demo_") as folder:
        yield from _played(path, question, choice, models, Path(folder))


def _played(path: str, question: str, choice: Choice, models: Models, folder: Path) -> Iterator[Shown]:
    rows: list[list[str]] = []
    courses = [Course(folder / "method"), Course(folder / "single")]
    try:
        picture, scale = _opened(path)
        yield _saved(picture, folder), [], [], "", f"Asking {choice.name} …"
        for index, model in enumerate((models.of(choice), models.baseline_of(choice))):
            if model is None:
                continue
            course = courses[index]
            course.folder.mkdir()
            for outcome in _watched(model, path, question, course):
                if outcome is not None:
                    rows.append(numbers(choice.name if index == 0 else "single pass", outcome))
                talks = courses[0].messages, courses[1].messages
                if course.speaking:  # nothing else is new, and a picture is costly to send with each word
                    yield gr.skip(), *talks, gr.skip(), gr.skip()
                    continue
                drawn = with_boxes(picture, courses[0].regions_source, scale)
                yield _saved(drawn, folder), *talks, table_of(rows), f"Asking {choice.name} …"
    except (OSError, ValueError, TypeError, EngineFault) as error:
        yield gr.skip(), courses[0].messages, courses[1].messages, table_of(rows), _sentence(error)
        return
    yield gr.skip(), courses[0].messages, courses[1].messages, table_of(rows), _conclusion(courses[0].outcome)


def _watched(model: Model, path: str, question: str, course: Course) -> Iterator[Outcome | None]:
    """Goes on by an event at a time; the outcome comes last, None before it."""
    for event in model.watch(path, question):
        course.take(event)
        yield course.outcome


def _opened(path: str) -> tuple[Image.Image, float]:
    with open_image(path) as image:
        return reduced(to_rgb(image))


def _saved(picture: Image.Image, folder: Path) -> str:
    """The path of a picture for Gradio to copy.

    Gradio keeps one copy of equal files; an image it is handed it would write again while another visitor is sent it.
    """
    path = folder / "picture.png"
    picture.save(path)
    return str(path)


def _small_pictures(choice: Choice, folder: Path) -> list[tuple[str, str]]:
    """Paths and captions of a gallery."""
    shown = []
    for number, example in enumerate(choice.examples):
        of_its_own = folder / str(number)
        of_its_own.mkdir(parents=True)
        shown.append((_saved(_opened(str(example.image))[0].resize((192, 192)), of_its_own), f"{example.answer}"))
    return shown


def _conclusion(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    said = [f"**{outcome.answer or '(no answer)'}**"]
    said += [
        f"{outcome.visual_tokens} visual tokens; the image in one pass at full detail would take "
        f"{outcome.single_pass_tokens}."
    ]
    return "  \n".join([*said, *outcome.problems])


def _sentence(error: BaseException) -> str:
    """What is shown of an error: its first line."""
    return f"⚠ {str(error).strip().partition(chr(10))[0] or type(error).__name__}"
