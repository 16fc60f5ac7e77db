"""``ergo infer``: the zoom on one picture and one question, both turns printed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_type_hints

from PIL import Image, ImageDraw

from ..core.geometry import Box
from ..core.images import RESAMPLERS, to_rgb
from ..core.outcome import Outcome
from ..core.questions import split_question
from ..engines import ENGINES, Engine, EngineFault, open_engine, options_for_images
from ..methods import DEFAULT, known_methods, method_named
from ..methods.base import Method, Sample
from ..methods.prompts import read_prompts
from ..outside.image_files import open_image
from ..usage import CommandError

BOX_COLOR = "#f76707"

_NEEDS = {"hf": "eval", "vllm": "vllm", "openai": "eval"}
"""Which extra of ours brings what an engine imports."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser("infer", help="ask a model about one picture")
    parser.add_argument("image", metavar="IMAGE", type=Path)
    parser.add_argument("question", metavar="QUESTION", help="options, if any, on lines of their own or as (A) … (B) …")
    parser.add_argument(
        "--model", required=True, metavar="DIR_OR_ID", help="folder, hub id, or the server's name for it"
    )
    parser.add_argument("--engine", choices=tuple(ENGINES), default="hf", help="%(default)s")
    parser.add_argument("--base-url", metavar="URL", help="of the server, for --engine openai; usually ends in /v1")
    parser.add_argument(
        "--api-key-env", metavar="NAME", help="variable that holds the server's key, for --engine openai"
    )
    parser.add_argument("--method", default=DEFAULT, help=f"{', '.join(known_methods())}; %(default)s by default")
    own = parser.add_argument_group("of the method")
    options = [
        own.add_argument("--coarse-tokens", type=int, metavar="N", help="budget of the whole image; the method's own"),
        own.add_argument("--crop-tokens", type=int, metavar="N", help="budget of a crop; the method's own"),
        own.add_argument("--prompts", type=Path, metavar="FILE", help="a .yaml, or the constants of a .py file"),
        own.add_argument("--resample", choices=tuple(RESAMPLERS), help="filter of the views; the method's own"),
        own.add_argument("--zoom", choices=("on", "off"), help="off: one turn, for comparison"),
    ]
    parser.add_argument("--save", type=Path, metavar="DIR", help="save boxed.png and crop.png there")
    parser.set_defaults(of_the_method=[option.dest for option in options])
    return parser


def run(args: argparse.Namespace) -> int:
    image, (method, config) = _image(args.image), _method(args)
    if not args.question.strip():
        raise CommandError("the question is empty")
    question = split_question(args.question)
    if args.save:
        _make_folder(args.save)
    with _engine(args, method.images) as engine:
        try:
            outcome = engine.play_one(lambda: method.episode(Sample(image, question), config, engine.grid))
        except EngineFault as fault:
            print(f"ergo infer: the {args.engine} engine failed on {fault}", file=sys.stderr)
            return 1
    print(_text(outcome))
    if args.save:
        for path in save(image, outcome, args.save):
            print(f"wrote {path}")
    return 0


def save(image: Image.Image, outcome: Outcome, folder: Path) -> list[Path]:
    """Write ``boxed.png``, the picture with the box drawn, and ``crop.png``, what is inside it; the whole picture for
    both if there is no box. Returns their paths."""
    boxed, crop = image.copy(), image
    if outcome.box_source is not None:
        x1, y1, x2, y2 = map(round, outcome.box_source.as_tuple())
        width = max(2, round(max(image.size) / 300))
        # the line lies outside the box, so that it hides nothing the model saw
        corners = (x1 - width, y1 - width, x2 + width - 1, y2 + width - 1)
        ImageDraw.Draw(boxed).rectangle(corners, outline=BOX_COLOR, width=width)
        crop = image.crop((x1, y1, x2, y2))
    paths = [folder / "boxed.png", folder / "crop.png"]
    for picture, path in zip((boxed, crop), paths, strict=True):
        picture.save(path)
    return paths


def _image(path: Path) -> Image.Image:
    try:
        with open_image(path) as image:
            return to_rgb(image)
    except FileNotFoundError as error:
        raise CommandError(f"there is no picture {path}") from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read as a picture: {error}") from error


def _method(args: argparse.Namespace) -> tuple[Method, Any]:
    """The method, and its configuration from what was given."""
    try:
        method = method_named(args.method)
    except ValueError as error:
        raise CommandError(str(error)) from error
    hints = get_type_hints(method.config)
    given = {name: getattr(args, name) for name in args.of_the_method}
    given = {name: value for name, value in given.items() if value is not None}
    unknown = [name for name in given if name not in hints]
    if unknown:
        raise CommandError(f"the method {method.name} has no --{unknown[0].replace('_', '-')}")
    try:
        if args.prompts:
            given["prompts"] = read_prompts(args.prompts, hints["prompts"])
        return method.variant(method.config(**given))
    except FileNotFoundError as error:
        raise CommandError(f"there is no prompts file {args.prompts}") from error
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make the folder {path}: {error.strerror}") from error


@contextmanager
def _engine(args: argparse.Namespace, images: int) -> Iterator[Engine]:
    """The engine that the arguments name, closed at the end."""
    if args.engine == "openai" and args.base_url is None:
        raise CommandError("--engine openai needs the server's --base-url, which usually ends in /v1")
    given = {"base_url": args.base_url, "api_key_env": args.api_key_env}
    options = {name: value for name, value in given.items() if value is not None}
    if args.engine != "openai" and options:
        misplaced = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise CommandError(f"{misplaced} is for --engine openai, not for {args.engine}")
    if args.engine != "openai" and args.model.startswith((".", "/", "~")) and not Path(args.model).is_dir():
        raise CommandError(f"there is no model folder {args.model}")
    try:
        engine = open_engine(args.engine, model=args.model, **options_for_images(args.engine, images), **options)
    except ImportError as error:
        raise CommandError(f"{error}. Run: pip install 'ergo-plugins[{_NEEDS[args.engine]}]'") from error
    except (OSError, ValueError) as error:  # what transformers and vLLM raise for a model that is not there or not one
        first = str(error).strip().partition("\n")[0]
        raise CommandError(f"the {args.engine} engine cannot open {args.model}: {first}") from error
    try:
        yield engine
    finally:
        engine.close()


def _text(outcome: Outcome) -> str:
    lines = []
    for turn in outcome.turns:
        measures = [f"view {shown.view}" for shown in turn.shown] + [f"{turn.visual_tokens} visual tokens"]
        measures += [f"{turn.new_tokens} tokens written"] if turn.new_tokens is not None else []
        measures += [f"{turn.seconds:.2f} s"] if turn.seconds is not None else []
        lines += [f"── {turn.name}: {', '.join(measures)}", turn.reply.rstrip(), ""]
    lines += [f"box in the view    {_corners(outcome)}", f"box in the picture {_box(outcome.box_source)}"]
    lines += [f"mended: {repair}" for repair in outcome.repairs]
    lines += [f"problem: {problem}" for problem in outcome.problems]
    lines.append(f"visual tokens      {outcome.visual_tokens}, one pass in full detail: {outcome.single_pass_tokens}")
    lines.append(f"answer             {outcome.answer or '(none)'}")
    return "\n".join(lines)


def _corners(outcome: Outcome) -> str:
    written = outcome.values.get("box_view")
    return _box(Box(*written) if written else None)


def _box(box: Box | None) -> str:
    return "none" if box is None else "[" + ", ".join(f"{corner:g}" for corner in box.as_tuple()) + "]"
