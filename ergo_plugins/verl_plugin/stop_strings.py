"""How a rollout server of verl is told where a reply ends: each engine has names of its own for it."""

from __future__ import annotations

from typing import Any


def stop_parameters(rollout: Any, stop: tuple[str, ...]) -> dict[str, Any]:
    """The sampling parameters that end a reply behind a stop string.

    They only save tokens: `Trajectory` cuts every reply behind the string, whatever the server returned. So an engine
    that cannot stop there is told nothing, and samples on to the end of the message or the cap.

    Args:
        rollout: ``actor_rollout_ref.rollout`` of verl's configuration.
        stop: strings of a turn; none for most.

    Returns:
        What verl's server hands to its engine unread. SGLang looks for strings only with a tokenizer of its own, which
        verl leaves out unless told otherwise; one that is handed strings without it dies (SGLang 0.5.12, verl's pin:
        ``Req.tail_str``). Token ids it returns whole; ``no_stop_trim`` keeps its text the same.
    """
    if not stop:
        return {}
    if rollout.name in ("vllm", "ergo_hf"):
        return {"stop": list(stop), "include_stop_str_in_output": True}
    if rollout.name == "sglang" and not rollout.skip_tokenizer_init:
        return {"stop": list(stop), "no_stop_trim": True}
    return {}
