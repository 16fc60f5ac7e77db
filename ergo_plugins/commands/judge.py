"""``ergo judge``: a model's verdict on the open answers of a run, beside the benchmark's own metric."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..core.judge_pairs import audited
from ..core.rulings import Case
from ..outside.judge import Effort, Judge, JudgeConfig, JudgeError
from ..outside.rulings import RulingLog, rule_all
from ..report.judged import aligned, figures, table
from ..report.read.cases import cases_of_run, is_samples, read_samples
from ..usage import CommandError, Told
from .report import open_run, telling_what_is_unreadable, writing

ADVICE = (
    "Look whether the judge is up; --attempts and --timeout-s say how long to wait for it, and --max-new-tokens how "
    "much it may write. Verdicts so far are kept: the same command goes on behind them"
)


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The subcommand's options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "judge",
        help="a model's verdict on open answers, beside the stock metric",
        description="Rules first: the judge is asked only where they cannot tell. Verdicts are kept as they come, and "
        "the same command goes on behind them. Without a verdict after --attempts it ends with exit code 1.",
    )
    parser.add_argument(
        "run_file", metavar="RUN", type=Path, nargs="?", help="a journal, rollouts, or lmms-eval's samples"
    )
    parser.add_argument(
        "--samples", metavar="FILE_OR_FOLDER", type=Path, help="of a journal: where the wanted answers are"
    )
    parser.add_argument("--step", metavar="N", type=int, help="of a folder of rollouts, this step and not the newest")
    parser.add_argument("--audit", action="store_true", help="ask about pairs of answers that people agree on instead")
    parser.add_argument(
        "--url", nargs="+", required=True, help="OpenAI-compatible servers, as http://127.0.0.1:8001/v1"
    )
    parser.add_argument("--model", required=True, help="the name they know the judge by")
    parser.add_argument(
        "--api-key-env", metavar="NAME", default="", help="variable that holds the key; none by default"
    )
    parser.add_argument(
        "--prompt", metavar="FILE", type=Path, help="own words, with {question}, {target} and {answer} in them"
    )
    for name, kind in (("attempts", int), ("timeout-s", float), ("concurrency", int), ("max-new-tokens", int)):
        default = JudgeConfig.__dataclass_fields__[name.replace("-", "_")].default
        parser.add_argument(f"--{name}", metavar="N", type=kind, default=default, help="%(default)s")
    parser.add_argument("--verdicts", metavar="FILE", type=Path, help="where they are kept; by default beside the run")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the figures as JSON, too")
    return parser


def run(args: argparse.Namespace) -> int:
    """Judge a run, or the judge.

    Raises:
        CommandError: something given cannot be used.
    """
    if args.audit == (args.run_file is not None):
        raise CommandError("name a journal, rollouts or samples to judge, or give --audit alone")
    config = _config(args)
    try:
        return (_audit if args.audit else _judge)(args, config)
    except JudgeError as error:
        print(f"ergo judge: {error}", file=sys.stderr)
        return 1


def _judge(args: argparse.Namespace, config: JudgeConfig) -> int:
    cases = _cases(args)
    path = args.verdicts or args.run_file.with_name(f"{args.run_file.name.removesuffix('.jsonl')}.verdicts.jsonl")
    settings = {"model": args.model, "prompt": hashlib.sha256(config.same_prompt.encode()).hexdigest()[:16]}
    try:
        log = RulingLog(path, settings, [])
        try:
            effort = _with_judge(config, lambda judge, effort: rule_all(cases, judge, log, effort))
        finally:
            log.close()
    except Told as wrong:
        raise CommandError(str(wrong)) from wrong
    found = figures(cases, log.entries)
    print(table(found))
    print(f"{effort.calls:,} requests, {effort.errors:,} of them without a verdict; verdicts stand in {path}")
    _write(args, {"model": args.model, "requests": effort.calls, "tasks": found})
    return 0


def _audit(args: argparse.Namespace, config: JudgeConfig) -> int:
    pairs, said = audited(), dict[str, bool]()

    async def ask(judge: Judge, effort: Effort) -> None:
        async def one(case: Case) -> None:
            said[case.key] = await judge.is_same(case.question, case.wanted[0], case.given, effort)

        await asyncio.gather(*(one(case) for case, _ in pairs))

    effort = _with_judge(config, ask)
    kinds: dict[str, dict[str, Any]] = {}
    for case, same in pairs:
        of = kinds.setdefault(case.task, {"pairs": 0, "right": 0, "wrongly_same": [], "wrongly_different": []})
        of["pairs"] += 1
        of["right"] += said[case.key] == same
        if said[case.key] != same:
            of["wrongly_same" if said[case.key] else "wrongly_different"].append(case.key)
    names = ("pairs", "right", "wrongly_same", "wrongly_different")
    lines = [["", *(name.replace("_", " ") for name in names)]]
    lines += [
        [kind, *(str(of[n] if isinstance(of[n], int) else len(of[n])) for n in names)] for kind, of in kinds.items()
    ]
    print(aligned(lines))
    for verdict in ("wrongly_same", "wrongly_different"):
        for key in (key for of in kinds.values() for key in of[verdict]):
            print(f"{verdict.replace('_', ' ')}: {key}")
    right = sum(of["right"] for of in kinds.values())
    print(f"{right} of {len(pairs)} as people say")
    _write(args, {"model": args.model, "requests": effort.calls, "right": right, "pairs": len(pairs), "kinds": kinds})
    return 0


def _cases(args: argparse.Namespace) -> list[Case]:
    with telling_what_is_unreadable():
        if is_samples(args.run_file):
            if args.samples or args.step is not None:
                raise CommandError(
                    "--samples and --step belong to a journal and to rollouts; this is a file of samples"
                )
            cases = read_samples(args.run_file)
        else:
            cases = cases_of_run(open_run(args.run_file, args.samples, args.step))
    if not cases:
        raise CommandError(f"{args.run_file} holds no answer")
    return cases


def _config(args: argparse.Namespace) -> JudgeConfig:
    try:
        return JudgeConfig(
            source="endpoints",
            urls=tuple(args.url),
            model=args.model,
            api_key_env=args.api_key_env,
            same_prompt=args.prompt.read_text(encoding="utf-8") if args.prompt else "",
            max_new_tokens=args.max_new_tokens,
            concurrency=args.concurrency,
            timeout_s=args.timeout_s,
            attempts=args.attempts,
        )
    except OSError as error:
        raise CommandError(f"cannot read {args.prompt}: {error.strerror}") from error
    except ValueError as wrong:
        raise CommandError(str(wrong)) from wrong


def _with_judge(config: JudgeConfig, use: Callable[[Judge, Effort], Awaitable[None]]) -> Effort:
    """What it cost to have a judge do something.

    Raises:
        CommandError: there is no client here.
    """
    if find_spec("aiohttp") is None:
        raise CommandError("asking a judge needs aiohttp. Run: pip install 'ergo-plugins[eval]'")

    async def main() -> Effort:
        judge, effort = Judge(config, config.urls, config.model, ADVICE), Effort()
        try:
            await use(judge, effort)
        finally:
            await judge.close()
        return effort

    return asyncio.run(main())


def _write(args: argparse.Namespace, plain: dict[str, Any]) -> None:
    if args.output:
        with writing(args.output) as file:
            file.write(json.dumps(plain, indent=2) + "\n")
        print(f"wrote {args.output}")
