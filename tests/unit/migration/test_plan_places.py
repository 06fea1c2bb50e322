"""Which place `ringback migrate` opens for a plan, and with which credentials."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response

from ringback import __version__
from ringback.portal_client import NoServerAnswers, PortalClient, RouteNotFound
from tests.fakes import ACCOUNT_SID
from tests.unit.migration.shell import Shell

OTHER = "AC" + "1" * 32
HERE, THERE, EVIL = "http://a.example:8080", "http://b.example:8080", "https://evil.example"
AT = "http://a.example:8080/"
"""The same server in another spelling."""
SIGNED_IN = ("--account-sid", ACCOUNT_SID)
ALL_COMMANDS = pytest.mark.parametrize(
    "command", [("apply", "--no-probe"), ("status",), ("revert", "--yes")]
)


@pytest.fixture
def fingerprints() -> dict[str, str]:
    """The fingerprints that servers show; the server with "" is not a Ringback.

    All other servers have an earlier version, and show none.
    """
    return {HERE: "f1", THERE: "f1", EVIL: "f2", "http://other.example": ""}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, fingerprints: dict[str, str]) -> list[str]:
    """The URLs that are requested with credentials; responses list no URLs."""
    asked = list[str]()

    def request(_: TwilioHttpClient, _method: str, url: str, *_args: Any, **_more: Any) -> Response:
        asked.append(url)
        return Response(200, '{"meta": {"key": "fleets"}, "fleets": [], "sims": []}')

    def answer(portal: PortalClient, path: tuple[str, ...], **_: Any) -> dict[str, Any]:
        if portal._authorization():
            asked.append(portal.base_url)
        match portal.root, path:
            case "fingerprint", () if portal.base_url in fingerprints:
                found = fingerprints[portal.base_url]
                return {"fingerprint": found} if found else {"status": "alive"}
            case "fingerprint", ():
                raise RouteNotFound("not found")
            case _, ("plans", _, "journal"):
                return {"lines": [], "last": 0}
            case _, ("jobs",):
                return {"jobs": []}
            case _:
                raise NoServerAnswers("no Ringback answers")

    monkeypatch.setattr(TwilioHttpClient, "request", request)
    monkeypatch.setattr(PortalClient, "_ask", answer)
    monkeypatch.setitem(os.environ, "RINGBACK_AUTH_TOKEN", "made-up")
    return asked


def plan_of_api(shell: Shell, server: str | None) -> dict[str, Any]:
    """Plan a move at a server, and return the plan's header."""
    given = () if server is None else ("--server", server)
    (header,) = shell.planned("--api", *SIGNED_IN, *given)
    return header


def alter(header: dict[str, Any], **record: object) -> None:
    """Write the header back with another place."""
    header["record"] |= record
    Path("move.plan").write_text(json.dumps(header))


def of_form_1(header: dict[str, Any]) -> dict[str, Any]:
    """Return a plan's header as earlier versions wrote it."""
    kept = {name: value for name, value in header.items() if name != "fingerprint"}
    return {**kept, "ringback_plan": {"form": 1, "id": header["ringback_plan"]["id"]}}


def refused(shell: Shell, command: tuple[str, ...], *given: str) -> str:
    said = shell.said(command[0], "move.plan", *command[1:], *given, exit_code=1)
    return " ".join(said.split())


@ALL_COMMANDS
@pytest.mark.parametrize("given", [(*SIGNED_IN, "--server", HERE), ("--api", *SIGNED_IN), ()])
@pytest.mark.parametrize(
    "altered",
    [
        {"server": EVIL},
        {"server": None},
        {"account": OTHER},
        {"kind": "store", "data": "/elsewhere"},
        {"kind": "files", "root": "/elsewhere", "paths": ["."]},
    ],
)
def test_with_an_altered_place_no_credentials_are_sent_anywhere(
    shell: Shell,
    asked: list[str],
    command: tuple[str, ...],
    given: tuple[str, ...],
    altered: dict[str, object],
) -> None:
    header = plan_of_api(shell, HERE)
    asked.clear()
    alter(header, **altered)
    said = refused(shell, command, *given)
    assert (
        "move.plan:1: `record` or `fingerprint`, which say where the URLs are, were alter" in said
    )
    assert asked == []


