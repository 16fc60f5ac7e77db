"""Our client: a data set of `reference.make_set` played to its end against `instant_server`.

    python -m recipes.bench.player ROOT BASE_URL --tokens 640 --concurrency 16 [--decode fast]

ROOT is the data set's folder, and gets the journal too. `host` says what is left out of ``--model ergo_openai``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ergo_plugins.engines import open_engine
from ergo_plugins.lmms_plugin.arguments import read_arguments
from ergo_plugins.lmms_plugin.run import play_samples
from ergo_plugins.lmms_plugin.samples import Sample

from . import reference
from .instant_server import ANSWER


def messages(row: dict[str, Any]) -> list[dict[str, Any]]:
    """As lmms-eval's chat models get them."""
    parts = [{"type": "image", "url": row["image"]}, {"type": "text", "text": row["text"]}]
    return [{"role": "user", "content": parts}]


def play(root: Path, base_url: str, tokens: int, concurrency: int, decode: str) -> None:
    """All samples of the data set.

    Raises:
        SystemExit: an outcome lacks the box or the answer that the server gave.
    """
    arguments = read_arguments(
        "openai",
        {
            **{"model": "ergo", "base_url": base_url, "grid": "qwen2.5-vl", "concurrency": concurrency},
            **{"coarse_tokens": tokens, "crop_tokens": tokens},
            **{"journal": str(root / "journal.jsonl"), "previews": 0, "decode": decode},
        },
    )
    engine = open_engine("openai", **arguments.engine)
    rows = reference.read_set(root)  # last, since the clock starts here
    samples = [
        Sample("bench", "test", number, 0, row["text"], rows, messages, arguments.decode)
        for number, row in enumerate(rows)
    ]
    entries = play_samples(engine, samples, arguments)
    engine.close()
    wrong = [key for key, entry in entries.items() if entry.returned != ANSWER or entry.outcome.box_source is None]
    if wrong:
        raise SystemExit(f"{len(wrong)} samples without the box and the answer that the server gave, {wrong[0]} first")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("root", type=Path, help="of the data set")
    parser.add_argument("base_url", help="of the server's API")
    parser.add_argument("--tokens", type=int, required=True, help="budget of either turn")
    parser.add_argument("--concurrency", type=int, required=True, help="samples at once")
    parser.add_argument("--decode", default="exact", help="of originals, as in the model's arguments (%(default)s)")
    play(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
