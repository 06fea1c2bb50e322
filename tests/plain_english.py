"""Finds old jargon in what people read: documents, docstrings, comments, help and messages.

`python -m tests.plain_english [PATH…]` lists every place, with the words to write instead.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
READ_BY_PEOPLE: Final = ("src", "docs", "README.md", "changes.d", "examples")

JARGON: Final = {
    r"mend(s|ed|ing)?": "fix",
    r"whom": "who, in a sentence turned round",
    r"told(?! apart)": "sent, notified, reported, given",
    r"tell(s|ing)?(?! (?:\w+ )?apart)": "say, show, report, notify, send",
    r"so many": "the number, or `at most N`",
    r"so (long|much|few|often)(?! as)": "the amount",
    r"(that|which) (are|is) so": "what it is: `with this status`",
    r"by chance|real chance|chance and|and chance|of chance|no chance": "random, randomness",
    r"sees? to": "manage, handle",
    r"(?<=^)see that": "check that",
    r"(stands|stood) (in|on|there|at|behind|by)": "is in, is stored in",
    r"(?<!there )(is|are|was) no (?!(long|oth|old|new|bett)er|more|such|different|need|use)\w+": (
        "is not a …"
    ),
    r"(?<=^)returns? (what|who|whether it)": "name the thing that is returned",
    r"(is|are|was|were) to be": "will be, should be, must be",
    r"it is only said": "it is a dry run",
    r"(for|by|of|from|to|and|or) who": "name them",
    r"who (asks|has|is asked|waits|reads|makes|sends|gets)": "name them: a client, a receiver",
    r"of one's own": "your own",
    r"as ever": "as before",
    r"(give|gives|given|giving|gave) (out|back)": "issue, return, release",
    r"(take|takes|taken|took|taking) back": "revoke, undo, roll back",
    r"(go|goes|went|going) by": "follow, use",
    r"have (happen|\w+ happen)": "make … happen",
    r"(is|are) good for": "is valid for",
    r"hears? of|heard of": "is notified of",
    r"nobody is here": "standard input is not a terminal",
    r"that there (is|are)": "existing, available",
    r"as many as that takes": "as many as needed",
    r"what becomes of": "what happens to",
    r"what became of": "what happened to",
    r"be it": "whether",
    r"for want of": "because there is no",
    r"it(self)? says of": "says about",
}
"""Patterns of words that a reader stumbles over, each with what to write instead."""

_PATTERNS: Final = [
    (re.compile(rf"(?<![\w'-]){pattern}(?![\w'-])", re.IGNORECASE), instead)
    for pattern, instead in JARGON.items()
]
_QUOTED: Final = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True)
class Jargon:
    """One place that needs other words."""

    path: Path
    line: int
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found!r}: write {self.instead}"


def jargon_in(path: Path) -> Iterator[Jargon]:
    """Find the jargon in one Python or Markdown file."""
    text = path.read_text("utf-8")
    for line, words in _texts(text) if path.suffix == ".py" else [(1, text)]:
        plain = _QUOTED.sub(lambda quoted: " " * len(quoted[0]), words)
        for pattern, instead in _PATTERNS:
            for match in pattern.finditer(_on_one_line(plain)):
                yield Jargon(path, line + words[: match.start()].count("\n"), match[0], instead)


def _on_one_line(text: str) -> str:
    """Return a text of the same length in which a line break is a space, as a reader takes it."""
    return text.replace("\n", " ")


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield each string (docstrings too) and comment of a Python file, with its line."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        # A single word in lower case is a key or a name, not a text.
        if not re.fullmatch(r"[a-z_]+", node.value):
            yield node.lineno, re.sub(r"\s*\n\s*", "\n", node.value)
    comments = list[tuple[int, str]]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.append((token.start[0], token.string))
    yield from comments


def files(*paths: str) -> Iterator[Path]:
    """Yield the Python and Markdown files under these paths of the repository."""
    for path in paths:
        found = ROOT / path
        inside = sorted(found.rglob("*")) if found.is_dir() else [found]
        yield from (file for file in inside if file.suffix in {".py", ".md"})


def main(*paths: str) -> int:
    """Print each place; return 1 if there are any."""
    found = [place for path in files(*(paths or READ_BY_PEOPLE)) for place in jargon_in(path)]
    for place in found:
        print(place)
    print(f"{len(found)} places", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
