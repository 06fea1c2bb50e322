"""An edited file is read back by the readers of its notation, and by all of them alike.

The readers are real ones: python-dotenv, PyYAML, tomllib, json, ElementTree, configparser, SQLite,
Python, sh and make. Readers in other languages are written down as rules, after their source; Node
is also asked itself, if it is installed.
"""

import ast
import asyncio
import configparser
import json
import re
import shutil
import sqlite3
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import dotenv
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringback.core.policy.source_policy import Source
from ringback.core.policy.url_source_override import override_source
from ringback.migration.url_source import EditOutcome, UrlEdit
from ringback.migration.url_sources.file_url_source import FileUrlSource

KEY: Final = "SIM_CALLBACK_URL"
Read = Callable[[Path], str | None]
"""Returns the value of `KEY` in a file, as one reader reads it; None if it reads none."""


# ---- readers -------------------------------------------------------------------------------------


def _rule(pattern: str, *, keeps_quotes: bool = False) -> Read:
    """Return a reader that finds a value by a pattern, whose group 1 is the value."""

    def read(path: Path) -> str | None:
        match = re.search(rf"^[ \t]*(?:export )?{KEY}{pattern}", path.read_text(), re.MULTILINE)
        value = match[1].strip() if match else None
        if value and not keeps_quotes and value[:1] in "\"'`" and value[-1:] == value[:1]:
            return value[1:-1]
        return value

    return read


QUOTED: Final = r"""'(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`"""
# npm's dotenv: `LINE` in lib/main.js; bkeepers/dotenv: `LINE` in lib/dotenv/parser.rb;
# vlucas/phpdotenv: UNQUOTED_STATE in src/Parser/EntryParser.php; Node: ParseContent in
# src/node_dotenv.cc. All end a value without quotation marks at its first #.
to_a_hash: Final = _rule(rf"\s*=\s*({QUOTED}|[^#\r\n]+)?\s*(?:#.*)?$")
# joho/godotenv: `extractVarValue` in parser.go; compose-go: the same in dotenv/parser.go;
# symfony/dotenv: `lexValue` in Dotenv.php. They end it at a # after a blank.
to_a_comment: Final = _rule(rf"\s*=\s*({QUOTED}|.*?)\s*(?:\s#.*)?$")
# docker/cli: `parseKeyValueFile` in pkg/kvfile/kvfile.go; kubectl reads the same.
to_the_end: Final = _rule(r"=(.*)$", keeps_quotes=True)
# npm's ini: `unsafe` in lib/ini.js; PHP's parse_ini_file ends it at ;.
to_a_mark: Final = _rule(rf"\s*=\s*({QUOTED}|[^;#\r\n]*)")


def of_python_dotenv(path: Path) -> str | None:
    return dotenv.dotenv_values(path, interpolate=False).get(KEY)


def of_the_shell(path: Path) -> str | None:
    return _said("sh", "-c", f'. "$1" >&2; printf %s "${KEY}"', "sh", str(path))


def of_make(path: Path) -> str | None:
    show = path.with_name("show.mk")
    show.write_text(f"include {path}\n$(info $({KEY}))\nall:\n\t@:\n")
    value = _said("make", "-s", "-f", str(show))
    return value and value.removesuffix("\n")


def of_node(path: Path) -> str | None:
    program = (
        "console.log(require('util').parseEnv(require('fs').readFileSync(process.argv[1], 'utf8'))"
    )
    value = _said("node", "-e", f"{program}.{KEY})", str(path))
    return value and value.removesuffix("\n")


def _said(*words: str) -> str | None:
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env={"PATH": PATH})
    return ended.stdout if ended.returncode == 0 else None


PATH: Final = "/usr/local/bin:/usr/bin:/bin"


def of_yaml(path: Path) -> str | None:
    document = _document(path)
    value = document.get(KEY) if document else None
    return value.rstrip("\n") if isinstance(value, str) else None


def of_list(path: Path) -> str | None:
    document = _document(path)
    item = document["environment"][0] if document else None
    return item.partition("=")[2] if isinstance(item, str) else None


def _document(path: Path) -> dict[str, Any] | None:
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError:
        return None


def of_json(path: Path) -> str | None:
    return json.loads(path.read_text())[KEY]


def of_toml(path: Path) -> str | None:
    return tomllib.loads(path.read_text())[KEY].lstrip("\n")


def of_attribute(path: Path) -> str | None:
    return ET.fromstring(path.read_text())[0].get("value")  # noqa: S314 - our own text


