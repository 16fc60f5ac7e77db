"""The reference of settings is what the dataclasses say now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from ergo_plugins.methods import METHODS
from ergo_plugins.verl_plugin.config_page import Row, page, rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "config.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "python -m ergo_plugins.verl_plugin.config_page > docs/config.md"


def test_every_method_and_every_group_is_there() -> None:
    text = page()
    assert [name for name in METHODS if f"## Method `{name}`" not in text] == []
    assert "| `concurrency` | whole number | `32` | requests under way in one process. |" in text
    assert "| `crop.max_aspect` | number | `10.0` | longest allowed ratio" in text
    assert "grow along their short side. In evaluation `max_crop_aspect`. |" in text
    assert "| `stage1_question` | `stem`, `full` | `stem` |" in text


@dataclass(frozen=True)
class Inner:
    """Inside.

    Attributes:
        low, high: ends of
            a range: both count.
    """

    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Outer:
    """Outside.

    Attributes:
        inner: a range.
        way: in or out.
    """

    inner: Inner = Inner()
    way: Literal["in", "out"] = "in"


@dataclass(frozen=True)
class Silent:
    """Says nothing.

    Attributes:
        told: a number.
    """

    told: int = 0
    untold: int = 0


def test_groups_and_shared_sentences() -> None:
    both = "ends of a range: both count."
    assert list(rows(Outer)) == [
        Row("inner", "keys", "", "a range."),
        Row("inner.low", "number", "0.0", both),
        Row("inner.high", "number", "1.0", both),
        Row("way", "`in`, `out`", "in", "in or out."),
    ]


def test_a_setting_without_a_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="Silent has no attribute untold"):
        list(rows(Silent))
