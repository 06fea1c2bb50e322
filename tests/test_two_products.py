"""Two products, two folders: code common to both must be shared, not copied.

The test compares the shape of the code: names, texts and numbers don't matter, so it finds renamed
copies too. It does not compare comments, docstrings, imports, and lines with too few tokens: they
only declare, close or pass on something.
"""

import ast
import io
import keyword
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

SOURCE: Final = Path(__file__).parents[1] / "src" / "ringback"
SUPER_SIM, WIRELESS = "supersim", "wireless"
SIX: Final = 6
FEW: Final = 5
"""The minimum number of tokens in a compared line."""
_SILENT: Final = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


class Line(NamedTuple):
    """The shape of a line of code."""

    number: int
    shape: str


def lines_of(source: str) -> list[Line]:
    """Return the lines that are compared."""
    passed_over = set(lines_passed_over(ast.parse(source)))
    shapes = defaultdict[int, list[str]](list)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT and token.start[0] not in passed_over:
            shapes[token.start[0]].append(shape_of(token))
    return [Line(number, " ".join(shape)) for number, shape in shapes.items() if len(shape) >= FEW]


def shape_of(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
        return "name"
    return {tokenize.STRING: "text", tokenize.NUMBER: "number"}.get(token.type, token.string)


def lines_passed_over(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and (is_import or is_text):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def blocks_of(source: str) -> dict[str, int]:
    """Return each run of six lines as one text, with its first line's number."""
    lines = lines_of(source)
    runs = (lines[at : at + SIX] for at in range(len(lines) - SIX + 1))
    return {"\n".join(line.shape for line in run): run[0].number for run in runs}


def files_of(product: str) -> list[Path]:
    """Return all files of a product: those in its folders, and those named after it."""
    return [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if any(part.startswith(product) for part in path.relative_to(SOURCE).parts)
    ]


def test_no_block_of_six_lines_is_in_both_products() -> None:
    known = defaultdict[str, list[str]](list)
    for path in files_of(SUPER_SIM):
        for block, number in blocks_of(path.read_text("utf-8")).items():
            known[block].append(f"{path.relative_to(SOURCE)}:{number}")
    twice = [
        (f"{path.relative_to(SOURCE)}:{number}", known[block])
        for path in files_of(WIRELESS)
        for block, number in blocks_of(path.read_text("utf-8")).items()
        if block in known
    ]
    assert twice == []


def test_both_products_have_folders_of_their_own_and_files_to_compare() -> None:
    for product in (SUPER_SIM, WIRELESS):
        for layer in ("core", "operations", "api"):
            assert (SOURCE / layer / product).is_dir()
        assert len(files_of(product)) > 20


@pytest.mark.parametrize("product", [SUPER_SIM, WIRELESS])
def test_neither_product_knows_the_other(product: str) -> None:
    other = {SUPER_SIM: WIRELESS, WIRELESS: SUPER_SIM}[product]
    knowing = [
        str(path.relative_to(SOURCE))
        for path in files_of(product)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        and any(part.startswith(other) for part in (node.module or "").split("."))
    ]
    assert knowing == []


def a_copy(name: str) -> str:
    return f"""
def take_{name}(tx, sid, now):
    {name} = tx.{name}s.get(sid)
    if {name} is None or {name}.is_over(now):
        return None
    {name} = replace({name}, status={name.upper()}, date_updated=now)
    tx.{name}s.save({name})
    tell(tx, "{name}", {name}.url)
    return {name}
"""


def test_a_renamed_copy_is_found_and_other_code_is_not() -> None:
    copied, renamed = blocks_of(a_copy("fleet")), blocks_of(a_copy("plan"))
    assert copied.keys() & renamed.keys()
    other = a_copy("plan").replace(" or plan.is_over(now)", "").replace("tell(tx, ", "tell(")
    assert not copied.keys() & blocks_of(other).keys()
