"""The lmms-eval models: one driver, and a class of two lines for each engine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lmms_eval.api.instance import GenerationResult, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.model_utils.gen_metrics import log_metrics
from loguru import logger

from ..core.statistics import failure_kinds, summarise
from ..core.turns import Outcome
from ..engines import EngineFault, open_engine
from ..methods.ergo import METHOD
from .arguments import read_arguments
from .journal import Entry, JournalMismatch
from .run import play_samples
from .samples import UnusableTask, samples_of


class AnswerText(str):
    """The bare answer as scorers read it, with the outcome it came from for scorers that look further."""

    outcome: Outcome

    def __new__(cls, text: str, outcome: Outcome) -> AnswerText:
        self = super().__new__(cls, text)
        self.outcome = outcome
        return self

    def strip(self, chars: str | None = None) -> AnswerText:
        """As of `str`; lmms-eval strips what it hands to scorers, and a plain string would forget its outcome."""
        return AnswerText(super().strip(chars), self.outcome)


@dataclass
class OutcomeTokens(TokenCounts):  # type: ignore[misc]
    """Token counts that carry the whole outcome into lmms-eval's samples file, under ``token_counts``."""

    outcome: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), METHOD: self.outcome}


class ErgoModel(lmms):  # type: ignore[misc]
    """Two-turn zoom on the requests of stock tasks.

    Arguments are those of `arguments.read_arguments`; ``batch_size``, ``max_batch_size`` and ``device`` come from
    lmms-eval itself.

    An engine that fails for good ends the run with `SystemExit`: lmms-eval turns any other exception into a log line
    and exit code 0.
    """

    is_simple = False
    engine_name: ClassVar[str]

    def __init__(
        self, batch_size: int | str = 1, max_batch_size: Any = None, device: str | None = None, **given: Any
    ) -> None:
        super().__init__()
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise SystemExit(
                "ergo models run in one process and parallelise inside the engine: start `python -m lmms_eval` without "
                "torchrun or accelerate, and give ergo_vllm tensor_parallel_size= or data_parallel_size="
            )
        try:
            self.arguments = read_arguments(self.engine_name, given)
            options = {**self.host_options(batch_size, device), **self.arguments.engine}
            self.engine = open_engine(self.engine_name, **options)
            for budget_tokens in (self.arguments.zoom.coarse_tokens, self.arguments.zoom.crop_tokens):
                self.engine.grid.check_budget(budget_tokens)
        except (ValueError, TypeError, OSError) as error:
            raise SystemExit(f"--model_args: {error}") from error

    def host_options(self, batch_size: int | str, device: str | None) -> dict[str, Any]:
        """Which of lmms-eval's own options the engine takes; none, unless a model says otherwise."""
        return {}

    def generate_until(self, requests: Sequence[Any], *_: Any) -> list[GenerationResult]:
        """Zoom and answer; one result a request, in order."""
        started = time.perf_counter()
        samples = samples_of(requests, self.task_dict)
        try:
            entries = play_samples(self.engine, [sample for sample in samples if sample is not None], self.arguments)
        except (EngineFault, JournalMismatch, UnusableTask) as error:
            raise SystemExit(f"{type(error).__name__}: {error}") from error
        self._report(entries, time.perf_counter() - started)
        return [_result(entries[sample.key]) if sample else GenerationResult("") for sample in samples]

    def clean(self) -> None:
        self.engine.close()
        super().clean()

    def loglikelihood(self, requests: Sequence[Any]) -> Any:
        raise SystemExit("ergo models generate; tasks that compare log-likelihoods cannot be run with them")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> Any:
        raise SystemExit("ergo models take their own two turns; multi-round tasks cannot be run with them")

    def _report(self, entries: dict[str, Entry], elapsed_s: float) -> None:
        """Aggregates into lmms-eval's results, and a list of what failed into its log."""
        outcomes = [entry.outcome for entry in entries.values()]
        figures = summarise(outcomes)
        failures = figures.pop("failures")
        numbers = {f"{METHOD}_{name}": value for name, value in figures.items() if value is not None}
        numbers.update({f"{METHOD}_failures_{kind}": count for kind, count in failures.items()})
        new_tokens = sum(turn.new_tokens or 0 for outcome in outcomes for turn in outcome.turns)
        log_metrics(
            total_elapsed_time=elapsed_s,
            total_gen_tokens=new_tokens,
            avg_speed=new_tokens / elapsed_s if elapsed_s else 0.0,
            additional_metrics={"num_requests": len(outcomes), **numbers},
        )
        failed = [
            f"{key} ({', '.join(sorted(kinds))})" for key, e in entries.items() if (kinds := failure_kinds(e.outcome))
        ]
        if failed:
            logger.warning(f"{len(failed)} of {len(entries)} samples had problems, all are scored: {'; '.join(failed)}")


class ErgoVLLM(ErgoModel):
    """``--model ergo_vllm``: `engines.vllm.VLLMEngine`."""

    engine_name = "vllm"


class ErgoHF(ErgoModel):
    """``--model ergo_hf``: `engines.hf.HFEngine`; takes lmms-eval's batch size for its concurrency, and its device."""

    engine_name = "hf"

    def host_options(self, batch_size: int | str, device: str | None) -> dict[str, Any]:
        if not str(batch_size).isdigit():
            raise SystemExit(f"ergo_hf wants a whole number for --batch_size, got {batch_size!r}")
        return {"concurrency": int(batch_size), "device": device}


class ErgoOpenAI(ErgoModel):
    """``--model ergo_openai``: `engines.openai.OpenAIEngine`."""

    engine_name = "openai"


def _result(entry: Entry) -> GenerationResult:
    turns = entry.outcome.turns
    counts = OutcomeTokens(
        input_tokens=sum(turn.prompt_tokens or 0 for turn in turns),
        output_tokens=sum(turn.new_tokens or 0 for turn in turns),
        outcome=entry.outcome.to_json(),
    )
    return GenerationResult(text=AnswerText(entry.returned, entry.outcome), token_counts=counts)
