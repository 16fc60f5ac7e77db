"""What a user asked lmms-eval for that these models do not do: refused with what to say instead, never ignored.

Tasks bring generation arguments of their own (``max_new_tokens: 16``), meant for models that answer at once. Two turns
with a thought in each need other caps, so those are not followed. What a user typed is a wish, and lmms-eval hands it
over mixed into the same dictionary; only the task still has the command line.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from lmms_eval.utils import simple_parse_args_string

from .values import WrongArgument

_INSTEAD = {
    **dict.fromkeys(
        ("max_new_tokens", "max_gen_toks", "max_tokens", "max_completion_tokens", "max_length"),
        "zoom_new_tokens= and answer_new_tokens=",
    ),
    "do_sample": "temperature= (0 decodes greedily)",
}


def refuse_wishes(requests: Sequence[Any], known: Collection[str]) -> None:
    """Make sure that the user asked for nothing that would be ignored.

    Args:
        requests: of lmms-eval, as `lmms.generate_until` gets them.
        known: names of the model's own arguments.

    Raises:
        WrongArgument: ``--gen_kwargs``, ``--system_instruction``, ``--num_fewshot`` or ``--max_tokens`` was given.
    """
    for typed in _command_lines(requests):
        wishes = _read(getattr(typed, "gen_kwargs", None))
        if wishes:
            raise WrongArgument("; ".join(_refused(name, value, known) for name, value in wishes.items()))
        if getattr(typed, "system_instruction", None):
            raise WrongArgument(
                "--system_instruction is not taken: the zoom has a system message of its own; change it by "
                "prompts=<a yaml with system:> in --model_args"
            )
        if getattr(typed, "num_fewshot", None):
            raise WrongArgument("--num_fewshot is not taken: the zoom shows no examples; leave it out")
        if getattr(typed, "max_tokens", None) is not None:
            raise WrongArgument("--max_tokens is not taken: ergo models cannot stop at a number of tokens; --limit can")


def task_defaults(requests: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Generation arguments that tasks bring, by task; to be told, since they are not followed."""
    return {request.args[4]: request.args[2] for request in requests if request.args[2]}


def _command_lines(requests: Sequence[Any]) -> list[Any]:
    """The command line that each task was given; none when lmms-eval is called from Python."""
    tasks = {id(task): task for request in requests if (task := getattr(request.args[1], "__self__", None)) is not None}
    return [typed for task in tasks.values() if (typed := getattr(task, "args", None)) is not None]


def _read(gen_kwargs: Any) -> dict[str, Any]:
    if not gen_kwargs:
        return {}
    return dict(gen_kwargs) if isinstance(gen_kwargs, dict) else dict(simple_parse_args_string(gen_kwargs))


def _refused(name: str, value: Any, known: Collection[str]) -> str:
    instead = _INSTEAD.get(name, f"{name}=" if name in known else "")
    how = f"give {instead} in --model_args instead" if instead else "ergo models have no such argument; leave it out"
    return f"--gen_kwargs {name}={value} is not taken: {how}"