def of_element(path: Path) -> str | None:
    return ET.fromstring(path.read_text())[0].text  # noqa: S314 - our own text


def of_configparser(path: Path) -> str | None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(path.read_text())
    return parser["kore"][KEY]


def of_sqlite(path: Path) -> str | None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE sims (id, callback_url)")
        database.executescript(path.read_text())
        return database.execute("SELECT callback_url FROM sims").fetchone()[0]


def of_python(path: Path) -> str | None:
    (statement,) = ast.parse(path.read_text()).body
    assert isinstance(statement, ast.Assign)
    return ast.literal_eval(statement.value)


def of_properties(path: Path) -> str | None:
    """Read as java.util.Properties.load does, by its documentation."""
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\\n[ \t\f]*", r"\1", path.read_text())
    match = re.search(rf"^{KEY}[ \t\f]*[=:]?[ \t\f]*(.*)$", text, re.MULTILINE)
    return match and re.sub(r"\\(.)", r"\1", match[1])


# ---- notations -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Notation:
    file: str
    write: Callable[[str], str]
    """Returns the text of a file in which `KEY` has this URL."""
    readers: Sequence[Read]

    def __str__(self) -> str:
        return f"{self.file} {self.write('<url>')!r}"


def _text(pattern: str) -> Callable[[str], str]:
    return lambda url: pattern.replace("<url>", url)


def _quoted(text: str) -> str:
    return quoteattr(text, {'"': "&quot;"})


ENV_LIST: Final = Notation("env.list", _text(f"A=1\n{KEY}=<url>\n"), (to_the_end,))
BARE_INI: Final = Notation("a.ini", _text(f"[kore]\n{KEY} = <url>\n"), (to_a_mark, of_configparser))
BY_HAND: Final = (ENV_LIST, BARE_INI)
IN_ENV: Final = (to_a_hash, to_a_comment, of_python_dotenv, of_the_shell)
NOTATIONS: Final = (
    Notation("app.env", _text(f"A=1\n{KEY}=<url>\nB='2'\n"), IN_ENV),
    Notation("app.env", _text(f"export {KEY}=<url> # x\n"), IN_ENV),
    Notation("app.env", _text(f'{KEY}="<url>"\n'), IN_ENV),
    Notation("app.env", _text(f"{KEY}='<url>' # x\n"), IN_ENV),
    ENV_LIST,
    Notation("set.sh", _text(f"A=1\nexport {KEY}=<url>\n"), (of_the_shell,)),
    Notation("set.sh", _text(f'{KEY}="<url>"; B=2\n'), (of_the_shell,)),
    Notation("set.sh", _text(f"{KEY}='<url>'\n"), (of_the_shell,)),
    Notation("set.sh", _text(f'{KEY}="${{HOOK:-<url>}}"\n'), (of_the_shell,)),
    Notation("Makefile", _text(f"A = 1\n{KEY} := <url>\n"), (of_make,)),
    Notation("Makefile", _text(f"export {KEY} ?= <url>\n"), (of_make,)),
    Notation("Makefile", _text(f"{KEY} = <url>\nrun:\n\t@: $({KEY})\n"), (of_make,)),
    Notation("a.yaml", _text(f"a: 1\n{KEY}: <url>\nb: 2\n"), (of_yaml,)),
    Notation("a.yaml", _text(f"{KEY}: <url> # x\n"), (of_yaml,)),
    Notation("a.yaml", _text(f"{KEY}: '<url>'\n"), (of_yaml,)),
    Notation("a.yaml", _text(f'{KEY}: "<url>"\n'), (of_yaml,)),
    Notation("a.yaml", _text(f"{KEY}: >-\n  <url>\nb: 2\n"), (of_yaml,)),
    Notation("a.yaml", _text(f"{KEY}: |\n  <url>\n"), (of_yaml,)),
    Notation("a.yaml", _text(f"environment:\n  - {KEY}=<url>\n"), (of_list,)),
    Notation("a.yaml", _text(f'environment:\n  - "{KEY}=<url>"\n'), (of_list,)),
    Notation("a.yaml", _text(f"{{a: 1, {KEY}: '<url>'}}\n"), (of_yaml,)),
    Notation("a.json", lambda url: json.dumps({"a": 1, KEY: url}), (of_json,)),
    Notation("a.json", lambda url: json.dumps({KEY: url}).replace("/", "\\/"), (of_json,)),
    Notation("a.toml", _text(f'{KEY} = "<url>"\n'), (of_toml,)),
    Notation("a.toml", _text(f"{KEY} = '''\n<url>'''\n"), (of_toml,)),
    Notation(
        "a.config", lambda url: f'<a><add key="{KEY}" value={_quoted(url)}/></a>', (of_attribute,)
    ),
    Notation("a.xml", lambda url: f"<a><{KEY}>{_quoted(url)[1:-1]}</{KEY}></a>", (of_element,)),
    Notation("a.xml", _text(f"<a><{KEY}><![CDATA[<url>]]></{KEY}></a>"), (of_element,)),
    BARE_INI,
    Notation("a.ini", _text(f'[kore]\n{KEY} = "<url>"\n'), (to_a_mark,)),
    Notation("setup.cfg", _text(f"[kore]\n{KEY} = <url>\n"), (of_configparser,)),
    Notation("a.properties", _text(f"a=1\n{KEY}=<url>\n"), (of_properties,)),
    Notation("a.properties", _text(f"{KEY} : <url>\n"), (of_properties,)),
    Notation(
        "a.sql",
        lambda url: _text("INSERT INTO sims (id, callback_url) VALUES (1, '<url>');")(
            url.replace("'", "''")
        ),
        (of_sqlite,),
    ),
    Notation("a.py", lambda url: f"{KEY} = {url!r}\n", (of_python,)),
    Notation("a.py", _text(f'{KEY} = (""\n    "<url>")\n'), (of_python,)),
)


