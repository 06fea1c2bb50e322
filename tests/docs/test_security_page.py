"""Each claim of docs/security.md names a test that there is."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py(?:::\w+)+)`", PAGE)))
CLAIMS = [line for line in PAGE.splitlines() if re.match(r"\| (?!they |---)", line)]


@pytest.mark.parametrize("name", NAMED)
def test_the_test_is_there(name: str) -> None:
    file, *names = name.split("::")
    found = ast.parse((TESTS / file).read_text("utf-8")).body
    for part in names:
        (one,) = [
            node
            for node in found
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name == part
        ]
        found = one.body


@pytest.mark.parametrize("claim", CLAIMS)
def test_each_claim_names_a_test(claim: str) -> None:
    assert "::test_" in claim


def test_there_are_claims_about_all_six() -> None:
    about = [part for part in PAGE.split("\n## ")[1:] if "| they can't |" in part]
    assert len(about) == 6
    assert len(CLAIMS) > 20
