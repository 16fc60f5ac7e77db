"""The rules by which the package stays easy to see, read off its source and off a fresh interpreter."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ergo_plugins

PACKAGE = Path(ergo_plugins.__file__).parent
NAME = PACKAGE.name

MAY_IMPORT: dict[str, set[str]] = {
    # part of the package: the other parts it may import. Arrows point down; adapters do not know each other.
    "core": set(),
    "usage": set(),
    "cpu": set(),
    "methods": {"core"},
    "outside": {"core", "usage"},
    "engines": {"core", "methods", "outside"},
    "report": {"core", "methods", "outside", "usage"},
    "data": {"core", "methods", "outside", "usage"},
    "lmms_plugin": {"core", "methods", "outside", "engines", "usage"},
    "verl_plugin": {"core", "methods", "outside", "cpu"},
    "python_api": {"core", "methods", "outside", "engines"},
    "demo": {"core", "methods", "outside", "engines", "python_api", "usage"},
    "tasks": {"core", "usage"},
    "testing": {"core", "methods", "engines"},
    "panels": {"core", "methods", "outside", "report", "cpu"},
    "plan": {"core", "methods", "outside", "engines", "usage", "verl_plugin"},
    "commands": {"core", "methods", "outside", "engines", "report", "data", "demo", "plan", "usage"},
    "cli": {"commands", "usage"},
}
"""``cli`` imports its subcommands only when it runs."""

HOSTS = {
    "torch",
    "torchvision",
    "transformers",
    "vllm",
    "verl",
    "lmms_eval",
    "ray",
    "tensordict",
    "datasets",
    "accelerate",
    "gradio",
}

READY_WITHOUT_HOSTS = ["cli", "outside.judge", "lmms_plugin.manifest", "verl_plugin.register"]
"""Beside all of `core` and `methods`."""

WORLD_OF_ERGO = "panels"
"""Its policy was taught the words of one paper, and its recipe measures that paper's reward."""

NOT_PURE = {
    # what waits, measures time, reads the environment or does input and output
    *("asyncio", "concurrent", "http", "io", "logging", "os", "pathlib", "random", "select", "selectors", "shutil"),
    *("signal", "socket", "subprocess", "sys", "tempfile", "threading", "time", "urllib"),
}
NOT_PURE_CALLS = {"open", "print", "input", "exec", "eval", "compile", "__import__"}
NOT_PURE_METHODS = {"open", "save", "read_text", "write_text", "read_bytes", "write_bytes"}

SOURCES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in SOURCES}


def module_of(path: Path) -> str:
    """``ergo_plugins.core.turns`` of a source file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str | None:
    """``core`` of ``ergo_plugins.core.turns``; None of the package itself and of other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == NAME and len(parts) > 1 else None


