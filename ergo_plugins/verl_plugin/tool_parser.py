"""The tool parser ``ergo_zoom``: verl's ``tool_agent`` loop takes ``<zoom>[x1, y1, x2, y2]</zoom>`` for a tool call."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from verl.experimental.agent_loop.tool_parser import FunctionCall, ToolParser

from ..methods import tool_method
from .opening import opened_by_template


@ToolParser.register("ergo_zoom")
class ErgoZoomParser(ToolParser):
    """Chosen by ``actor_rollout_ref.rollout.multi_turn.format``."""

    @cached_property
    def opened(self) -> str:
        """How the chat template begins a reply; a tool cannot see that."""
        return opened_by_template(self.tokenizer)

    async def extract_tool_calls(self, responses_ids: list[int], tools: Any = None) -> tuple[str, list[FunctionCall]]:
        """The reply's text, and one call if it holds the call's tag, readable or not: the tool reads it."""
        _, tool = tool_method()
        reply = self.tokenizer.decode(responses_ids, skip_special_tokens=True)
        if tool.marker not in reply:
            return reply, []
        return reply, [FunctionCall(name=tool.name, arguments=json.dumps({"reply": reply, "opened": self.opened}))]
