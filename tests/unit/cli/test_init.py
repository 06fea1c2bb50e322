"""`ringback init`: the settings file that it writes."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.settings.file import SettingsFile
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand, settings_of
from ringback.settings.settings_template import settings_template


def init(*words: str) -> Result:
    return CliRunner().invoke(main, ["init", *words])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_written_that_serve_starts_with() -> None:
    written = init()
    assert (written.exit_code, written.stdout) == (
        0,
        "ringback.toml has all settings; use it with `ringback serve --settings ringback.toml`\n",
    )
    for command in ServerCommand:
        settings = load({"settings": "ringback.toml"}, {}, command=command)
        assert settings == load({}, {}, command=command)


@pytest.mark.parametrize("command", ServerCommand)
def test_each_line_that_is_a_comment_can_be_used(command: ServerCommand) -> None:
    # The examples of these exclude each other, or name files that are not here.
    left_out = {"at", "phase", "tls", "tls_cert", "tls_key"}
    names = [setting.name for setting in settings_of(command) if setting.name not in left_out]
    usable = "|".join(name for name in names if not name.endswith("_file"))
    text = re.sub(rf"^# (?=(?:{usable}) = )", "", settings_template(), flags=re.MULTILINE)
    text = re.sub(r"^# (?=HS|dublin)|^#     (?!ringback)", "", text, flags=re.MULTILINE)
    Path("ringback.toml").write_text(text)
    settings = load({"settings": "ringback.toml"}, {}, command=command)
    assert [phase.name for phase in settings.policy.phases] == ["before", "after"]
    assert [hold.phase for hold in settings.policy.holds] == ["before"]
    assert [len(settings.shadows), "acme" in settings.sources] == [1, True]


def test_another_name_and_json() -> None:
    written = init("platform.toml", "--json")
    assert json.loads(written.stdout) == {"file": "platform.toml"}
    assert Path("platform.toml").read_text() == settings_template()


def test_a_file_that_exists_is_replaced_only_with_force() -> None:
    Path("ringback.toml").write_text("port = 1\n")
    refused = init()
    assert (refused.exit_code, refused.stderr) == (
        1,
        "ringback: ringback.toml exists; name another file, or replace it with --force\n",
    )
    assert Path("ringback.toml").read_text() == "port = 1\n"
    assert init("--force").exit_code == 0
    assert Path("ringback.toml").read_text() == settings_template()


@contextmanager
def with_umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277, 0o777])
def test_nobody_else_can_read_it_because_it_may_get_secrets(mask: int) -> None:
    with with_umask(mask):
        assert init().exit_code == 0
    assert Path("ringback.toml").stat().st_mode & 0o777 == 0o600
    Path("open.toml").write_text("port = 1\n" * 10_000)
    Path("open.toml").chmod(0o666)
    assert init("open.toml", "--force").exit_code == 0
    assert Path("open.toml").stat().st_mode & 0o777 == 0o600
    assert Path("open.toml").read_text() == settings_template()


def test_a_file_that_can_not_be_written_is_refused() -> None:
    assert init("none/ringback.toml").stderr == (
        "ringback: none/ringback.toml can't be written: No such file or directory\n"
    )


def test_its_policy_can_be_changed_by_policy_set() -> None:
    init()
    words = ["policy", "set", "hold", "--url-prefix", "https://a.example/", "--phase", "before"]
    ended = CliRunner().invoke(main, [*words, "--yes", "--settings", "ringback.toml"])
    assert ended.exit_code == 0, ended.output
    settings = load({}, {}, command=ServerCommand.SERVE, file=SettingsFile.read("ringback.toml"))
    assert [hold.url_prefix for hold in settings.policy.holds] == ["https://a.example/"]
