"""The inventory finds exactly the callback URLs in these texts, and says what it can't edit.

Each text was written after patterns of public projects. Its first lines say what is right for each
URL: the line after the edit, the reason why it is changed by hand, the service that it belongs to,
or why it isn't listed.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.policy.url_source_override import override_source
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry
from ringback.migration.url_sources.file_url_source import FileUrlSource

FOLDER = Path(__file__).parent
TEXTS = sorted(FOLDER.glob("*.txt"))


@dataclass(frozen=True)
class Notation:
    file: str
    expected: dict[str, tuple[str, str]]
    """For each place: `edit`, `by hand`, `other` or `none`, and its result or reason."""
    text: str


@dataclass(frozen=True)
class Result:
    """What the inventory found, by place; and what is wrong with it."""

    listed: set[str]
    wrong: list[str]


def read(path: Path) -> Notation:
    header, _, text = path.read_text().partition("\n\n")
    file, *lines = header.split("\n")
    expected = dict[str, tuple[str, str]]()
    for line in lines:
        match = re.fullmatch(r"(\d+(?: \(\d\))?) (edit|by hand|other|none): (.*)", line)
        assert match, line
        expected[match[1]] = (match[2], match[3])
    return Notation(file.removeprefix("file: "), expected, text)


def judged(notation: Notation, folder: Path) -> Result:
    path = folder / notation.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notation.text)
    files = FileUrlSource(folder, (notation.file,), "files")
    found = {
        entry.place.name.removeprefix(f"{notation.file}:"): entry
        for entry in asyncio.run(files.entries())
    }
    wrong = [
        f"{place}: not expected: {entry}"
        for place, entry in found.items()
        if notation.expected.get(place, ("none",))[0] == "none"
    ]
    for place, (kind, right) in notation.expected.items():
        entry = found.get(place)
        if kind != "none" and entry is None:
            wrong.append(f"{place}: not found")
        elif kind == "none" and right not in " ".join(files.not_listed):
            wrong.append(f"{place}: not counted as: {right}")
        elif entry is not None and (why := fault(entry, kind, right, files, path)):
            wrong.append(f"{place}: {why}")
    reasons = [right for kind, right in notation.expected.values() if kind == "none"]
    if len(reasons) > files.not_listed.total():
        wrong.append(f"only {files.not_listed.total()} URLs are counted as left out")
    return Result(set(found), [f"{notation.file}:{each}" for each in wrong])


def fault(entry: UrlEntry, kind: str, right: str, files: FileUrlSource, path: Path) -> str | None:
    """Return what is wrong with an entry; None if it is right. The file stays as it was."""
    if kind == "by hand":
        return None if entry.fixed and right in entry.fixed else f"is not by hand: {entry}"
    if kind == "other":
        is_told = entry.service is not None and entry.service.startswith(right)
        return None if is_told else f"is not somebody else's: {entry}"
    if entry.fixed or entry.service:
        return f"can't be edited: {entry}"
    before = path.read_bytes()
    edit = UrlEdit(
        entry.place, entry.url, override_source(entry.url, Source.KORE), quotes=entry.quotes
    )
    if asyncio.run(files.replace([edit])) != [EditOutcome.DONE]:
        return "was not edited"
    changed = set(path.read_text().split("\n")) - set(before.decode().split("\n"))
    after = asyncio.run(files.entries())
    asyncio.run(files.replace([edit.back()]))
    if edit.new not in [each.url for each in after if each.place == edit.place]:
        return f"its new URL isn't read back: {changed}"
    if path.read_bytes() != before:
        return "the old bytes are not restored"
    return None if changed <= {right} else f"became {changed}"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_the_inventory_of_a_notation_is_right(path: Path, tmp_path: Path) -> None:
    assert judged(read(path), tmp_path).wrong == []


def test_precision_and_recall_are_complete(tmp_path: Path) -> None:
    """Of all URLs that the inventory lists, and of all that it should list, how many are right."""
    right = listed = wanted = 0
    wrong = list[str]()
    for path in TEXTS:
        notation = read(path)
        result = judged(notation, tmp_path / path.stem)
        expected = {place for place, (kind, _) in notation.expected.items() if kind != "none"}
        right += len(expected & result.listed) - len(result.wrong)
        listed += len(result.listed)
        wanted += len(expected)
        wrong += result.wrong
    figures = f"{right} of {listed} listed and of {wanted} to list are right"
    assert len(TEXTS) >= 25, figures
    assert all(len(read(path).expected) >= 5 for path in TEXTS), figures
    assert (wrong, right, listed) == ([], wanted, wanted), figures