@ALL_COMMANDS
@pytest.mark.parametrize(
    ("planned", "altered_to", "now", "why"),
    [
        (HERE, EVIL, HERE, "for https://evil.example, and --server or RINGBACK_SERVER is http:"),
        (
            None,
            EVIL,
            None,
            "for https://evil.example, and --server or RINGBACK_SERVER is not given",
        ),
        (
            HERE,
            None,
            HERE,
            "is for Twilio's API, and --server or RINGBACK_SERVER is http://a.example:8080",
        ),
        (HERE, None, None, "for Twilio's API, and --api is not given"),
        (
            HERE,
            "http://a.example",
            HERE,
            "the plan is for http://a.example, and --server or RINGBACK_SERVER is",
        ),
        (HERE, "http://A.example:8080@evil.example", HERE, "not the URL of a server"),
    ],
)
def test_a_plan_of_an_earlier_version_sends_credentials_only_to_the_server_that_is_named(
    shell: Shell,
    asked: list[str],
    *,
    command: tuple[str, ...],
    planned: str | None,
    altered_to: str | None,
    now: str | None,
    why: str,
) -> None:
    header = plan_of_api(shell, planned)
    asked.clear()
    alter(of_form_1(header), server=altered_to)
    given = () if now is None else ("--server", now)
    assert why in refused(shell, command, *SIGNED_IN, *given)
    assert asked == []


@ALL_COMMANDS
@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--server", HERE), "and --account-sid or RINGBACK_ACCOUNT_SID is not given"),
        (("--server", HERE, "--account-sid", OTHER), f"RINGBACK_ACCOUNT_SID is {OTHER}"),
        (("--server", HERE, *SIGNED_IN, "--data", "."), "--data names another kind of place"),
        (
            ("--server", EVIL, *SIGNED_IN),
            "for the data with the fingerprint f1, and the server at https://evil.example has f2",
        ),
        (
            ("--server", "http://other.example", *SIGNED_IN),
            "the server at http://other.example shows no fingerprint of its data, so it is not a",
        ),
        (
            ("--server", "http://old.example", *SIGNED_IN),
            "fingerprint f1, and the server at http://old.example has none",
        ),
    ],
)
def test_another_place_than_that_of_the_plan_gets_no_credentials(
    shell: Shell, asked: list[str], command: tuple[str, ...], given: tuple[str, ...], why: str
) -> None:
    plan_of_api(shell, HERE)
    asked.clear()
    assert why in refused(shell, command, *given)
    assert asked == []


@ALL_COMMANDS
@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("server", [HERE, AT, None])
def test_credentials_are_sent_to_the_server_that_plan_and_command_line_name(
    shell: Shell, asked: list[str], command: tuple[str, ...], server: str | None, *, is_old: bool
) -> None:
    header = plan_of_api(shell, server)
    asked.clear()
    if is_old:
        alter(of_form_1(header))
    given = ("--api",) if server is None else ("--server", HERE)
    ended = shell.run(command[0], "move.plan", *command[1:], *SIGNED_IN, *given)
    assert ended.exit_code == (1 if command[0] == "apply" else 0)  # the plan is empty
    at = "https://supersim.twilio.com" if server is None else f"{HERE}/supersim"
    assert f"{at}/v1/Fleets" in asked
    whose = "twilio.com" if server is None else HERE
    assert [url for url in asked if whose not in url] == []


@ALL_COMMANDS
def test_a_plan_goes_on_at_another_server_to_which_the_data_was_copied(
    shell: Shell, asked: list[str], command: tuple[str, ...]
) -> None:
    plan_of_api(shell, HERE)
    asked.clear()
    shell.run(command[0], "move.plan", *command[1:], *SIGNED_IN, "--server", THERE)
    assert f"{THERE}/supersim/v1/Fleets" in asked
    assert [url for url in asked if not url.startswith(THERE)] == []


def test_a_plan_for_a_server_of_an_earlier_version_is_bound_to_its_name(
    shell: Shell, asked: list[str], fingerprints: dict[str, str]
) -> None:
    del fingerprints[HERE]
    assert plan_of_api(shell, HERE)["fingerprint"] is None
    shell.said("status", "move.plan", *SIGNED_IN, "--server", HERE)
    asked.clear()
    said = refused(shell, ("status",), *SIGNED_IN, "--server", THERE)
    assert "the plan is for http://a.example:8080, and --server or RINGBACK_SERVER is" in said
    assert asked == []


# ---- the data folder of a plan -------------------------------------------------------------------


