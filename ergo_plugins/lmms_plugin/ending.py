"""How a run under lmms-eval ends when something raises: with a sentence, and an exit code that is not 0.

lmms-eval catches every `Exception` of an evaluation, logs it and exits with 0, so that a run that stopped looks like
one that passed. `SystemExit` is no `Exception`. All of ours that lmms-eval calls stands inside `ending_the_run`;
`end_with_the_host` covers what fails around it, such as a task's scorer.
"""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..usage import Told

_GO_ON = "What was finished is in the journal, if there is one; the same command goes on from there."
CHECK_THE_MODEL = (
    "Check model= (a folder or hub id with configuration, processor and weights) and the options beside it; "
    "`ergo doctor` says what is installed."
)
_LESS_MEMORY = (
    "Give it less at a time: a lower concurrency= (--batch_size for ergo_hf) or smaller coarse_tokens= and "
    "crop_tokens=; for ergo_vllm also gpu_memory_utilization=, max_model_len=, or more GPUs by tensor_parallel_size=."
)


@contextmanager
def ending_the_run(doing: str, advice: str = _GO_ON) -> Iterator[None]:
    """Turn whatever raises inside into the end of the process; also a decorator.

    Args:
        doing: what was being done, as the beginning of a sentence: ``ergo_hf could not be opened with model=m``.
        advice: what to do about an error that does not tell it itself.

    Raises:
        SystemExit: anything was raised. The message says what was being done, what came, and what to do; the traceback
            of what nobody foresaw goes to stderr.
    """
    try:
        yield
    except SystemExit as left:
        if not left.code:  # a library of somebody's left with success in the middle of our work
            raise SystemExit(f"{doing}: something called sys.exit({left.code!r}) in the middle of it") from left
        raise
    except Exception as error:
        if not _speaks_for_itself(error):
            traceback.print_exception(error, file=sys.stderr)
        raise SystemExit(f"{doing}: {_sentence(error, advice)}") from error


def described(error: BaseException) -> str:
    """The kind of an exception and its message, or where it was raised if it has none."""
    return f"{type(error).__name__}: {str(error).strip() or _place(error)}"


def _sentence(error: BaseException, advice: str) -> str:
    """What came and what to do about it."""
    if isinstance(error, Told):
        return str(error)
    return f"{described(error).removesuffix('.')}. {_known_advice(error) or advice}"


def end_with_the_host() -> None:
    """From now on, end the process when lmms-eval gives up on an evaluation, whoever's fault it was.

    It says so in one line of its log, in the place where it swallows the exception; nothing else tells of it.
    """
    from loguru import logger

    def gave_up(message: Any) -> None:
        raise SystemExit(f"lmms-eval gave up on this evaluation, and there are no results. {str(message).strip()}")

    logger.add(gave_up, level="ERROR", format="{message}", filter=_is_the_hosts_last_word)


def _is_the_hosts_last_word(record: Any) -> bool:
    return (record["name"], record["function"]) == ("lmms_eval.__main__", "cli_evaluate")


def _speaks_for_itself(error: BaseException) -> bool:
    """Whether all that is worth knowing stands in the message, so that a traceback would only hide it."""
    from ..engines.base import EngineFault, EngineRefused, EngineUnavailable

    cause = error.__cause__ if isinstance(error, EngineFault) else error
    return isinstance(cause, Told | EngineRefused | EngineUnavailable)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"raised in {frames[-1].filename}, line {frames[-1].lineno}" if frames else "no message"


def _known_advice(error: BaseException) -> str:
    """What to do about the kinds of error that everybody meets; empty for others."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__
    said = " ".join(f"{type(link).__name__}: {link}" for link in chain)
    if any(isinstance(link, MemoryError) for link in chain) or "out of memory" in said.lower() or "OutOfMemory" in said:
        return f"{_LESS_MEMORY} {_GO_ON}"
    if any(isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) for link in chain):
        return f"Make room on the disk. {_GO_ON}"
    if any(isinstance(link, ImportError) for link in chain):
        return "Run `ergo doctor`: it says what is missing and the command that installs it."
    if "cuda" in said.lower():
        return "Run `ergo doctor` to see which devices this torch can use; ergo_hf on --device cpu needs none of them."
    return ""
