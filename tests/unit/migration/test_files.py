"""Callback URLs in real files: found, and changed with nothing else."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source
from ringback.core.policy.url_source_override import override_source
from ringback.migration.url_source import EditOutcome, QuoteChange, UrlEdit, UrlEntry
from ringback.migration.url_sources.file_url_source import FileUrlSource

URL = "https://a.example/p?x=1#rc=2"
MOVED = f"{URL}&cbs=kore"


def entries(files: FileUrlSource) -> Sequence[UrlEntry]:
    return asyncio.run(files.entries())


def edits(files: FileUrlSource) -> list[UrlEdit]:
    return [
        UrlEdit(
            entry.place,
            entry.url,
            override_source(entry.url, Source.KORE),
            entry.method,
            entry.quotes,
        )
        for entry in entries(files)
        if not entry.fixed
    ]


def replace(files: FileUrlSource, *some: UrlEdit) -> Sequence[EditOutcome]:
    return asyncio.run(files.replace(some))


@pytest.fixture
def code(tmp_path: Path) -> FileUrlSource:
    return FileUrlSource(tmp_path, (".",), "files")


def put(files: FileUrlSource, content: str | bytes, name: str = "app.py") -> Path:
    path = files.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ---- URLs in code --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("app.py", 'sim.update(callback_url="{}")'),
        ("app.py", "fleet.update(sms_commands_url='{}',"),
        ("app.py", 'ip_commands_url: str = "{}"'),
        ("app.py", 'PARAMETERS["CallbackUrl"] = "{}"'),
        ("app.py", 'x = """CallbackUrl"""; callback_url = r"{}"'),
        ("app.js", "sim.update({{ callbackUrl: '{}' }})"),
        ("app.js", "sim.update({{ callbackUrl: `{}` }})"),
        ("app.rb", "sim.update(commands_callback_url: '{}')"),
        ("app.rb", ":callback_url => '{}'"),
        ("app.php", '"smsCommandsUrl" => "{}"'),
        ("A.java", '.setCallbackUrl(URI.create("{}"))'),
        ("A.java", '.setIpCommandsUrl("{}").update();'),
        ("a.cs", 'smsCommandsUrl: new Uri("{}")'),
        ("a.go", 'params.SetCallbackUrl("{}")'),
        ("a.yaml", "callback_url: {}"),
        ("a.yaml", "  - sms-commands-url: '{}'"),
        ("a.toml", 'callback_url = "{}"'),
        ("a.json", '{{"CallbackUrl": "{}"}}'),
        ("a.json", '{{"Url": {{"CommandsCallbackUrl":"{}"}}}}'),
        ("a.tf", 'callback_url = "{}"'),
        ("a.properties", "twilio.callback.url={}"),
        ("compose.yaml", '- "CALLBACK_URL={}"'),
        ("app.js", "const callbackUrl1 = '{}'"),
        ("app.py", 'callback_url_of_meters = "{}"'),
        ("a.yaml", "sms_commands_url_2: {}"),
    ],
)
def test_a_callback_url_is_found_and_changed(code: FileUrlSource, name: str, line: str) -> None:
    path = put(code, f"\n{line.format(URL)}\nlast", name)
    found = entries(code)
    assert [(each.place.name, each.url, each.fixed) for each in found] == [(f"{name}:2", URL, None)]
    assert replace(code, *edits(code)) == [EditOutcome.DONE]
    assert path.read_text() == f"\n{line.format(MOVED)}\nlast"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "curl -d CallbackUrl=https://a.example/p#rc=2 \\\n",
            "https://a.example/p#rc=2%26cbs=kore \\\n",
        ),
        (
            'curl -d "CallbackUrl=https://a.example/p#rc=2"\n',
            'https://a.example/p#rc=2%26cbs=kore"\n',
        ),
        (
            "curl -d 'Status=active&CallbackUrl=https://a.example/p&CallbackMethod=GET'\n",
            "https://a.example/p#cbs=kore&CallbackMethod=GET'\n",
        ),
        (
            'curl --data-urlencode "CallbackUrl=https://a.example/p#rc=2"\n',
            'https://a.example/p#rc=2&cbs=kore"\n',
        ),
        (
            "curl --data-urlencode CallbackUrl=https://a.example/p#rc=2\n",
            "https://a.example/p#rc=2\\&cbs=kore\n",
        ),
        (
            "body = 'CallbackUrl=https%3A%2F%2Fa.example%2Fp%23rc%3D2&Status=active'\n",
            "https%3A%2F%2Fa.example%2Fp%23rc%3D2%26cbs%3Dkore&Status=active'\n",
        ),
        ('{"callbackUrl": "https:\\/\\/a.example\\/p#rc=2"}\n', 'a.example\\/p#rc=2&cbs=kore"}\n'),
        ("export CALLBACK_URL=https://a.example/p#rc=2\n", "https://a.example/p#rc=2\\&cbs=kore\n"),
    ],
)
def test_a_url_is_changed_in_its_own_notation(code: FileUrlSource, before: str, after: str) -> None:
    path = put(code, before, "notes.txt")
    (edit,) = edits(code)
    assert edit.old in ("https://a.example/p", "https://a.example/p#rc=2")
    replace(code, edit)
    assert path.read_text().endswith(after)
    assert [entry.url for entry in entries(code)] == [edit.new]
    replace(code, edit.back())
    assert path.read_text() == before


def test_markup_escapes_an_ampersand(code: FileUrlSource) -> None:
    path = put(code, f"<callback_url>{URL}</callback_url>\n", "a.xml")
    replace(code, *edits(code))
    assert path.read_text() == f"<callback_url>{URL}&amp;cbs=kore</callback_url>\n"


def test_a_url_that_chooses_a_source_is_found_whatever_its_name(code: FileUrlSource) -> None:
    put(code, "see (https://a.example/p#rc=2&cbs=twilio).\nTO = 'https://b.example/#cbs=kore'\n")
    assert [(entry.place.name, entry.url) for entry in entries(code)] == [
        ("app.py:1", "https://a.example/p#rc=2&cbs=twilio"),
        ("app.py:2", "https://b.example/#cbs=kore"),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('callback_url=f"https://{host}/p"', "placeholder"),
        ("callbackUrl: `https://${host}/p`", "placeholder"),
        ('callback_url: "https://#{host}/p"', "placeholder"),
        ('callback_url="https://%s/p" % host', "placeholder"),
        ('callback_url="https://a.example/" + path', "is built"),
        ('callback_url="https://a.example/{}".format(path)', "placeholder"),
        ("'callbackUrl' => 'https://a.example/' . $path", "is built"),
        ('callback_url=base + "/sms"', "is built"),
        ('callback_url=os.environ["CALLBACK_URL"]', "is built"),
        ("callbackUrl: process.env.CALLBACK_URL", "is built"),
        ("callback_url: ${CALLBACK_URL}", "placeholder"),
        ('callback_url_1=os.environ["CALLBACK_URL_1"]', "is built"),
        ("curl -d CallbackUrl=$URL/p", "placeholder"),
        ('curl -d "CallbackUrl=https://a.example/p#rc=2&cbs=kore"', "write the & as %26"),
        ('curl -d "CallbackUrl=https://a.example/p?x=1&y=2"', "write the & as %26"),
        ("curl -d CallbackUrl=https://a.example/p?x=1&y=2", "put the URL in quotes"),
        ("export CALLBACK_URL=https://a.example/p?x=1&y=2", "put the URL in quotes"),
    ],
)
def test_incomplete_urls_are_listed_and_never_changed(
    code: FileUrlSource, line: str, why: str
) -> None:
    path = put(code, f"{line}\n")
    (entry,) = entries(code)
    assert entry.fixed is not None
    assert why in entry.fixed
    assert replace(code, UrlEdit(entry.place, entry.url, f"{entry.url}#cbs=kore")) == [
        EditOutcome.BY_HAND
    ]
    assert path.read_text() == f"{line}\n"


@pytest.mark.parametrize(
    "line",
    [
        "def send(callback_url: str) -> None:",
        "self.callback_url = callback_url",
        'callback_url=""',
        "callbackUrl: string | null",
        'if "CallbackUrl" in form: ...',
        "https://a.example/#top",
        "callback_urls = []",
        "callback_url_for('https://a.example/')",
        "callback_url_is_on = os.environ.get('ON')",
        "callback_url_1 = 1",
    ],
)
def test_names_without_a_url_are_not_listed(code: FileUrlSource, line: str) -> None:
    put(code, f"{line}\n")
    assert not entries(code)


def test_several_urls_on_a_line_have_places_of_their_own(code: FileUrlSource) -> None:
    path = put(code, "callback_url='http://a/', sms_commands_url='http://b/'\n")
    assert [entry.place.name for entry in entries(code)] == ["app.py:1", "app.py:1 (2)"]
    replace(code, *reversed(edits(code)))
    assert (
        path.read_text()
        == "callback_url='http://a/#cbs=kore', sms_commands_url='http://b/#cbs=kore'\n"
    )


# ---- files whose readers differ ------------------------------------------------------------------


def test_quotation_marks_come_with_the_fragment_and_go_with_it(code: FileUrlSource) -> None:
    before = f"A=1\nCALLBACK_URL=https://a.example/p  # sims\r\nIP_COMMANDS_URL='{URL}'\n"
    path = put(code, before, ".env")
    made = edits(code)
    replace(code, *made)
    assert path.read_bytes().decode() == (
        f"A=1\nCALLBACK_URL=\"https://a.example/p#cbs=kore\"  # sims\r\nIP_COMMANDS_URL='{MOVED}'\n"
    )
    replace(code, *(edit.back() for edit in made))
    assert path.read_bytes().decode() == before


def test_only_a_file_that_can_do_without_quotation_marks_loses_them(code: FileUrlSource) -> None:
    path = put(code, '{"callbackUrl": "https://a.example/#cbs=kore"}', "a.json")
    (entry,) = entries(code)
    back = UrlEdit(entry.place, entry.url, "https://a.example/", quotes=QuoteChange.REMOVE)
    assert replace(code, back) == [EditOutcome.DONE]
    assert path.read_text() == '{"callbackUrl": "https://a.example/"}'


def test_an_edit_of_an_older_plan_adds_quotation_marks_too(code: FileUrlSource) -> None:
    path = put(code, "CALLBACK_URL=https://a.example/p\n", ".env")
    (edit,) = edits(code)
    older = UrlEdit(edit.place, edit.old, edit.new)
    replace(code, older)
    assert path.read_text() == 'CALLBACK_URL="https://a.example/p#cbs=kore"\n'
    replace(code, older.back())
    assert path.read_text() == 'CALLBACK_URL="https://a.example/p"\n'


def test_an_edit_without_quotation_marks_of_an_older_version_is_undone(code: FileUrlSource) -> None:
    path = put(code, "CALLBACK_URL=https://a.example/p#cbs=kore\n", ".env")
    (entry,) = entries(code)
    replace(code, UrlEdit(entry.place, entry.url, "https://a.example/p"))
    assert path.read_text() == "CALLBACK_URL=https://a.example/p\n"


def test_a_url_that_many_readers_cut_off_has_a_warning(code: FileUrlSource) -> None:
    put(code, f"CALLBACK_URL={URL}\n", ".env")
    (entry,) = entries(code)
    assert "end a value at its #" in " ".join(entry.warnings)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("Makefile", "include .env\nexport\n", "reads this file, too"),
        ("build.mk", "-include config/.env .env\n", "reads this file, too"),
        ("README.md", "    docker run -d \\\n      --env-file .env app\n", "reads this file, too"),
        ("run.sh", "podman run --env-file=./.env app\n", "reads this file, too"),
        ("Makefile", "include .env.example\n", None),
        ("run.sh", "docker compose --env-file .env up\n", None),
        ("run.sh", "node --env-file=.env app.js\n", None),
    ],
)
def test_a_file_of_variables_is_edited_by_hand_if_another_reader_keeps_quotation_marks(
    code: FileUrlSource, name: str, text: str, why: str | None
) -> None:
    path = put(code, "CALLBACK_URL=https://a.example/p\n", ".env")
    put(code, text, name)
    (entry,) = entries(code)
    assert (why in str(entry.fixed)) if why else entry.fixed is None
    moved = UrlEdit(entry.place, entry.url, f"{entry.url}#cbs=kore")
    assert replace(code, moved) == [EditOutcome.BY_HAND if why else EditOutcome.DONE]
    assert ("#" in path.read_text()) is (why is None)


def test_urls_that_are_not_listed_are_counted_by_the_reason(code: FileUrlSource) -> None:
    put(code, f"# callback_url='{URL}'\ncallback_url='{URL}'\nhome='{URL}'\nhelp='{URL}'\n")
    assert len(entries(code)) == 1
    assert code.not_listed == {
        "in a comment": 1,
        "no parameter or variable of a callback URL is named beside it": 2,
    }


# ---- selecting files -----------------------------------------------------------------------------


def test_very_long_lines_are_read_quickly(code: FileUrlSource) -> None:
    for number, piece in enumerate(
        ("-", "a.", "http://a/", "callbackUrl=", "x=&", "'callbackUrl=")
    ):
        put(code, piece * (100_000 // len(piece)), f"{number}.js")
    assert not entries(code)


def test_files_that_are_not_text_or_not_the_users_are_skipped_and_counted(
    code: FileUrlSource,
) -> None:
    line = f"callback_url='{URL}'\n"
    put(code, line, "src/app.py")
    for folder in ("node_modules", ".git", "src/.venv"):
        put(code, line, f"{folder}/x.py")
    put(code, line + "\0", "binary")
    put(code, line + " " * 1_000_000, "large.txt")
    put(code, '{"ringback_plan": {"url": "https://a.example/#cbs=kore"}}', "move.plan")
    (code.root / "link.py").symlink_to("src/app.py")
    assert [entry.place.name for entry in entries(code)] == ["src/app.py:1"]
    assert code.skipped == {
        "folder of tools or third-party code": 3,
        "binary file": 1,
        "file of more than 1,000,000 bytes": 1,
        "symbolic link or special file": 1,
        "plan or journal of a move": 1,
    }


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.py can't be read: No such file"):
        entries(FileUrlSource(tmp_path, ("nowhere.py",), "files"))


# ---- writing files -------------------------------------------------------------------------------


def test_all_bytes_except_those_of_the_edit_stay(code: FileUrlSource) -> None:
    before = b"\xef\xbb\xbf# \xe9t\xe9 \xff\r\ncallback_url = '%b'\r\n\tlast\x0c" % URL.encode()
    path = put(code, before)
    path.chmod(0o751)
    replace(code, *edits(code))
    assert path.read_bytes() == before.replace(URL.encode(), MOVED.encode())
    assert path.stat().st_mode & 0o777 == 0o751
    assert list(code.root.iterdir()) == [path]


def test_a_named_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text(f"callback_url='{URL}'")
    link = tmp_path / "link.py"
    link.symlink_to("real.py")
    files = FileUrlSource(tmp_path, ("link.py",), "files")
    replace(files, *edits(files))
    assert link.is_symlink()
    assert MOVED in (tmp_path / "real.py").read_text()


def test_places_that_differ_from_the_plan_are_left_unchanged(code: FileUrlSource) -> None:
    path = put(code, f"callback_url='{URL}'\n")
    (edit,) = edits(code)
    path.write_text("callback_url='https://other.example/'\n")
    assert replace(code, edit) == [EditOutcome.CHANGED]
    path.write_text("\n")
    assert replace(code, edit) == [EditOutcome.GONE]
    path.unlink()
    assert replace(code, edit) == [EditOutcome.GONE]


def test_an_edit_that_was_already_made_counts_as_done(code: FileUrlSource) -> None:
    path = put(code, f"callback_url='{URL}'\n")
    (edit,) = edits(code)
    assert [replace(code, edit), replace(code, edit)] == [[EditOutcome.DONE], [EditOutcome.DONE]]
    assert path.read_text() == f"callback_url='{MOVED}'\n"


def test_a_diff_changes_nothing_and_shows_no_secrets(code: FileUrlSource) -> None:
    before = "TOKEN = 'secret'\ncallback_url = 'https://user:secret@a.example/'"
    path = put(code, before)
    assert code.diff(edits(code)) == (
        "--- a/app.py\n"
        "+++ b/app.py\n"
        "@@ -2 +2 @@\n"
        "-callback_url = 'https://…@a.example/'\n"
        "+callback_url = 'https://…@a.example/#cbs=kore'\n"
    )
    assert path.read_text() == before


# ---- tables --------------------------------------------------------------------------------------


def table(tmp_path: Path, text: str) -> FileUrlSource:
    (tmp_path / "urls.csv").write_bytes(text.encode())
    return FileUrlSource(tmp_path, ("urls.csv",), "csv")


def test_a_table_shows_the_accounts_and_names_of_its_urls(tmp_path: Path) -> None:
    files = table(
        tmp_path,
        f'Name,callback_url,Method,account_sid,note\r\n"Fleet, A",{URL},get,AC1,x\r\n,,,,\r\nB,http://b/,,,\r\n',
    )
    first, second = entries(files)
    assert (first.place.name, first.place.account_sid, first.method) == (
        "urls.csv:2 Fleet, A",
        "AC1",
        HttpMethod.GET,
    )
    assert (first.url, second.url, second.place.name) == (URL, "http://b/", "urls.csv:4 B")
    assert second.place.account_sid is None


@pytest.mark.parametrize(
    "text",
    [
        "url\n{}\n",
        'id;url;note\r\n1;"{}";"a ""quoted"" note"\r\n2;;\r\n',
        '\ufeffurl\tnote\n{}\t"two\nlines"\n',
        'note,url\n  spaces ,"{}"',
    ],
)
def test_a_table_is_written_back_unchanged_except_for_its_urls(tmp_path: Path, text: str) -> None:
    files = table(tmp_path, text.format(URL))
    assert replace(files, *edits(files)) == [EditOutcome.DONE]
    assert (tmp_path / "urls.csv").read_bytes() == text.format(MOVED).encode()


def test_a_table_without_urls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"urls\.csv:1: no column is named url or callback_url"
    ):
        entries(table(tmp_path, "a,b\n1,2\n"))


def test_a_method_that_no_callback_has_is_reported(tmp_path: Path) -> None:
    (entry,) = entries(table(tmp_path, "url,method\nhttp://a/,PUT\n"))
    assert entry.warnings == ("its method is 'PUT'; callbacks are sent by POST or GET",)
