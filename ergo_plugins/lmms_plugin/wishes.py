"""What a user asked lmms-eval for that these models do not do: refused with what to say instead, never ignored.

Tasks bring generation arguments of their own (``max_new_tokens: 16``), meant for models that answer at once. Two turns
with a thought in each need other caps, so those are not followed. What a user typed is a wish, and lmms-eval hands it
over mixed into the same dictionary; only the task still has the command line.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Any

from lmms_eval.utils import simple_parse_args_string

from .values import WrongArgument

_ONLY_JUDGED = ("mmvet", "mathvista_testmini", "mathverse_testmini", "mia_bench", "egothink")
"""How the names of image tasks begin that have no score but a judge's (lmms-eval 0.7.3)."""

_KEYS = ("OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "JUDGE_API_KEY")

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


def refuse_judges_without_keys(requests: Sequence[Any]) -> None:
    """Make sure that no task is run whose only scores come from a paid judge that nobody has a key for.

    lmms-eval would run such a task to its end and then give every sample 0 without a word.

    Raises:
        WrongArgument: there is one; ``--predict_only`` runs it without scores.
    """
    if any(os.environ.get(name) for name in _KEYS):
        return
    if any(getattr(typed, "predict_only", False) for typed in _command_lines(requests)):
        return
    judged = sorted({task for request in requests if (task := request.args[4]).startswith(_ONLY_JUDGED)})
    if judged:
        raise WrongArgument(
            f"{', '.join(judged)}: every score of it is a paid judge's, and {_KEYS[0]} is not set; lmms-eval would "
            "give each sample 0 without a word. Set the key (OPENAI_API_URL names a server of your own), or add "
            "--predict_only"
        )


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
