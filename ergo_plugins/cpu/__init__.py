"""The hosts without an accelerator, for trying things out and for tests.

`torchvision` makes a CPU torch importable beside it; the others are verl's parts, chosen by ``VERL_PLATFORM=ergo_cpu``.
"""

VERL_PLATFORM = "ergo_cpu"
"""Value of the environment variable of this name that chooses the CPU backend."""

ROLLOUT = "ergo_hf"
"""Name of the rollout in verl's registries."""
