"""The trainings of recipes/tiny as their users start them, smaller than by default."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.lmms_runs import OFFLINE, ROOT


def train(recipe: str, out: Path, /, *settings: str, **sizes: object) -> str:
    """Run ``recipes/tiny/<recipe>.sh`` to its end, with environment variables; what it printed."""
    done = subprocess.run(
        ["bash", f"recipes/tiny/{recipe}.sh", *settings],
        cwd=ROOT,
        env={
            **os.environ,
            **OFFLINE,
            **{name: str(size) for name, size in sizes.items()},
            "OUT": str(out),
            "VENV": sys.prefix,
            "SKIP_INSTALL": "1",
            "RAY_FOLDER": tempfile.mkdtemp(prefix="ray_"),  # short: it holds sockets
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout
