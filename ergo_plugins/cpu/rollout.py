"""The rollout ``ergo_hf`` behind verl's rollout interface: a server a replica, and who sends it the actor's weights."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import ray
import torch
from ray.actor import ActorHandle
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica

from . import ROLLOUT
from .server import HFServer


class HFReplica(RolloutReplica):
    """One server a replica, beside the trainer's workers or as a reward model of its own."""

    async def launch_servers(self) -> None:
        model = self.model_config
        server = (
            ray.remote(HFServer)
            .options(
                name=_server_name(self.replica_rank, is_reward_model=self.is_reward_model),
                num_cpus=1,
                max_concurrency=self.max_concurrency,
            )
            .remote(
                getattr(model, "local_path", None) or model.path,
                seed=self.config.seed + self.replica_rank,
                largest_batch=self.config.max_num_seqs,
                prompt_length=self.config.prompt_length,
                response_length=self.config.response_length,
            )
        )
        assert isinstance(server, ActorHandle)  # ray annotates the class itself as well
        self._server_address = await server.serve_http.remote()
        self._server_handle = server
        self.servers = [server]


class HFServerAdapter(BaseRollout):
    """Lives in a worker of the actor and sends its weights to the server."""

    def __init__(
        self, config: Any, model_config: Any, device_mesh: Any, replica_rank: int = -1, **ignored: Any
    ) -> None:
        super().__init__(config, model_config, device_mesh)
        ranks_a_replica = (
            self.config.tensor_model_parallel_size
            * self.config.data_parallel_size
            * self.config.pipeline_model_parallel_size
        )
        rank = int(os.environ["RANK"])
        self.replica_rank = rank // ranks_a_replica if replica_rank == -1 else replica_rank
        self.leads = rank % ranks_a_replica == 0

    def _server(self) -> Any:
        return ray.get_actor(_server_name(self.replica_rank, is_reward_model=False))

    async def resume(self, tags: list[str]) -> None: ...

    async def release(self) -> None: ...

    @torch.no_grad()
    async def update_weights(
        self,
        weights: Iterable[tuple[str, torch.Tensor]],
        wire_format: str = "named_tensors",
        global_steps: int | None = None,
        **ignored: Any,
    ) -> None:
        if wire_format != "named_tensors":
            raise ValueError(f"the rollout {ROLLOUT} takes whole weights, got {wire_format!r}")
        whole = {
            name: tensor.detach().cpu() for name, tensor in weights
        }  # every rank: each tensor is gathered from all
        if self.leads:
            await self._server().update_weights.remote(whole, global_steps)


def _server_name(replica_rank: int, *, is_reward_model: bool) -> str:
    return f"{ROLLOUT}_{'reward' if is_reward_model else 'policy'}_{replica_rank}"
