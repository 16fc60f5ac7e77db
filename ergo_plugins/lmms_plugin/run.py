"""One run over many samples: what is left to play, what came of it, and where it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from loguru import logger
from tqdm import tqdm

from ..core.geometry import Box
from ..core.outcome import Outcome
from ..core.questions import Question
from ..core.record import Entry
from ..core.turns import Episode
from ..engines import Engine, Job
from ..methods import base
from ..outside.journal import Journal, JournalMismatch
from ..outside.streamed import DamagedImage, Views
from .arguments import ModelArguments
from .previews import Previews
from .samples import Sample, UnusableSample, naming
from .several import refuse_too_many, too_many


def play_samples(engine: Engine, samples: Sequence[Sample], arguments: ModelArguments) -> dict[str, Entry]:
    """Finished entries by key: taken from the journal where it has them, played where it has not.

    Raises:
        EngineFault: the engine failed for good; what was finished is in the journal.
        JournalMismatch, JournalUnusable: the journal is another run's, or cannot be read or written.
        PreviewFault: a picture beside the journal cannot be written.
        UnusableTask: the task shows other than images, or more of them a sample than the method takes.
        SampleFault: anything else that happened on a sample, which is named.
    """
    refuse_too_many(samples, arguments.method)
    journal = None
    if arguments.journal is not None:
        settings = {**engine.identity, "method": arguments.method.name, **asdict(arguments.config)}
        if arguments.decode != "exact":  # older journals, which say nothing of it, were decoded so
            settings["decode"] = arguments.decode
        journal = Journal(arguments.journal, settings, sorted({sample.task for sample in samples}))
        if not journal.is_locked:
            logger.warning(f"{journal.path} cannot be locked here; see to it that no other run writes it")
    try:
        return _played(engine, samples, arguments, journal)
    finally:
        if journal:
            journal.close()


def _played(
    engine: Engine, samples: Sequence[Sample], arguments: ModelArguments, journal: Journal | None
) -> dict[str, Entry]:
    run = _Run(engine, samples, arguments, journal)
    try:
        engine.play_all(run.jobs(), run.finished)
    finally:
        run.progress.close()
    return {sample.key: run.entries[sample.key] for sample in samples}


class _Run:
    """The samples of one run. Jobs are opened in worker threads; everything else happens on the engine's thread."""

    def __init__(
        self, engine: Engine, samples: Sequence[Sample], arguments: ModelArguments, journal: Journal | None
    ) -> None:
        self._engine, self._arguments, self._journal = engine, arguments, journal
        self._samples = {sample.key: sample for sample in samples}
        self._opened: dict[str, tuple[Question, Box | None]] = {}
        self._views = Views(arguments.decode)
        self.entries = dict(journal.entries) if journal else {}
        kept = sum(1 for entry in self.entries.values() if entry.previews)
        self._previews = Previews.beside(arguments.journal, arguments.previews - kept)
        for sample in samples:
            known = self.entries.get(sample.key)
            if known and known.question != sample.text:
                raise JournalMismatch(
                    f"the journal's {sample.key} asked {known.question!r}, this run asks {sample.text!r}: "
                    "the data has changed; give another journal="
                )
        done = sum(key in self.entries for key in self._samples)
        self.progress = tqdm(total=len(self._samples), desc=arguments.method.name, initial=done, unit="sample")

    def jobs(self) -> Iterator[Job]:
        """The samples that have no entry yet."""
        for sample in self._samples.values():
            if sample.key not in self.entries:
                yield Job(sample.key, lambda sample=sample: self._open(sample))  # type: ignore[misc]

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Keep what came of a job."""
        with naming(job.key):
            entry = self._entry(self._samples[job.key], outcome)
            self.entries[job.key] = entry
            if self._journal:
                self._journal.append(entry)
        for problem in outcome.problems:
            logger.warning(f"{job.key}: {problem}")
        self.progress.update()

    def _entry(self, sample: Sample, outcome: Outcome) -> Entry:
        unread = Question(sample.text, sample.text, sample.context_options()), None
        asked, target = self._opened.pop(sample.key, unread)
        return Entry(
            task=sample.task,
            split=sample.split,
            doc_id=sample.doc_id,
            repeat=sample.repeat,
            question=sample.text,
            returned=self._arguments.method.returned(outcome, asked),
            outcome=outcome,
            previews=self._previews.of(sample.key),
            target_box_source=target,
        )

    def _open(self, sample: Sample) -> Episode:
        with naming(sample.key):
            try:
                opened = sample.open()
            except UnusableSample as unusable:
                return _unusable(self._arguments.method.name, unusable)
            method, config = self._arguments.method, self._arguments.config
            if len(opened.images) > method.sources:  # where no column told it beforehand
                raise too_many(sample.key, len(opened.images), method)
            self._opened[sample.key] = opened.question, opened.target_box_source
            image, *others = opened.images
            asked = base.Sample(image, opened.question, others=tuple(others))
            episode = method.episode(asked, config, self._engine.grid, render=self._views)
            return self._named(sample.key, self._previews.watched(sample.key, episode))

    def _named(self, key: str, episode: Episode) -> Episode:
        """The same episode, its sample named in whatever it raises; one whose image is damaged ends there."""
        with naming(key):
            try:
                return (yield from episode)
            except DamagedImage as damage:
                self._opened.pop(key)
                return _counted_as_wrong(self._arguments.method.name, UnusableSample("image", str(damage)))


def _unusable(method: str, unusable: UnusableSample) -> Episode:
    """An episode that ends before its first turn."""
    return _counted_as_wrong(method, unusable)
    yield  # a generator, like every episode


def _counted_as_wrong(method: str, unusable: UnusableSample) -> Outcome:
    return Outcome(method=method, problems=(f"{unusable.kind}: {unusable}",))
