"""The lmms-eval models: one driver, and a class of two lines for each engine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from lmms_eval.api.instance import GenerationResult, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.model_utils.gen_metrics import log_metrics
from loguru import logger

from ..core.outcome import Outcome
from ..core.record import Entry
from ..core.statistics import failure_kinds, summarise
from ..engines import open_engine, options_for_images
from ..methods.base import images_of
from ..outside.streamed import SAID
from .arguments import check_argument_text, known_arguments, read_arguments
from .ending import CHECK_THE_MODEL, end_with_the_host, ending_the_run
from .run import play_samples
from .samples import samples_of
from .values import WrongArgument, as_kind
from .wishes import refuse_judges_without_keys, refuse_wishes, task_defaults

BUDGET = "_tokens"
"""How the names of budgets of visual tokens end, but those of ``…_new_tokens``."""


class AnswerText(str):
    """The bare answer as scorers read it, with the outcome it came from for scorers that look further."""

    outcome: Outcome

    def __new__(cls, text: str, outcome: Outcome) -> AnswerText:
        if not isinstance(text, str):
            raise TypeError(f"an answer is text, got {text!r:.80}")
        self = super().__new__(cls, text)
        self.outcome = outcome
        return self

    def __getnewargs__(self) -> tuple[str, Outcome]:  # type: ignore[override]
        """For copies and pickles."""
        return str(self), self.outcome

    def strip(self, chars: str | None = None) -> AnswerText:
        """As of `str`; lmms-eval strips what it hands to scorers, and a plain string would forget its outcome."""
        return AnswerText(super().strip(chars), self.outcome)


@dataclass
class OutcomeTokens(TokenCounts):  # type: ignore[misc]
    """Token counts that carry the whole outcome into lmms-eval's samples file, under ``token_counts``."""

    outcome: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), self.outcome["method"]: self.outcome}


