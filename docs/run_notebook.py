"""Run docs/zoom.ipynb from top to bottom and keep what it puts out, by default in its place.

python docs/run_notebook.py [OTHER.ipynb]      # in an environment that tests/run.sh made
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PAGE = Path(__file__).with_name("zoom.ipynb")

notebook = nbformat.read(PAGE, as_version=4)
# no times, and no matter in how many pieces a text came: what is the same shall look the same
settings = {"timeout": 300, "record_timing": False, "coalesce_streams": True}
NotebookClient(notebook, **settings, resources={"metadata": {"path": str(PAGE.parent)}}).execute()
notebook.metadata.language_info = {"name": "python"}
nbformat.write(notebook, sys.argv[1] if len(sys.argv) > 1 else PAGE)
