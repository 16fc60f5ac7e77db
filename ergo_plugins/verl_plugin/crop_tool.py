"""``ErgoCropTool``: the zoom as a tool for verl's own ``tool_agent`` loop (``recipes/crop_tool.yaml`` declares it).

``ergo data --agent tool_agent --coarse-tokens N`` writes the rows for it: the first turn's prompt as the episode words
it, the image at the budget of the first view, and the whole question for the second turn as the tool's arguments.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import takewhile
from typing import Any

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

from ..core.geometry import Size, VisionGrid
from ..core.images import size_of
from ..core.questions import split_question
from ..core.settings import build
from ..core.turns import Player, Reply
from ..methods import OLD_NAME_OF_EPISODE, tool_method
from ..methods.base import Sample
from ..methods.prompts import configured
from ..outside.published_prompts import prompts_path
from .messages import Said, read_messages
from .originals import Originals
from .records import ASKED, FAULT, OUTCOME, UNANSWERED
from .rows import IMAGE, QUESTION
from .settings import ImagesConfig

_logger = logging.getLogger(__name__)

METHOD, TOOL = tool_method()

SCHEMA = {
    "type": "function",
    "function": {
        "name": TOOL.name,
        "description": "Look at one part of the image in full detail.",
        "parameters": {
            "type": "object",
            "properties": {
                "box": {"type": "array", "description": "[x1, y1, x2, y2] in the coordinates of the image."},
            },
            "required": ["box"],
        },
    },
}


class ErgoCropTool(BaseTool):
    """Cuts the crop that a call names out of the original, and leaves the same record as the loop ``ergo_zoom``.

    Called with ``box`` by a parser of JSON calls, or with ``reply`` by the parser ``ergo_zoom``. One crop a trajectory.

    Args:
        config: ``zoom``, ``images`` as in the ``ergo:`` block, and ``grid`` as in `VisionGrid`.
    """

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None) -> None:
        super().__init__(config, tool_schema or OpenAIFunctionToolSchema.model_validate(SCHEMA))
        self.method = METHOD
        zoom = config.get(OLD_NAME_OF_EPISODE, {})
        self.zoom = configured(self.method.config, zoom, f"config.{OLD_NAME_OF_EPISODE}", prompts_path)
        if self.method.variant(self.zoom)[0] is not self.method:
            raise ValueError("config.zoom: another method than the tool's, which leaves it nothing to do")
        self.grid = build(VisionGrid, config.get("grid", {}), "config.grid")
        self.originals = Originals(build(ImagesConfig, config.get("images", {}), "config.images"))
        self.questions: dict[str, str | None] = {}

    async def create(self, instance_id: str | None = None, **kwargs: Any) -> tuple[str, ToolResponse]:
        """Keep a row's ``tools_kwargs.zoom.create_kwargs.question`` for the call."""
        instance_id, response = await super().create(instance_id)
        self.questions[instance_id] = (kwargs.get("create_kwargs") or {}).get("question")
        return instance_id, response

    async def release(self, instance_id: str, **kwargs: Any) -> None:
        self.questions.pop(instance_id, None)

    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict[str, Any]]:
        """The crop and the question again.

        verl tells the model about exceptions and goes on; so what is our fault or the data's is also left for the
        reward, which then is none.
        """
        agent_data = kwargs["agent_data"]
        fields = agent_data.extra_fields
        if fields.setdefault(UNANSWERED, instance_id) != instance_id:  # also for calls side by side in one reply
            return _again(fields), 0.0, {}
        reply = parameters.get("reply")
        called = TOOL.call.format(box=parameters.get("box")) if reply is None else reply
        look = Reply(called, opened=parameters.get("opened", ""))
        try:
            return await self._zoom(look, agent_data, self.questions.get(instance_id)), 0.0, {}
        except (OSError, ValueError) as error:
            agent_data.extra_fields[FAULT] = f"{TOOL.name}: {error}"
            _logger.error("%s: %s", TOOL.name, error)
            raise

    async def _zoom(self, reply: Reply, agent_data: Any, full: str | None) -> ToolResponse:
        said = _prompt(agent_data.messages)
        question = split_question(said.question if full is None else full)
        (image,) = said.images
        original = await self.originals.get(image)
        sample = Sample(original.image, question)
        player = Player(self.method.episode(sample, self.zoom, self.grid, render=original.render))
        look = await asyncio.to_thread(player.start)
        shown = Size(*agent_data.image_data[0].size)
        made = look and size_of(look.images[0])
        if made != shown:
            raise ValueError(
                f"the policy was shown the image at {shown}, but zoom.coarse_tokens={self.zoom.coarse_tokens} makes it "
                f"{made}; write the rows with ergo data --coarse-tokens, or give "
                "their images a max_pixels"
            )
        answer = await asyncio.to_thread(player.send, reply)
        if answer is None:
            raise ValueError(f"the method {self.method.name} has no second turn, which leaves the tool nothing to do")
        player.send(Reply(""))  # the record is complete but for the answer, which comes later
        agent_data.extra_fields |= {OUTCOME: player.finished().to_json(), ASKED: answer.text, QUESTION: question.full}
        agent_data.extra_fields[IMAGE] = await asyncio.to_thread(original.sent, image)
        return ToolResponse(image=list(answer.images), text=answer.text)


def _prompt(messages: list[dict[str, Any]]) -> Said:
    """What the row's prompt says, which stands before the policy's first reply.

    Raises:
        ValueError: it is no prompt with one image.
    """
    said = read_messages(list(takewhile(lambda message: message.get("role") != "assistant", messages)))
    if len(said.images) != 1:
        raise ValueError(f"the zoom looks at one image, and the prompt shows {len(said.images)}")
    return said


def _again(fields: dict[str, Any]) -> ToolResponse:
    """What a second call is told."""
    text = "There is only one zoom. Answer now."
    if OUTCOME in fields:
        fields[OUTCOME]["repairs"].append("answer: called the tool again")
        fields[ASKED] = text
    return ToolResponse(text=text)
