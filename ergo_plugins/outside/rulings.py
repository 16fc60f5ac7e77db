"""Rulings of many answers: rules first, then a judge, each kept as it comes, so that none is asked for twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ..core.rulings import RULINGS_FORMAT, Case, Ruling
from .journal import JournalMismatch, Lines
from .judge import Effort, Judge, JudgeError


class RulingLog(Lines[Ruling]):
    """The rulings of a run."""

    kind, form, option = "verdict log", RULINGS_FORMAT, "--verdicts "

    def read(self, plain: dict[str, Any]) -> Ruling:
        """See the class above."""
        return Ruling.from_json(plain)


async def rule_all(cases: Sequence[Case], judge: Judge, log: RulingLog, effort: Effort) -> None:
    """Have every case ruled; the rulings stand in the log.

    Args:
        judge: asked where rules cannot tell, once for each question, wanted answer and answer.
        effort: what the judge costs is added to it.

    Raises:
        JudgeError: the judge gave no verdict on a case, which is named; the rulings before it are in the log.
        JournalMismatch: the log holds a ruling of another answer under a case's name.
    """
    known = {ruling.digest: ruling for ruling in log.entries.values()}
    open_cases = list[Case]()
    for case in cases:
        earlier = log.entries.get(case.key)
        if earlier and earlier.digest != case.digest:
            raise JournalMismatch(
                f"{log.path} holds a verdict on another question or answer of {case.key}: the run has changed; give "
                "another --verdicts"
            )
        by_rule = case.by_rule
        if earlier:
            continue
        if by_rule is not None:
            log.append(Ruling(case.key, case.digest, by_rule, "rule"))
        elif case.digest in known:
            log.append(Ruling(case.key, case.digest, known[case.digest].right, "judge"))
        else:
            open_cases.append(case)

    async def ask(case: Case) -> None:
        try:
            right = await judge.is_same(case.question, " or ".join(case.wanted), case.given, effort)
        except JudgeError as error:
            raise JudgeError(f"{case.key}: {error}") from error
        log.append(Ruling(case.key, case.digest, right, "judge"))

    asked = [asyncio.create_task(ask(case)) for case in open_cases]
    try:
        await asyncio.gather(*asked)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
