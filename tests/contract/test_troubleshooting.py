"""docs/troubleshooting.md quotes messages that exist, and the README leads to it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
NO_MESSAGES = re.compile(r"^(grid|~/data)|^[a-z_.]+$")
"""Settings and paths that a symptom mentions."""


def symptoms() -> list[str]:
    rows = [line.split(" | ")[0] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [quoted for row in rows for quoted in re.findall(r"`([^`]+)`", row) if not NO_MESSAGES.search(quoted)]


def said() -> str:
    """All texts of the package's code, those of a formatted one joined by a mark; a line for each."""
    texts = []
    for path in (ROOT / "ergo_plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


@pytest.fixture(scope="module")
def texts() -> str:
    return said()


def test_there_are_messages() -> None:
    assert len(symptoms()) >= 14


@pytest.mark.parametrize("message", symptoms())
def test_a_quoted_message_is_still_said(message: str, texts: str) -> None:
    assert message in texts


def test_the_readme_leads_to_it() -> None:
    assert "(docs/troubleshooting.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
