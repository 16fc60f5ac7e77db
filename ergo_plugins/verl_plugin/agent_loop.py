"""The agent loop ``ergo_zoom``: plays an episode with verl's rollout servers, token for token."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput, register
from verl.workers.rollout.utils import get_vision_placeholder_token_ids

from ..core.control_tokens import NOT_IN_A_REPLY
from ..core.turns import play_async
from ..outside.image_files import ImageValue
from ..outside.processors import vision_grid
from .originals import Original, Originals
from .patches import Patches
from .rows import IMAGE, QUESTION, Row
from .settings import Settings
from .trajectory import Shared, Trajectory, tokenizer_of

_logger = logging.getLogger(__name__)
_shared: Shared | None = None


NAME = "ergo_zoom"


def shared_so_far() -> Shared | None:
    """What the trajectories of this process share; None before the first of them."""
    return _shared


@register(NAME)
class ErgoZoomLoop(AgentLoopBase):
    """verl makes one for each trajectory."""

    @property
    def shared(self) -> Shared:
        """Made by the first trajectory of a process.

        Raises:
            ValueError: the ``ergo:`` block, or a processor that cannot see.
        """
        global _shared
        if _shared is None or _shared.config is not self.config:
            settings = Settings.of(self.config)
            if self.processor is None or not self.continuous_token_builder.supports_multimodal():
                raise ValueError(
                    f"verl has no way to write images into prompts of {self.config.actor_rollout_ref.model.path}; the "
                    "zoom needs a vision-language model with its processor"
                )
            processor: Any = self.processor
            grid = vision_grid(processor)
            Patches.remember(processor.image_processor, kept_mib=settings.images.kept_patches_mib)
            tokenizer = tokenizer_of(self)
            known = tokenizer.get_vocab()
            end_of_message = tokenizer.convert_tokens_to_ids("<|im_end|>")
            assert isinstance(end_of_message, int)  # every tokenizer of a processor of the Qwen kind has it
            _shared = Shared(
                config=self.config,
                loop=self.loop,
                settings=settings,
                grid=grid,
                originals=Originals(settings.images),
                strays=frozenset(get_vision_placeholder_token_ids(self.processor))
                | {known[token] for token in NOT_IN_A_REPLY if token in known},
                end_of_message=end_of_message,
                end_ids=frozenset({end_of_message, tokenizer.eos_token_id}),
            )
        return _shared

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """One trajectory of a row.

        Raises:
            RowError, OSError, ValueError: the row or its image cannot be used; verl then drops the trajectory.
        """
        row = Row.read(kwargs)
        shared = self.shared
        self._tell(row, shared)
        image = row.image
        assert image is not None  # verl hands over the prompt, and a row with a prompt and no image is refused
        trajectory = Trajectory(self, shared, row, sampling_params)
        started = time.monotonic()
        try:
            original = await shared.originals.get(image)
        except (OSError, ValueError) as error:
            kind = next(kind for kind in (FileNotFoundError, OSError, ValueError) if isinstance(error, kind))
            raise kind(f"{row.name}: {error}") from error
        brought = await self._brought(row, image, original)
        decode_s = time.monotonic() - started
        episode = shared.episode(row, original)
        del original  # the episode lets go of it once the crop is cut
        outcome = await play_async(episode, trajectory.ask, trajectory.compute)
        outcome = replace(
            outcome,
            problems=outcome.problems + tuple(trajectory.problems),
            seconds=time.monotonic() - started,
        )
        return trajectory.output(outcome, decode_s, brought)

    def _tell(self, row: Row, shared: Shared) -> None:
        """Tell, once for each text, that a row's system message is not used."""
        if row.system and row.system not in shared.systems_told:
            shared.systems_told.add(row.system)
            _logger.warning(
                "%s: the row's system message is not used, ergo.zoom.prompts has its own: %.200r", row.name, row.system
            )

    async def _brought(self, row: Row, image: ImageValue, original: Original) -> dict[str, Any]:
        """What a stock reward manager needs: it is handed neither the prompt nor its image."""
        if self.config.reward.reward_manager.name == "ergo":
            return {}
        return {QUESTION: row.question.full, IMAGE: await asyncio.to_thread(original.sent, image)}
