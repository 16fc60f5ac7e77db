"""``ergo infer``: a question about one picture, about several at once, or about each in a folder; all turns printed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from PIL import Image

from ..core.images import RESAMPLERS, to_rgb
from ..core.outcome import Outcome
from ..core.questions import Question, split_question
from ..core.turns import Episode
from ..engines import ENGINES, Engine, EngineFault, Job, open_engine, options_for_images
from ..engines.served_grid import GRIDS
from ..methods import DEFAULT, known_methods, method_named
from ..methods.base import Method, Sample
from ..methods.prompts import read_prompts
from ..outside.image_files import open_image, pictures_in
from ..outside.published_prompts import PUBLISHED, prompts_path
from ..report.told import as_text, save
from ..usage import CommandError

_NEEDS = {"hf": "eval", "vllm": "vllm", "openai": "eval"}
"""Which extra of ours brings what an engine imports."""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "infer",
        help="ask a model about a picture, or about each in a folder",
        description="Ask one question about a picture; about several at once, with a method that takes several; or "
        "about each picture of a folder, one after the other by name.",
    )
    parser.add_argument(
        "images", metavar="IMAGE", type=Path, nargs="+", help="a picture, several, or one folder of them"
    )
    parser.add_argument(
        "question",
        metavar="QUESTION",
        help="options, if any, on lines of their own or as (A) … (B) …; "
        "it may call several pictures [image 1], [image 2], …",
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR_OR_ID", help="folder, hub id, or the server's name for it"
    )
    parser.add_argument("--engine", choices=tuple(ENGINES), default="hf", help="%(default)s")
    parser.add_argument("--base-url", metavar="URL", help="of the server, for --engine openai; usually ends in /v1")
    parser.add_argument(
        "--api-key-env", metavar="NAME", help="variable that holds the server's key, for --engine openai"
    )
    parser.add_argument(
        "--grid", choices=tuple(GRIDS), help="how the server's model writes coordinates, for --engine openai"
    )
    parser.add_argument(
        "--processor", metavar="DIR_OR_ID", help="of the server's model, in place of --grid; for --engine openai"
    )
    parser.add_argument("--method", default=DEFAULT, help=f"{', '.join(known_methods())}; %(default)s by default")
    own = parser.add_argument_group("of the method")
    options = [
        own.add_argument("--coarse-tokens", type=int, metavar="N", help="budget of the whole image; the method's own"),
        own.add_argument("--crop-tokens", type=int, metavar="N", help="budget of a crop; the method's own"),
        own.add_argument(
            "--prompts",
            type=Path,
            metavar="FILE_OR_NAME",
            help=f"a .yaml, a .py file's constants, or {', '.join(PUBLISHED)}",
        ),
        own.add_argument("--resample", choices=tuple(RESAMPLERS), help="filter of the views; the method's own"),
        own.add_argument("--zoom", choices=("on", "off"), help="off: one turn, for comparison"),
    ]
    parser.add_argument(
        "--save", type=Path, metavar="DIR", help="save boxed.png and crop.png there; of a folder's pictures in DIR/STEM"
    )
    parser.set_defaults(of_the_method=[option.dest for option in options])
    return parser


def run(args: argparse.Namespace) -> int:
    (method, config), asked = _method(args), _asked(args.images, args.save)
    most = max(len(one.paths) for one in asked)
    if most > method.sources:
        raise CommandError(_too_many(most, method))
    if not args.question.strip():
        raise CommandError("the question is empty")
    question = split_question(args.question)
    if not args.images[0].is_dir():
        asked[0].open()  # what is given by name is looked at before a model is loaded
    for one in asked:
        if one.folder:
            _make_folder(one.folder)
    played = _Played(asked, method, config, question)
    with _engine(args, method.images * most) as engine:
        try:
            engine.play_all(played.jobs(engine), played.finished)
        except EngineFault as fault:
            print(f"ergo infer: the {args.engine} engine failed on {fault}", file=sys.stderr)
            return 1
        played.tell()
    return 1 if played.unreadable else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """One time of asking.

    Attributes:
        name: in front of its result; empty for the only one.
        paths: its pictures.
        folder: where to save what was seen, or None.
    """

    name: str
    paths: tuple[Path, ...]
    folder: Path | None

    def open(self) -> tuple[Image.Image, ...]:
        """The originals, RGB.

        Raises:
            CommandError: one of them is missing or cannot be read.
        """
        return tuple(_image(path) for path in self.paths)


class _Played:
    """Results of many times of asking: told in their order, each as soon as those before it are there.

    Args:
        asked: all of them, in order.
        method, config: how.
        question: what, the same of each.
    """

    def __init__(self, asked: Sequence[_Asked], method: Method, config: Any, question: Question) -> None:
        self._asked, self._method, self._config, self._question = asked, method, config, question
        self._running: dict[str, tuple[int, Image.Image]] = {}
        self._done: dict[int, str | tuple[Outcome, Image.Image]] = {}
        self._told = 0
        self.unreadable = 0

    def jobs(self, engine: Engine) -> Iterator[Job]:
        """A job for each whose pictures can be read; of a folder, one that cannot be is told and the rest goes on."""
        for number, one in enumerate(self._asked):
            try:
                images = one.open()
            except CommandError as error:
                if not one.name:
                    raise
                self._done[number] = str(error)
                continue
            key = one.name or "the image"
            self._running[key] = number, images[0]
            yield Job(key, lambda images=images: self._episode(images, engine))  # type: ignore[misc]

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Keep an outcome until its turn to be told has come."""
        number, image = self._running.pop(job.key)
        self._done[number] = outcome, image
        self.tell()

    def tell(self) -> None:
        """Print and save all whose turn has come."""
        while (done := self._done.pop(self._told, None)) is not None:
            one = self._asked[self._told]
            self._told += 1
            if isinstance(done, str):
                self.unreadable += 1
                print(f"ergo infer: {done}", file=sys.stderr)
                continue
            outcome, image = done
            if one.name:
                print(f"══ {one.name}")
            print(as_text(outcome), flush=True)
            for path in save(image, outcome, one.folder) if one.folder else []:
                print(f"wrote {path}")

    def _episode(self, images: Sequence[Image.Image], engine: Engine) -> Episode:
        sample = Sample(images[0], self._question, others=tuple(images[1:]))
        return self._method.episode(sample, self._config, engine.grid)


