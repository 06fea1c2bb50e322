"""`ringback accounts` on a data folder that no server uses."""

import getpass
import json
import os
import subprocess
import sys
from pathlib import Path
from socket import gethostname
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.core.accounts.account import EVERY
from ringback.core.audit import ActorKind, AuditEntry
from ringback.data_folder import KEY_FILE, DataFolder
from ringback.ports import AuditFilter, PageWindow
from tests.keyboards import terminal

NOBODY = "AC" + "0" * 32


class Shell:
    """Runs `ringback accounts` on one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str, **environment: str) -> Result:
        arguments = ["accounts", *words, "--data", str(self.folder)]
        return CliRunner().invoke(main, arguments, env=environment)

    def said(self, *words: str) -> str:
        ended = self.run(*words)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    def records(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said(*words, "--json").splitlines()]

    def record(self, *words: str) -> dict[str, Any]:
        (record,) = self.records(*words)
        return record

    def audit(self) -> list[AuditEntry]:
        """Return the audit entries in the folder, oldest first."""
        return DataFolder(self.folder).transact(
            lambda tx: tx.audit.page(EVERY, AuditFilter(), PageWindow(99))
        )[::-1]

    def refused(self, *words: str) -> str:
        ended = self.run(*words)
        assert ended.exit_code in (1, 2)
        return ended.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def made(shell: Shell) -> dict[str, Any]:
    """An account."""
    return shell.record("create", "Acme")


# ---- accounts ------------------------------------------------------------------------------------


def test_what_is_made_is_printed_with_its_secrets(shell: Shell) -> None:
    said = shell.said("create", "Acme")
    (listed,) = shell.records("list")
    assert listed["account_sid"] in said
    assert listed["kore_id"] in said
    for label in ("Auth Token  ", "API key  ", "API key secret  ", "KORE webhook secret  "):
        assert f"  {label}" in said


def test_a_bare_account_has_neither_webhook_secret_nor_api_key(shell: Shell) -> None:
    said = shell.said("create", "Acme", "--bare")
    (listed,) = shell.records("list")
    shown = shell.record("show", listed["account_sid"])
    assert "Auth Token" in said
    assert "None" not in said
    assert (shown["api_keys"], shown["webhook_secrets"]) == ([], [])


def test_without_a_terminal_a_name_that_is_taken_is_refused_unless_that_is_meant(
    shell: Shell, made: dict[str, Any]
) -> None:
    assert shell.refused("create", "Acme") == (
        f"ringback: there is already an account 'Acme' ({made['account_sid']}), and standard input"
        " is not a terminal: pass --yes\n"
    )
    assert len(shell.records("list")) == 1
    shell.said("create", "Acme", "--yes")
    assert [account["name"] for account in shell.records("list")] == ["Acme", "Acme"]
    shell.said("create", "Other")


@pytest.mark.parametrize(("typed", "count"), [(b"n\n", 1), (b"y\n", 2)])
def test_at_a_terminal_a_name_that_is_taken_is_asked_about(
    shell: Shell, made: dict[str, Any], typed: bytes, count: int
) -> None:
    words = ("accounts", "create", made["name"], "--data", str(shell.folder))
    with terminal() as (keyboard, stdin):
        os.write(keyboard, typed)
        ended = subprocess.run(
            [sys.executable, "-m", "ringback", *words],
            stdin=stdin,
            capture_output=True,
            check=False,
        )
    assert ended.returncode == 2 - count
    asked = f"There is already an account 'Acme' ({made['account_sid']}). Make another one?"
    assert ended.stderr.decode().startswith(asked)
    assert len(shell.records("list")) == count


def test_a_change_of_an_account_is_answered_in_json_too(shell: Shell, made: dict[str, Any]) -> None:
    sid = made["account_sid"]
    assert shell.record("suspend", sid)["status"] == "suspended"
    assert shell.record("resume", sid)["status"] == "active"
    key = shell.record("keys", "create", "--account", sid)
    assert shell.record("keys", "delete", key["sid"])["sid"] == key["sid"]
    client = shell.record("clients", "create", sid, "ci")
    assert shell.record("clients", "delete", client["client_id"])["name"] == "ci"
    shell.record("token", "create", sid)
    assert shell.record("token", "promote", sid) == {"account_sid": sid, "promoted": True}
    shell.record("token", "create", sid)
    assert shell.record("token", "delete", sid) == {"account_sid": sid, "deleted": True}


def test_a_new_key_is_answered_in_json_too() -> None:
    ended = CliRunner().invoke(main, ["accounts", "new-key", "--json"])
    assert len(json.loads(ended.stdout)["key"]) == 44


def test_a_bare_accounts_record_has_the_same_names(shell: Shell, made: dict[str, Any]) -> None:
    bare = shell.record("create", "Other", "--bare")
    assert bare.keys() == made.keys()
    assert {name for name, value in bare.items() if value is None} == (
        {name for name, value in made.items() if value is None}
        | {"api_key_sid", "api_key_secret", "kore_secret"}
    )


def test_an_account_is_shown_by_either_id_with_all_that_signs_in_and_no_secret(
    shell: Shell, made: dict[str, Any]
) -> None:
    client = shell.record("clients", "create", made["account_sid"], "ci")
    token = shell.record("token", "create", made["account_sid"])
    shown = shell.record("show", made["account_sid"])
    assert shell.record("show", made["kore_id"]) == shown
    assert (shown["name"], shown["status"], shown["parent_sid"]) == ("Acme", "active", None)
    assert [key["sid"] for key in shown["api_keys"]] == [made["api_key_sid"]]
    assert [one["client_id"] for one in shown["api_clients"]] == [client["client_id"]]
    assert [(one["name"], one["status"]) for one in shown["webhook_secrets"]] == [
        ("first", "active")
    ]
    assert shown["has_secondary_auth_token"]

    said = shell.said("show", made["account_sid"])
    for record in (shown["api_keys"], shown["api_clients"], shown["webhook_secrets"]):
        assert next(iter(record[0].values())) in said
    secrets = [made[name] for name in ("auth_token", "api_key_secret", "kore_secret")]
    secrets += [client["client_secret"], token["secondary_auth_token"]]
    for secret in secrets:
        assert secret not in said + json.dumps(shown)


def test_a_suspended_account_is_listed_as_one_until_it_is_resumed(
    shell: Shell, made: dict[str, Any]
) -> None:
    assert shell.said("suspend", made["kore_id"]) == (
        f"account {made['account_sid']} (Acme) is suspended\n"
    )
    assert shell.said("list").endswith("  Acme  suspended\n")
    assert shell.record("list")["status"] == "suspended"
    assert shell.said("resume", made["account_sid"]).endswith("is active\n")
    assert shell.said("list").endswith("  Acme\n")


@pytest.mark.parametrize(
    "words",
    [
        ("show", NOBODY),
        ("suspend", NOBODY),
        ("resume", NOBODY),
        ("keys", "create", "--account", NOBODY),
        ("keys", "list", "--account", NOBODY),
        ("token", "create", NOBODY),
        ("token", "promote", NOBODY),
        ("token", "delete", NOBODY),
        ("clients", "create", NOBODY, "ci"),
        ("clients", "list", NOBODY),
    ],
    ids=" ".join,
)
def test_an_account_that_is_not_there_is_refused(words: tuple[str, ...], shell: Shell) -> None:
    assert shell.refused(*words) == (
        f"ringback: there is no account {NOBODY!r}; an id is like AC… or acct_…\n"
    )


# ---- keys ----------------------------------------------------------------------------------------


def test_a_key_is_made_listed_and_ended(shell: Shell, made: dict[str, Any]) -> None:
    whose = ("--account", made["kore_id"])
    key = shell.record("keys", "create", *whose, "--name", "deploy")
    assert (key["account_sid"], key["name"]) == (made["account_sid"], "deploy")
    listed = shell.records("keys", "list", *whose)
    assert [one["sid"] for one in listed] == [made["api_key_sid"], key["sid"]]
    assert key["secret"] not in json.dumps(listed)
    assert key["role"] == "full"
    assert [one["date_ended"] for one in listed] == [None, None]
    assert shell.said("keys", "end", key["sid"]) == (
        f"API key {key['sid']} (deploy) of {made['account_sid']} has ended\n"
    )
    ended = shell.records("keys", "list", *whose)[1]["date_ended"]
    assert f"deploy  ended {ended}" in shell.said("keys", "list", *whose)
    # The name of the command in earlier versions still works.
    assert shell.refused("keys", "delete", key["sid"]) == (
        f"ringback: the API key {key['sid']} ended at {ended} already\n"
    )


def test_a_key_that_can_only_read_is_made(shell: Shell) -> None:
    key = shell.record("keys", "create", "--operator", "--role", "read-only")
    assert key["role"] == "read_only"
    assert "  read-only  never used  unnamed\n" in shell.said("keys", "list", "--operator")


def test_the_operators_keys_are_nobody_elses(shell: Shell, made: dict[str, Any]) -> None:
    assert shell.said("keys", "list", "--operator") == "no API keys of the operator\n"
    assert "API key 'unnamed' of the operator" in shell.said("keys", "create", "--operator")
    (key,) = shell.records("keys", "list", "--operator")
    assert key["account_sid"] is None
    assert len(shell.records("keys", "list", "--account", made["account_sid"])) == 1
    assert shell.said("keys", "delete", key["sid"]).endswith(" of the operator has ended\n")


@pytest.mark.parametrize("command", ["create", "list"])
@pytest.mark.parametrize("whose", [(), ("--operator", "--account", NOBODY)])
def test_whose_keys_they_are_has_to_be_said_once(
    command: str, whose: tuple[str, ...], shell: Shell
) -> None:
    assert "give --account SID, or --operator" in shell.refused("keys", command, *whose)


# ---- the second Auth Token -----------------------------------------------------------------------


def test_a_second_token_is_made_and_taken_back(shell: Shell, made: dict[str, Any]) -> None:
    sid = made["account_sid"]
    said = shell.said("token", "create", sid)
    assert f"ringback accounts token promote {sid}" in said
    assert (
        shell.said("token", "delete", sid)
        == f"account {sid}: the secondary Auth Token is deleted\n"
    )
    for command in ("promote", "delete"):
        assert "has no secondary Auth Token; create one first" in (
            shell.refused("token", command, sid)
        )


# ---- API clients ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "what_for"),
    [
        ((), ("standard", ["ProgrammableWireless", "SuperSIM"], "1h")),
        (("--product", "SuperSIM", "--lifetime", "24mo"), ("standard", ["SuperSIM"], "24mo")),
        (("--admin", "--lifetime", "30d"), ("admin", ["ProgrammableWireless", "SuperSIM"], "30d")),
    ],
)
def test_a_client_is_for_what_was_asked(
    flags: tuple[str, ...], what_for: tuple[str, list[str], str], shell: Shell, made: dict[str, Any]
) -> None:
    shell.record("clients", "create", made["kore_id"], "ci", *flags)
    client = shell.record("clients", "list", made["account_sid"])
    assert client["account_sid"] == made["account_sid"]
    assert (client["type"], client["products"], client["lifetime"]) == what_for


def test_a_client_is_taken_back(shell: Shell, made: dict[str, Any]) -> None:
    client = shell.record("clients", "create", made["account_sid"], "ci")
    assert client["client_secret"] not in shell.said("clients", "list", made["account_sid"])
    assert shell.said("clients", "delete", client["client_id"]) == (
        f"API client {client['client_id']} (ci) of {made['account_sid']} is deleted\n"
    )
    assert shell.said("clients", "list", made["account_sid"]).startswith("no API clients; ")
    assert "there is no API client" in shell.refused("clients", "delete", client["client_id"])


def test_an_admin_client_is_for_no_single_product(shell: Shell) -> None:
    refusal = shell.refused("clients", "create", NOBODY, "ci", "--admin", "--product", "SuperSIM")
    assert "leave out --product" in refusal


# ---- what secrets are sealed with ----------------------------------------------------------------


def test_a_new_key_is_printed_and_seals(shell: Shell) -> None:
    key = CliRunner().invoke(main, ["accounts", "new-key"]).stdout.strip()
    assert shell.run("create", "Acme", RINGBACK_SEAL_KEY=key).exit_code == 0
    assert not (shell.folder / KEY_FILE).exists()
    assert "Acme" in shell.run("list", RINGBACK_SEAL_KEY=key).stdout
    assert "does not exist" in shell.refused("list")


@pytest.mark.parametrize("is_flag", [True, False], ids=["flag", "variable"])
def test_the_file_with_the_key_can_be_named(
    is_flag: bool, shell: Shell, made: dict[str, Any]
) -> None:
    elsewhere = str((shell.folder / KEY_FILE).rename(shell.folder / "elsewhere"))
    flags = ("--seal-key-file", elsewhere) if is_flag else ()
    variables = {} if is_flag else {"RINGBACK_SEAL_KEY_FILE": elsewhere}
    assert made["account_sid"] in shell.run("list", *flags, **variables).stdout


# ---- who did it ----------------------------------------------------------------------------------


def test_each_command_that_changes_something_leaves_audit_entries_of_its_user(
    shell: Shell, made: dict[str, Any]
) -> None:
    sid = made["account_sid"]
    shell.record("suspend", sid)
    shell.record("suspend", sid)  # changes nothing
    shell.record("resume", sid)
    shell.record("token", "create", sid)
    shell.record("token", "promote", sid)
    shell.record("token", "create", sid)
    shell.record("token", "delete", sid)
    client = shell.record("clients", "create", sid, "CI")
    shell.record("clients", "delete", client["client_id"])
    shell.record("keys", "end", made["api_key_sid"])
    entries = shell.audit()
    assert [(one.action, one.subject) for one in entries] == [
        ("CreateAccount", sid),
        ("CreateSecret", entries[1].subject),
        ("CreateKey", made["api_key_sid"]),
        *[("SuspendAccount", sid), ("ResumeAccount", sid)],
        *[("CreateSecondaryToken", sid), ("PromoteSecondaryToken", sid)],
        *[("CreateSecondaryToken", sid), ("DeleteSecondaryToken", sid)],
        ("CreateClient", client["client_id"]),
        ("DeleteClient", client["client_id"]),
        ("EndKey", made["api_key_sid"]),
    ]
    assert {one.account_sid for one in entries} == {sid}
    assert {(one.actor_kind, one.actor) for one in entries} == {(ActorKind.COMMAND_LINE, None)}
    assert {one.address for one in entries} == {f"{getpass.getuser()}@{gethostname()}"}
    told = repr(entries)
    assert [one for one in (made["auth_token"], client["client_secret"]) if one in told] == []
