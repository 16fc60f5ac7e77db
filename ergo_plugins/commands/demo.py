"""``ergo demo``: a page on this machine to play with."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from ..engines import ENGINES
from ..engines.served_grid import GRIDS
from ..methods import known_methods
from ..usage import CommandError


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The subcommand's options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "demo",
        help="a page to play with: ask about an image and see where a model looks",
        description="Serve a page on this machine. Of one model (--model), asked in each way that is installed, or of "
        "those that a yaml lists (--choices), as recipes/tiny/demo.yaml does.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", metavar="DIR_OR_ID", help="folder, hub id, or the server's name for it")
    which.add_argument("--choices", type=Path, metavar="YAML", help="models and methods by name")
    parser.add_argument("--engine", choices=tuple(ENGINES), help="hf; with --base-url openai")
    parser.add_argument("--base-url", metavar="URL", help="of an OpenAI-compatible server; usually ends in /v1")
    parser.add_argument("--api-key-env", metavar="NAME", help="variable that holds the server's key")
    parser.add_argument("--grid", choices=tuple(GRIDS), help="how the server's model writes coordinates")
    parser.add_argument("--method", action="append", choices=known_methods(), help="only this one; may be repeated")
    parser.add_argument("--single-tokens", type=int, default=16384, help="budget of the single pass, %(default)s")
    parser.add_argument("--visitors", type=int, help="questions at a time; 1 with transformers, else 8")
    parser.add_argument("--port", type=int, default=7860, help="%(default)s")
    parser.add_argument("--host", default="127.0.0.1", help="%(default)s: nobody else sees the page")
    parser.add_argument("--share", action="store_true", help="a public address through Gradio's servers")
    return parser


def run(args: argparse.Namespace) -> int:
    try:
        from ..demo.page import build, serve
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise CommandError("the page is made with Gradio: pip install 'ergo-plugins[demo]'") from error
    from ..demo.choices import Models, choices_for, read_choices

    if args.choices:
        choices, missing = read_choices(args.choices)
        if not choices:
            raise CommandError(f"of no choice of {args.choices} the model is there: {missing[0].made_by} makes one")
    else:
        engine = args.engine or ("openai" if args.base_url else "hf")
        if (engine == "openai") != bool(args.base_url):
            raise CommandError("--engine openai and --base-url belong together")
        if args.grid and engine != "openai":
            raise CommandError(f"--grid is for --engine openai, not for {engine}")
        given = {"base_url": args.base_url, "api_key_env": args.api_key_env, "grid": args.grid}
        options = {name: value for name, value in given.items() if value is not None}
        methods = args.method or known_methods()
        choices, missing = choices_for(args.model, engine, methods, options, args.single_tokens), []
    at_a_time = args.visitors or (1 if any(choice.engine == "hf" for choice in choices) else 8)
    models = Models(choices)
    with tempfile.TemporaryDirectory(prefix="ergo_demo_") as folder:
        page = build(choices, missing, models, visitors=at_a_time, folder=Path(folder))
        try:
            serve(page, host=args.host, port=args.port, share=args.share)
        except OSError as error:
            raise CommandError(f"cannot serve on {args.host}:{args.port}: {error}; choose another --port") from error
        finally:
            models.close()
    return 0
