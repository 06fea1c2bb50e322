"""Checks the structure of the source: class names, layers, documented packages, one way to print.

`python -m tests.house` lists the problems, and `make check` runs it.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeGuard

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "src" / "ringback"
PAGE: Final = ROOT / "docs" / "architecture.md"
LOOP: Final = "delivery/delivery_loop.py"

_PRINTING: Final = ("cli/output.py", "cli/log_output.py")
_PRINTS: Final = {
    "click": {
        *("echo", "secho", "style", "confirm", "prompt", "progressbar", "echo_via_pager"),
        *("get_text_stream", "get_binary_stream"),
    },
    "sys": {"stdout", "stderr", "__stdout__", "__stderr__"},
    "logging": {"StreamHandler"},
    "traceback": {"print_exc", "print_exception", "print_stack"},
}
"""What prints to the terminal, by module. To ask whether there is a terminal is no printing."""
_SMALL: Final = 30
_MOST_SMALL: Final = 15
_MOST_OF_THE_LOOP: Final = 149


def shared_class_names(source: Path) -> Iterator[str]:
    """Report public classes with the same name, which a reader could not tell apart."""
    places = defaultdict[str, list[str]](list)
    for path in sorted(source.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(source)))
    for name, found in sorted(places.items()):
        if len(found) > 1:
            yield f"the class {name} exists {len(found)} times: {', '.join(found)}"


def names_of_tests(source: Path) -> Iterator[str]:
    """Report modules that pytest would take for tests."""
    for path in sorted(source.rglob("*.py")):
        if re.fullmatch(r"test_.*|.*_test", path.stem):
            yield f"pytest takes {path.relative_to(source)} for a test: rename it"


def packages_without_a_purpose(source: Path) -> Iterator[str]:
    """Report packages whose `__init__` doesn't say what they are for and where to start reading."""
    for path in sorted(source.rglob("__init__.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        if not ("\nMay import" in text and "\nStart with " in text):
            yield (
                f"{path.relative_to(source)} has to say in three lines what the package is for,"
                " what it may import, and where to start reading"
            )


def small_modules(source: Path) -> Iterator[str]:
    """Report a source with too many modules that are too small to be worth a file."""
    small = [
        str(path.relative_to(source))
        for path in sorted(source.rglob("*.py"))
        if path.stem != "__init__" and len(path.read_text().splitlines()) < _SMALL
    ]
    if len(small) > _MOST_SMALL:
        yield (
            f"{len(small)} modules have under {_SMALL} lines, where {_MOST_SMALL} may; merge some"
            f" into their only users: {', '.join(small)}"
        )


def size_of_the_loop(source: Path) -> Iterator[str]:
    """Report a delivery loop that doesn't fit on one screen any more."""
    lines = len((source / LOOP).read_text().splitlines())
    if lines > _MOST_OF_THE_LOOP:
        yield f"{LOOP} has {lines} lines, where {_MOST_OF_THE_LOOP} may be"


def missing_modules(source: Path, page: Path = PAGE) -> Iterator[str]:
    """Report names that do not exist, but that the architecture page or a package mentions.

    A path in backticks has to exist; a word in backticks has to be a module or occur in the code.
    """
    modules = {path.stem for path in source.rglob("*")}
    code = "\n".join(path.read_text() for path in source.rglob("*.py") if path.stem != "__init__")
    words = modules | set(re.findall(r"\w+", code))
    for path in (page, *sorted(source.rglob("__init__.py"))):
        for name in re.findall(r"`([a-z_/]+)(?:\.py)?`", path.read_text()):
            roots = (source, ROOT, path.parent)
            there = (root / f"{name}{end}" for root in roots for end in ("", ".py"))
            if not (any(map(Path.exists, there)) if "/" in name else name in words):
                yield f"{path.name if path == page else path.relative_to(source)}: no `{name}`"


def printed_elsewhere(source: Path) -> Iterator[str]:
    """Report what prints directly: only `cli/output` escapes texts of others, and the log does."""
    for path in sorted(source.rglob("*.py")):
        if str(path.relative_to(source)) in _PRINTING:
            continue
        tree = ast.parse(path.read_text())
        asks = {id(node.value) for node in ast.walk(tree) if _is_about_a_terminal(node)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.expr | ast.stmt) or id(node) in asks:
                continue
            if name := _printing_name(node):
                yield (
                    f"{path.relative_to(source)}:{node.lineno} prints by {name}: use `echo`, `say`"
                    " or another function of cli/output.py, which escape what steers a terminal"
                )


def _is_about_a_terminal(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr == "isatty"


def _printing_name(node: ast.AST) -> str | None:
    """Return the name by which this expression or import prints; None if it doesn't."""
    match node:
        case ast.Name("print"):
            return "print"
        case ast.Attribute(ast.Name(module), name) if name in _PRINTS.get(module, ()):
            return f"{module}.{name}"
        case ast.ImportFrom(module=str(module)):
            names = [each.name for each in node.names if each.name in _PRINTS.get(module, ())]
            return f"{module}.{names[0]}" if names else None
        case _:
            return None


def broken_layers() -> Iterator[str]:
    """Report imports that break the contracts in pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        yield found.stdout + found.stderr


def main() -> int:
    """Print the problems; return 1 if there are any."""
    checks = (
        shared_class_names,
        names_of_tests,
        packages_without_a_purpose,
        small_modules,
        size_of_the_loop,
        missing_modules,
        printed_elsewhere,
    )
    wrong = [line for check in checks for line in check(SOURCE)]
    wrong += broken_layers()
    print("\n".join(wrong) or "class names, layers and packages are in order")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