@pytest.fixture(params=["--seal-key-file", "RINGBACK_SEAL_KEY"])
def seal_key(request: pytest.FixtureRequest, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Data in the folder `other`, whose key is elsewhere; how to give it to a command."""
    shell.fill("https://a.example/")
    shell.data.rename("other")
    key = Path("other/ringback.key").rename("key")
    if request.param == "RINGBACK_SEAL_KEY":
        monkeypatch.setitem(os.environ, "RINGBACK_SEAL_KEY", key.read_text().strip())
        return ()
    return ("--seal-key-file", "key")


@ALL_COMMANDS
def test_a_seal_key_opens_only_a_folder_that_is_named(
    shell: Shell, command: tuple[str, ...], seal_key: tuple[str, ...]
) -> None:
    shell.planned("--data", "other", *seal_key)
    why = f"the plan is for the data folder {shell.folder / 'other'}, and a seal key is given, but"
    assert why in refused(shell, command, *seal_key)
    shell.said(command[0], "move.plan", *command[1:], *seal_key, "--data", "other")


def test_the_usual_folder_need_not_be_named(
    shell: Shell, seal_key: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.planned("--data", "other", *seal_key)
    monkeypatch.setitem(os.environ, "RINGBACK_DATA", "other")
    shell.said("status", "move.plan", *seal_key)
    monkeypatch.delitem(os.environ, "RINGBACK_DATA")
    Path("move.plan").unlink()
    Path("other").rename("ringback-data")
    shell.planned("--data", "ringback-data", *seal_key)
    shell.said("status", "move.plan", *seal_key)


@ALL_COMMANDS
def test_a_folder_with_its_own_key_need_not_be_named(
    shell: Shell, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.fill("https://a.example/")
    shell.planned("--data", "data")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    monkeypatch.setitem(os.environ, "RINGBACK_DATA", "not-there")
    shell.said(command[0], "../move.plan", *command[1:])


@ALL_COMMANDS
def test_a_plan_goes_on_in_the_folder_to_which_its_data_was_moved(
    shell: Shell, command: tuple[str, ...]
) -> None:
    shell.fill("https://a.example/")
    shell.planned("--data", "data")
    shell.data.rename("other")
    assert "there is no data in" in refused(shell, command)
    shell.said(command[0], "move.plan", *command[1:], "--data", "other")


@ALL_COMMANDS
def test_a_plan_is_refused_for_other_data(shell: Shell, command: tuple[str, ...]) -> None:
    shell.fill("https://a.example/")
    (header, _) = shell.planned("--data", "data")
    shell.data.rename("other")
    shell.fill("https://a.example/")
    said = refused(shell, command)
    assert f"the plan is for the data with the fingerprint {header['fingerprint']}, and" in said
    assert f"the data in {shell.data} has " in said
    assert shell.urls() == ["https://a.example/"]
    assert not Path("move.plan.journal").exists()


def test_a_plan_of_an_earlier_version_is_finished_and_reverted_in_its_own_folder_only(
    shell: Shell,
) -> None:
    shell.fill("https://a.example/")
    (header, edit) = shell.planned("--data", "data")
    Path("move.plan").write_text(f"{json.dumps(of_form_1(header))}\n{json.dumps(edit)}\n")
    shell.said("apply", "move.plan", "--no-probe")
    shell.data.rename("other")
    assert "and --data is /" in refused(shell, ("revert",), "--data", "other")
    Path("other").rename(shell.data)
    shell.said("revert", "move.plan", "--yes")
    assert shell.urls() == ["https://a.example/"]


@pytest.mark.parametrize(
    ("altered", "why"),
    [
        ({"form": 3}, f"has form 3, and this Ringback {__version__} knows only forms up to 2: use"),
        ({"form": 3, "version": None}, "use the version that made it"),
        (
            {"version": "99.1"},
            f"the plan was made by Ringback 99.1, and this is Ringback {__version__}: use",
        ),
        ({"form": "2"}, "this is not a plan"),
        ({"form": 0}, "this is not a plan"),
        ({"form": True}, "this is not a plan"),
        ({"version": "next"}, "this is not a plan"),
        ({"place_sha256": "0"}, "were altered"),
    ],
)
def test_the_form_and_the_version_of_a_plan_are_checked(
    shell: Shell, altered: dict[str, object], why: str
) -> None:
    shell.fill("https://a.example/")
    (header, _) = shell.planned("--data", "data")
    header["ringback_plan"] |= altered
    alter(header)
    for command in (("apply", "--no-probe"), ("status",), ("revert", "--yes")):
        assert why in refused(shell, command)


def test_a_plan_of_an_unknown_url_source_is_refused(shell: Shell) -> None:
    Path("urls.csv").write_text("url\n")
    (header,) = shell.planned("--csv", "urls.csv")
    alter(of_form_1(header), kind="tapes")
    assert "has an unknown kind of URL source" in shell.said("status", "move.plan", exit_code=1)
