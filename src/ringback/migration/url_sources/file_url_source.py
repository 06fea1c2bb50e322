"""Reads and changes callback URLs in files: source code, configuration and CSV tables.

Only the URLs change: all other bytes stay the same, even if they aren't valid UTF-8.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from ringback.core.errors import ConfigurationError
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlSourceSpec
from ringback.migration.url_sources.csv_table import matches_in_table
from ringback.migration.url_sources.text_formats.find_urls import FoundUrls, find_urls
from ringback.migration.url_sources.url_matches import placed
from ringback.runtime.disk_sync import UNFINISHED, replace_file
from ringback.runtime.os_error_messages import refusing

_SKIPPED_FOLDERS: Final = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", ".tox", ".nox", ".terraform", ".idea"),
        *("node_modules", "bower_components", "vendor", "site-packages", "__pycache__"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", "dist", "build", "target"),
    }
)
_READERS: Final = ("[Mm]akefile*", "GNUmakefile", "*.mk", "*.sh", "package.json", "README*")
"""Files beside a file of variables that may say which program reads it."""
_OUR_OWN: Final = ('{"ringback_plan"', '{"ringback_journal"')
_ENCODING: Final = ("utf-8", "surrogateescape")
"""Keeps bytes that are not UTF-8 as they are."""
_LARGEST: Final = 1_000_000
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_CREDENTIALS: Final = re.compile(
    r"""(?:(?<=//)|(?<=/\\/))[^\s/?#"'`]*@|(?<=%2F%2F)[^\s/?#&"'`]*?%40""", re.IGNORECASE
)
_FILE_AND_LINE: Final = re.compile(r"(?P<file>.*?):[0-9]+(?: .*)?", re.DOTALL)


@dataclass(slots=True)
class FileUrlSource:
    """The callback URLs in files and folders; implements `UrlSource`."""

    root: Path
    """The folder to which `paths` and the names of places are relative."""
    paths: tuple[str, ...]
    """Files, and folders that are searched with their subfolders."""
    kind: Literal["files", "csv"]
    """`files` for source code and configuration, `csv` for a table with a column of URLs."""
    skipped: Counter[str] = field(default_factory=Counter[str])
    """How many files and folders the last reading left out, by reason."""

    searched: int = 0
    """The number of files that the last reading looked for URLs in."""
    not_listed: Counter[str] = field(default_factory=Counter[str])
    """How many URLs the last reading saw that aren't callback URLs, by reason."""

    @property
    def spec(self) -> UrlSourceSpec:
        """The kind, the root and the paths, from which a plan finds the files again."""
        return {"kind": self.kind, "root": str(self.root), "paths": list(self.paths)}

    async def entries(self) -> Sequence[UrlEntry]:
        """Return all callback URLs in the files.

        Raises ConfigurationError if one of `paths` can't be read, or a table has no URL column.
        """
        return await asyncio.to_thread(self._entries)

    async def replace(self, edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        """Make these edits, writing each file once, and return the outcome of each.

        Raises ConfigurationError if a file can't be written.
        """
        return await asyncio.to_thread(self._replace, edits)

    def diff(self, edits: Sequence[UrlEdit]) -> str:
        """Return the changes that the edits would make, as a unified diff without credentials.

        The diff has no context lines, because they often contain keys and tokens.
        """
        lines = list[str]()
        for name, group in self._by_file(edits):
            old = _read(self.root / name)
            new, _ = self._edited(old, name, group)
            before, after = _LINE.findall(old), _LINE.findall(new)
            lines += unified_diff(before, after, f"a/{name}", f"b/{name}", n=0)
        whole = (line if line.endswith("\n") else f"{line}\n" for line in lines)
        return _CREDENTIALS.sub("…@", "".join(whole))

    def _entries(self) -> list[UrlEntry]:
        self.skipped.clear()
        self.not_listed.clear()
        self.searched = 0
        entries = list[UrlEntry]()
        for name, text in self._texts():
            found = self._found(text, name)
            self.not_listed.update(found.not_listed)
            entries += [match.entry(place) for match, place in placed(found.listed, text, name)]
        return entries

    def _found(self, text: str, name: str) -> FoundUrls:
        """Return the URLs in the text of a file."""
        if self.kind == "csv":
            return FoundUrls(matches_in_table(text, name), Counter())
        return find_urls(text, name, is_included=_is_included(self.root / name))

    def _replace(self, edits: Sequence[UrlEdit]) -> list[EditOutcome]:
        endings = dict[UrlEdit, EditOutcome]()
        for name, group in self._by_file(edits):
            path = self.root / name
            try:
                old = _read(path)
            except ConfigurationError:
                endings |= dict.fromkeys(group, EditOutcome.GONE)
                continue
            new, ended = self._edited(old, name, group)
            if new != old:
                replace_file(path, old=old.encode(*_ENCODING), new=new.encode(*_ENCODING))
            endings |= ended
        return [endings[edit] for edit in edits]

    def _by_file(self, edits: Sequence[UrlEdit]) -> list[tuple[str, list[UrlEdit]]]:
        in_order = sorted(edits, key=_file_of)
        return [(name, list(group)) for name, group in groupby(in_order, key=_file_of)]

    def _edited(
        self, text: str, name: str, edits: Sequence[UrlEdit]
    ) -> tuple[str, dict[UrlEdit, EditOutcome]]:
        """Return a file's text after these edits, and the outcome of each edit."""
        wanted = {edit.place: edit for edit in edits}
        endings, pieces, at = dict.fromkeys(edits, EditOutcome.GONE), list[str](), 0
        for match, place in placed(self._found(text, name).listed, text, name):
            if place not in wanted:
                continue
            edit = wanted[place]
            endings[edit] = edit.outcome(match.url)
            if endings[edit] is not EditOutcome.DONE or match.url == edit.new:
                continue
            if match.fixed:
                endings[edit] = EditOutcome.BY_HAND
            else:
                start, written, end = match.edited(text, edit.new, edit.quotes)
                pieces += [text[at:start], written]
                at = end
        return "".join([*pieces, text[at:]]), endings

    # ---- which files

    def _texts(self) -> Iterator[tuple[str, str]]:
        for given in self.paths:
            path = self.root / given
            if path.is_dir():
                for file in self._files_in(path):
                    if (text := self._text_of(file)) is not None:
                        self.searched += 1
                        yield os.path.relpath(file, self.root), text
            else:
                self.searched += 1
                yield given, _read(path)

    def _files_in(self, folder: Path) -> Iterator[Path]:
        for where, folders, files in os.walk(folder):
            skipped = _SKIPPED_FOLDERS.intersection(folders)
            self.skipped["folder of tools or third-party code"] += len(skipped)
            folders[:] = sorted(set(folders) - skipped)
            yield from (Path(where, name) for name in sorted(files))

    def _text_of(self, file: Path) -> str | None:
        try:
            if file.name.endswith(UNFINISHED):
                self.skipped["file that was left half-written"] += 1
                return None
            if not file.is_file() or file.is_symlink():
                self.skipped["symbolic link or special file"] += 1
                return None
            if file.stat().st_size > _LARGEST:
                self.skipped[f"file of more than {_LARGEST:,} bytes"] += 1
                return None
            text = _read(file)
        except (OSError, ConfigurationError):
            self.skipped["file that can't be read"] += 1
            return None
        if "\0" in text:
            self.skipped["binary file"] += 1
            return None
        if text.startswith(_OUR_OWN):
            self.skipped["plan or journal of a move"] += 1
            return None
        return text


def _file_of(edit: UrlEdit) -> str:
    match = _FILE_AND_LINE.fullmatch(edit.place.name)
    if match is None:
        raise ConfigurationError(f"{edit.place.name!r} must name a line of a file, like app.py:12")
    return match["file"]


def _is_included(path: Path) -> bool:
    """Return True if make or Docker also reads this file of variables, as a file beside it says.

    make keeps the quotation marks of a file that it includes; `docker run --env-file` does so, too.
    """
    if "env" not in path.name.lower():
        return False
    name = re.escape(path.name)
    sign = re.compile(
        rf"^\s*-?include\s[^\n]*{name}\s*$"
        rf"|\b(?:docker|podman)\s+(?:run|create)\b(?:\\\n|[^\n])*--env-file[= ]\S*{name}(?![\w.])",
        re.MULTILINE,
    )
    return any(
        sign.search(_read(file))
        for pattern in _READERS
        for file in path.parent.glob(pattern)
        if file.is_file() and file.stat().st_size <= _LARGEST
    )


def _read(path: Path) -> str:
    with refusing(f"{path} can't be read"):
        return path.read_bytes().decode(*_ENCODING)
