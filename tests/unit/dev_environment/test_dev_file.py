"""`dev.json`: reading, writing, and the machines that can connect."""

import json
import stat
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.data_folder import DataFolder
from ringback.dev_environment.dev_file import (
    NETWORK,
    THIS_MACHINE,
    DevServerDetails,
    KnownApiKeys,
    known_keys,
    who_reaches,
)
from ringback.operations.accounts import list_accounts

FILE = DevServerDetails(*(f"text {number}" for number in range(10)))


def test_a_written_file_is_read_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    FILE.write(tmp_path)
    assert DevServerDetails.read(tmp_path) == FILE
    assert stat.S_IMODE((tmp_path / "dev.json").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["dev.json"]


def test_an_older_file_has_defaults_for_new_fields_and_keeps_its_key(tmp_path: Path) -> None:
    before = asdict(FILE)
    for name in ("reachable_from", "operator_key_sid", "operator_key_secret"):
        del before[name]
    (tmp_path / "dev.json").write_text(json.dumps(before), "utf-8")
    assert DevServerDetails.read(tmp_path) == FILE
    of_account = (FILE.api_key_sid, FILE.api_key_secret)
    assert known_keys(tmp_path) == KnownApiKeys(of_account, ("", ""))


def test_the_known_keys_are_those_of_the_file(tmp_path: Path) -> None:
    assert known_keys(tmp_path) == KnownApiKeys()
    replace(FILE, operator_key_sid="SK1", operator_key_secret="made up").write(tmp_path)
    of_account = (FILE.api_key_sid, FILE.api_key_secret)
    assert known_keys(tmp_path) == KnownApiKeys(of_account, ("SK1", "made up"))


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"base_url": "http://127.0.0.1:1"}'])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "dev.json").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=r"is not a valid dev\.json"):
        DevServerDetails.read(tmp_path)


@pytest.mark.parametrize(
    ("base_url", "is_so"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.1.2.3:8080", True),
        ("http://[::1]:8080", True),
        ("http://0.0.0.0:8080", False),
        ("http://[::]:8080", False),
        ("http://192.168.1.7:8080", False),
        ("http://[fe80::1%eth0]:8080", False),
    ],
)
def test_an_address_is_reachable_from_this_machine_or_the_network(
    base_url: str, *, is_so: bool
) -> None:
    assert who_reaches(base_url) == (THIS_MACHINE if is_so else NETWORK)


def test_in_a_folder_of_serve_the_way_to_that_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="start `ringback dev`"):
        DevServerDetails.read(tmp_path)
    DataFolder(tmp_path).transact(list_accounts)
    way = "reach with --server URL, --account-sid SID and the variable RINGBACK_AUTH_TOKEN"
    with pytest.raises(ConfigurationError, match=f"data folder of `ringback serve`.*{way}"):
        DevServerDetails.read(tmp_path)