# ---- the laws ------------------------------------------------------------------------------------

_OF_PATHS: Final = st.text("abzAZ019-._~!$&'()*+,;=:@%/", max_size=12)
_FRAGMENTS: Final = st.sampled_from(
    ["", "#rc=2", "#rc=2&ct=1000", "#cbs=twilio", "#rc=1&cbs=twilio"]
)


@st.composite
def configured(draw: st.DrawFn) -> str:
    """Draw a callback URL as people configure it."""
    query = draw(st.one_of(st.just(""), _OF_PATHS.map("?x={}".format)))
    return f"https://app.example/{draw(_OF_PATHS)}{query}{draw(_FRAGMENTS)}"


def edited_rightly(notation: Notation, url: str, folder: Path, to: Source = Source.KORE) -> bool:
    """Edit a URL, and check the file; return False if the URL has to be changed by hand."""
    path = folder / notation.file
    path.write_text(notation.write(url))
    before = path.read_bytes()
    try:
        readers = [read for read in notation.readers if read(path) == url]
    except tomllib.TOMLDecodeError:
        return False  # the URL ends the text that it is in
    if not readers:
        return False
    files = FileUrlSource(folder, (notation.file,), "files")
    (entry,) = asyncio.run(files.entries())
    if entry.fixed:
        return False
    assert entry.url == url
    edit = UrlEdit(entry.place, entry.url, override_source(entry.url, to), quotes=entry.quotes)
    assert asyncio.run(files.replace([edit])) == [EditOutcome.DONE]
    assert {read.__name__: read(path) for read in readers} == {
        read.__name__: edit.new for read in readers
    }
    after = path.read_text().split("\n")
    lines = zip(before.decode().split("\n"), after, strict=True)
    assert sum(old != new for old, new in lines) == (edit.old != edit.new)
    (again,) = asyncio.run(files.entries())
    assert (again.place, again.url) == (entry.place, edit.new)
    assert asyncio.run(files.replace([edit.back()])) == [EditOutcome.DONE]
    assert path.read_bytes() == before
    return True


@pytest.mark.parametrize("notation", NOTATIONS, ids=str)
@given(url=configured())
@example(url="https://app.example/'")
@example(url="https://app.example/'''")
@settings(max_examples=12)
def test_readers_of_the_old_url_read_the_new_one(notation: Notation, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        edited_rightly(notation, url, Path(folder))


@pytest.mark.parametrize("notation", NOTATIONS, ids=str)
def test_an_ordinary_url_is_edited_unless_its_readers_differ(
    notation: Notation, tmp_path: Path
) -> None:
    url = "https://app.example/sims?x=1"
    path = tmp_path / notation.file
    path.write_text(notation.write(url))
    assert [read(path) for read in notation.readers] == [url] * len(notation.readers)
    assert edited_rightly(notation, url, tmp_path) is (notation not in BY_HAND)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node isn't installed")
@pytest.mark.parametrize("notation", NOTATIONS[:4], ids=str)
def test_node_reads_the_new_url(notation: Notation, tmp_path: Path) -> None:
    by_node = Notation(notation.file, notation.write, (of_node,))
    assert edited_rightly(by_node, "https://app.example/sims?x=1", tmp_path)
