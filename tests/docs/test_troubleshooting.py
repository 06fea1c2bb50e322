"""docs/troubleshooting.md: each message that it shows is one that the code has."""

import ast
import errno
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
MESSAGES = re.findall(r"^```text\n(?!zsh: )(.*?)\n```$", PAGE, re.MULTILINE)
OF_THE_SYSTEM = [os.strerror(number) for number in (errno.EADDRINUSE, errno.ECONNREFUSED)]
"""Parts of messages that the operating system has the words for."""
SHORTEST = 5
"""Letters that a part of a message needs to be looked for."""


@cache
def texts_of_the_code() -> str:
    """Return all texts of the source, with an ellipsis for each value that is put into them."""
    found = list[str]()
    for path in (ROOT / "src/ringback").rglob("*.py"):
        found += texts_of(ast.parse(path.read_text("utf-8")))
    return "\n".join(found)


def texts_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)):
                yield text
            case ast.JoinedStr(values=parts):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "\N{HORIZONTAL ELLIPSIS}"
                    for part in parts
                )
            case _:
                pass


def test_there_are_more_than_twenty_symptoms_each_with_a_cause_and_what_to_do() -> None:
    symptoms = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    assert len(symptoms) > 20
    for symptom in symptoms:
        assert "**Cause.** " in symptom, symptom[:60]
        assert "**Do.** " in symptom, symptom[:60]


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_is_in_the_code(message: str) -> None:
    """If this fails, somebody has reworded the message: show the new one on the page."""
    parts = re.split("|".join(["\N{HORIZONTAL ELLIPSIS}", *OF_THE_SYSTEM]), message)
    looked_for = [part.strip() for part in parts if len(part) >= SHORTEST]
    assert looked_for, "too little of it is the same each time"
    for part in looked_for:
        assert part in texts_of_the_code(), part
