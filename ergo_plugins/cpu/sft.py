"""verl's own trainer of supervised fine-tuning on a CPU: ``python -m ergo_plugins.cpu.sft`` with its arguments.

``verl.trainer.sft_trainer`` opens the process group itself, as ``cpu:gloo,cpu:gloo`` on this platform, which torch
refuses. Here the group is opened first, and the same trainer runs.
"""

from __future__ import annotations

from typing import Any

import hydra
from verl.trainer.sft_trainer import SFTTrainer
from verl.utils.device import get_nccl_backend
from verl.utils.distributed import destroy_global_process_group


@hydra.main(config_path="pkg://verl.trainer.config", config_name="sft_trainer_engine", version_base=None)
def main(config: Any) -> None:
    get_nccl_backend()  # opens the group: see cpu.platform
    SFTTrainer(config).fit()
    destroy_global_process_group()


if __name__ == "__main__":
    main()