def imports(path: Path, tree: ast.AST | None = None) -> Iterator[tuple[str, int]]:
    """``(module, line)`` of every import, at the top or inside a function, also of those by a literal name."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in ast.walk(tree or TREES[path]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:  # a name may be a submodule; part_of() reads both the same way
                yield f"{source}.{alias.name}", node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            literal = node.args[0]
            if (
                isinstance(literal, ast.Constant)
                and isinstance(literal.value, str)
                and not literal.value.startswith(".")
            ):
                yield literal.value, node.lineno


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(PACKAGE.parent)}:{line}"


def sources_of(part: str) -> list[Path]:
    return [path for path in SOURCES if part_of(module_of(path)) == part]


def test_every_part_of_the_package_has_its_place() -> None:
    parts = {part_of(module_of(path)) for path in SOURCES} - {None}
    assert parts <= set(MAY_IMPORT), "say in MAY_IMPORT what the new part may import"


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_arrows_point_down(part: str) -> None:
    upwards = [
        f"{where(path, line)} imports {module}"
        for path in sources_of(part)
        for module, line in imports(path)
        if part_of(module) not in {None, "__version__", part, *MAY_IMPORT[part]}
    ]
    assert not upwards, "\n".join(upwards)


def test_no_module_needs_itself() -> None:
    """No circles, nor any that an import inside a function would hide."""
    modules = {module_of(path) for path in SOURCES}
    needs: dict[str, set[str]] = {}
    for path in SOURCES:
        named = {module for module, _ in imports(path)}
        needs[module_of(path)] = {
            next(name for name in (module, module.rpartition(".")[0]) if name in modules)
            for module in named
            if module in modules or module.rpartition(".")[0] in modules
        } - {module_of(path), NAME}
    try:
        list(TopologicalSorter(needs).static_order())
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_nobody_outside_methods_knows_a_paper() -> None:
    known = {f"{NAME}.methods.{name}" for name in ("base", "prompts")}
    papers = {f"{NAME}.methods.{path.stem}" for path in (PACKAGE / "methods").glob("*.py")} - known
    assert {f"{NAME}.methods.ergo", f"{NAME}.methods.single_pass"} <= papers
    inside = {f"{NAME}.methods.__init__", f"{NAME}.methods"}
    found = [
        f"{where(path, line)} imports {module}"
        for path in SOURCES
        if part_of(module_of(path)) not in ("methods", WORLD_OF_ERGO)
        for module, line in imports(path)
        if any(module == paper or module.startswith(paper + ".") for paper in papers - inside)
    ]
    assert not found, "\n".join(found)


def test_nobody_outside_methods_says_a_papers_words() -> None:
    """Names of its turns, its tag and its metrics stand in ``methods`` alone."""
    may = ("methods", WORLD_OF_ERGO, "testing")  # the last plays replies of any kind to every method
    found = []
    for path, tree in TREES.items():
        if part_of(module_of(path)) in may or path == PACKAGE / "core" / "first_version.py":
            continue
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                words = node.value
                if words in ("look", "zoom") or any(part in words for part in ("ergo/", "<zoom>", "look:")):
                    found.append(f"{where(path, node.lineno)} says {words!r:.60}")
    assert not found, "\n".join(found)


def test_only_cli_knows_its_subcommands_and_only_when_it_runs() -> None:
    at_import = [
        module
        for statement in TREES[PACKAGE / "cli.py"].body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for module, _ in imports(PACKAGE / "cli.py", statement)
    ]
    assert [module for module in at_import if part_of(module) in MAY_IMPORT["cli"] - {"usage"}] == []


@pytest.mark.parametrize(("part", "others"), [("core", {"PIL"}), ("methods", {"PIL", "yaml"})])
def test_the_lower_parts_need_next_to_nothing(part: str, others: set[str]) -> None:
    allowed = {NAME, *sys.stdlib_module_names, *others}
    foreign = [
        f"{where(path, line)} imports {module}"
        for path in sources_of(part)
        for module, line in imports(path)
        if module.split(".")[0] not in allowed
    ]
    assert not foreign, "\n".join(foreign)


def test_the_core_neither_waits_nor_reads_nor_writes() -> None:
    impure = []
    for path in sources_of("core"):
        impure += [
            f"{where(path, line)} imports {module}"
            for module, line in imports(path)
            if module.split(".")[0] in NOT_PURE
        ]
        for node in ast.walk(TREES[path]):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if name in NOT_PURE_CALLS or method in NOT_PURE_METHODS:
                impure.append(f"{where(path, node.lineno)} calls {ast.unparse(node.func)}()")
    assert not impure, "\n".join(impure)


def test_no_failure_is_swallowed() -> None:
    """A handler of everything names what it caught and does something with it, or raises again."""
    swallowing = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = ast.unparse(node.type) if node.type else "everything"
            inside = [child for statement in node.body for child in ast.walk(statement)]
            raises = any(isinstance(child, ast.Raise) for child in inside)
            uses = any(isinstance(child, ast.Name) and child.id == node.name for child in inside)
            is_broad = node.type is None or bool({"Exception", "BaseException"} & set(caught.strip("()").split(", ")))
            if node.type is None or (is_broad and not raises and not uses):
                swallowing.append(f"{where(path, node.lineno)} catches {caught} and says nothing of it")
    assert not swallowing, "\n".join(swallowing)


def modules_ready_without_hosts() -> list[str]:
    pure = [module_of(path) for part in ("core", "methods") for path in sources_of(part)]
    return [NAME, *pure, *(f"{NAME}.{module}" for module in READY_WITHOUT_HOSTS)]


def test_importing_defines_names_and_loads_no_host() -> None:
    """In a fresh interpreter, one module after the other: what each has dragged in."""
    program = (
        "import importlib, json, sys\n"
        "loaded = {}\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    importlib.import_module(name)\n"
        "    loaded[name] = sorted({module.split('.')[0] for module in sys.modules} & set(json.loads(sys.argv[2])))\n"
        "print(json.dumps(loaded))\n"
    )
    arguments = [json.dumps(modules_ready_without_hosts()), json.dumps(sorted(HOSTS))]
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    loaded: dict[str, list[str]] = json.loads(run.stdout)
    assert list(loaded) == modules_ready_without_hosts()
    assert {name: hosts for name, hosts in loaded.items() if hosts} == {}


def test_the_hosts_are_here_so_that_not_loading_them_means_something() -> None:
    from importlib.util import find_spec

    assert [host for host in ("torch", "transformers", "verl", "lmms_eval", "ray") if find_spec(host) is None] == []