class ErgoModel(lmms):  # type: ignore[misc]
    """Two-turn zoom on the requests of stock tasks.

    Arguments are those of `arguments.read_arguments`; ``batch_size``, ``max_batch_size`` and ``device`` come from
    lmms-eval itself.

    Whatever raises in here ends the process (`ending`): lmms-eval turns an exception into a log line and exit code 0.
    """

    is_simple = False
    engine_name: ClassVar[str]
    shown_name: ClassVar[str]
    preset: ClassVar[str | None] = None

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: dict[str, Any] | None = None) -> Any:
        """As of `lmms`, which takes ``--model_args`` apart."""
        with ending_the_run(f"{cls.shown_name} could not be opened", CHECK_THE_MODEL):
            check_argument_text(arg_string)
            return super().create_from_arg_string(arg_string, additional_config)

    def __init__(
        self, batch_size: int | str = 1, max_batch_size: Any = None, device: str | None = None, **given: Any
    ) -> None:
        end_with_the_host()
        model = given.get("model", given.get("pretrained", ""))
        with ending_the_run(f"{self.shown_name} could not be opened with model={model}", CHECK_THE_MODEL):
            super().__init__()
            if int(os.environ.get("WORLD_SIZE", 1)) > 1:
                raise WrongArgument(
                    "ergo models run in one process and parallelise inside the engine: start `python -m lmms_eval` "
                    "without torchrun or accelerate, and give ergo_vllm tensor_parallel_size= or data_parallel_size="
                )
            if max_batch_size is not None:
                raise WrongArgument("--max_batch_size goes with --batch_size auto, which ergo models do not have")
            self.arguments = read_arguments(self.engine_name, given, preset=self.preset)
            images = options_for_images(self.engine_name, images_of(self.arguments.method))
            self.engine = open_engine(
                self.engine_name, **{**images, **self.host_options(batch_size, device), **self.arguments.engine}
            )
            self._check_budgets()

    def _check_budgets(self) -> None:
        for name, budget in asdict(self.arguments.config).items():
            try:
                if name.endswith(BUDGET) and not name.endswith("_new_tokens"):
                    self.engine.grid.check_budget(budget)
            except ValueError as too_small:
                raise WrongArgument(f"{name}: {too_small}") from too_small

    def host_options(self, batch_size: int | str, device: str | None) -> dict[str, Any]:
        """Which of lmms-eval's own options the engine takes; none, unless a model says otherwise.

        Raises:
            WrongArgument: an option is not of its kind, or would change what the run does and is not taken.
        """
        if device is not None:
            raise WrongArgument(
                f"{self.shown_name} takes no --device (got {device!r}); CUDA_VISIBLE_DEVICES chooses vLLM's GPUs"
            )
        if str(batch_size) != "1":
            logger.warning(
                f"--batch_size {batch_size} has no effect on {self.shown_name}: concurrency= in --model_args "
                "says how many requests are under way"
            )
        return {}

    @ending_the_run("the run ended early")
    def generate_until(self, requests: Sequence[Any], *_: Any) -> list[GenerationResult]:
        """Zoom and answer; one result a request, in order."""
        started = time.perf_counter()
        refuse_wishes(requests, known_arguments(self.engine_name, self.arguments.method))
        refuse_judges_without_keys(requests)
        for task, defaults in task_defaults(requests).items():
            logger.info(
                f"{task} brings generation_kwargs {defaults}, meant for models that answer at once; they and --seed "
                "are not followed: temperature=, seed=, zoom_new_tokens=, answer_new_tokens= in --model_args decide"
            )
        logger.info(SAID[self.arguments.decode])
        samples = samples_of(requests, self.task_dict, decode=self.arguments.decode)
        entries = play_samples(self.engine, [sample for sample in samples if sample is not None], self.arguments)
        self._report(entries, time.perf_counter() - started)
        return [_result(entries[sample.key]) if sample else GenerationResult("") for sample in samples]

    @ending_the_run("the engine could not be closed")
    def clean(self) -> None:
        self.engine.close()
        super().clean()

    @property
    def chat_template(self) -> str:
        """What lmms-eval asks for with ``--apply_chat_template``."""
        raise SystemExit("ergo models put their own two turns into the model's chat template; leave the option out")

    def loglikelihood(self, requests: Sequence[Any]) -> Any:
        raise SystemExit("ergo models generate; tasks that compare log-likelihoods cannot be run with them")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> Any:
        raise SystemExit("ergo models take their own two turns; multi-round tasks cannot be run with them")

    def generate_visual_cot(self, requests: Sequence[Any]) -> Any:
        raise SystemExit("ergo models draw no pictures; visual_cot tasks cannot be run with them")

    def _report(self, entries: dict[str, Entry], elapsed_s: float) -> None:
        """Aggregates into lmms-eval's results, and a list of what failed into its log."""
        outcomes = [entry.outcome for entry in entries.values()]
        figures = summarise(outcomes)
        failures = figures.pop("failures")
        method = self.arguments.method
        figures |= method.figures(outcomes)
        numbers = {f"{method.name}_{name}": value for name, value in figures.items() if value is not None}
        numbers.update({f"{method.name}_failures_{kind}": count for kind, count in failures.items()})
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
    shown_name = "ergo_vllm"


class ErgoHF(ErgoModel):
    """``--model ergo_hf``: `engines.hf.HFEngine`; takes lmms-eval's batch size for its concurrency, and its device."""

    engine_name = "hf"
    shown_name = "ergo_hf"

    def host_options(self, batch_size: int | str, device: str | None) -> dict[str, Any]:
        return {"concurrency": as_kind("--batch_size", batch_size, int, least=1), "device": device}


class ErgoOpenAI(ErgoModel):
    """``--model ergo_openai``: `engines.openai.OpenAIEngine`."""

    engine_name = "openai"
    shown_name = "ergo_openai"


CLASSES = {cls.engine_name: cls for cls in (ErgoVLLM, ErgoHF, ErgoOpenAI)}


def model_class(name: str, engine: str, preset: str | None) -> type[ErgoModel]:
    """The class of a model by its name.

    Args:
        name: what users call it.
        engine: which engine it has.
        preset: the method that it is for; None for a model that is told by ``method=``.
    """
    base = CLASSES[engine]
    if preset is None:
        return base
    return type(name, (base,), {"preset": preset, "shown_name": name, "__doc__": f"``--model {name}``"})


def _result(entry: Entry) -> GenerationResult:
    turns = entry.outcome.turns
    counts = OutcomeTokens(
        input_tokens=sum(turn.prompt_tokens or 0 for turn in turns),
        output_tokens=sum(turn.new_tokens or 0 for turn in turns),
        outcome=entry.outcome.to_json(),
    )
    return GenerationResult(text=AnswerText(entry.returned, entry.outcome), token_counts=counts)
