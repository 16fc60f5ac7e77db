"""Samples as rows of verl's parquet; `verl_plugin.rows` reads them back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..core.questions import Question, split_question
from ..methods import tool_method
from .samples import Checked

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
FirstTurn = Callable[[Question], tuple[str, str]]


def row(data_source: str, index: int, sample: Checked) -> Row:
    """A row for the agent loop ``ergo_zoom``, which words both turns itself."""
    return {
        "data_source": data_source,
        "prompt": [{"role": "user", "content": f"<image>{sample.question}"}],
        "images": [{"image": str(sample.image)}],
        "reward_model": {"style": "rule", "ground_truth": sample.answer},
        "extra_info": {
            "index": index,
            "name": sample.name,
            "image_path": str(sample.image),
            "question": sample.question,
            "answer_kind": sample.kind,
            "target_box": list(sample.target_box.as_tuple()) if sample.target_box else None,
            **sample.hints,
        },
        "agent_name": "ergo_zoom",
    }


def tool_row(data_source: str, first_turn: FirstTurn, max_pixels: int, index: int, sample: Checked) -> Row:
    """A row for verl's ``tool_agent`` loop with `verl_plugin.crop_tool`: the first turn as the method words it.

    Args:
        first_turn: ``(system message, words)`` for a question.
        max_pixels: budget of the first view, which verl's image loading heeds.
    """
    system, look = first_turn(split_question(sample.question))
    first = [{"role": "system", "content": system}] if system else []
    made = row(data_source, index, sample)
    made["prompt"] = [*first, {"role": "user", "content": f"<image>{look}"}]
    made["images"] = [{"image": str(sample.image), "max_pixels": max_pixels}]
    made["extra_info"]["tools_kwargs"] = {tool_method()[1].name: {"create_kwargs": {"question": sample.question}}}
    made["agent_name"] = "tool_agent"
    return made


def schema(*, tool: bool, hints: Iterable[str] = ()) -> pa.Schema:
    """Types of the columns, so that a column of nulls has one too.

    Args:
        tool: whether the rows are for verl's own tool loop.
        hints: names of whole numbers that ``extra_info`` holds beside the rest.
    """
    import pyarrow as pa

    text = pa.string()
    image, extra = (
        {"image": text},
        {
            "index": pa.int64(),
            "name": text,
            "image_path": text,
            "question": text,
            "answer_kind": text,
            "target_box": pa.list_(pa.float64()),
            **{name: pa.int64() for name in hints},
        },
    )
    if tool:
        image["max_pixels"] = pa.int64()
        arguments = pa.struct({"create_kwargs": pa.struct({"question": text})})
        extra["tools_kwargs"] = pa.struct({tool_method()[1].name: arguments})
    return pa.schema(
        {
            "data_source": text,
            "prompt": pa.list_(pa.struct({"role": text, "content": text})),
            "images": pa.list_(pa.struct(image)),
            "reward_model": pa.struct({"style": text, "ground_truth": text}),
            "extra_info": pa.struct(extra),
            "agent_name": text,
        }
    )