def _asked(paths: Sequence[Path], folder: Path | None) -> list[_Asked]:
    """What to ask about: all pictures at once, or each of a folder's.

    Raises:
        CommandError: a folder beside others, or one without a picture.
    """
    if not any(path.is_dir() for path in paths):
        return [_Asked("", tuple(paths), folder)]
    if len(paths) > 1:
        raise CommandError("a folder is asked about alone: each picture in it is one of its own")
    pictures = pictures_in(paths[0])
    if not pictures:
        raise CommandError(f"there is no picture in the folder {paths[0]}")
    stems = Counter(path.stem for path in pictures)
    return [
        _Asked(path.name, (path,), folder and folder / (path.stem if stems[path.stem] == 1 else path.name))
        for path in pictures
    ]


def _too_many(count: int, method: Method) -> str:
    takes = "one picture" if method.sources == 1 else f"at most {method.sources} pictures"
    more = [name for name in known_methods() if method_named(name).sources >= count]
    instead = f"methods that take so many: {', '.join(more)}" if more else "no method takes so many"
    return f"{count} pictures at once, and the method {method.name} takes {takes}; {instead}"


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
            given["prompts"] = read_prompts(prompts_path(args.prompts), hints["prompts"])
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
    names = ("base_url", "api_key_env", "grid", "processor")
    given = {name: getattr(args, name) for name in names}
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
