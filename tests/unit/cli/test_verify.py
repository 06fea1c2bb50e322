"""`ringback verify`: what it says of a captured request, and how it ends."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.core.callbacks.rendering import render
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_twilio
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.portal_client import PortalClient
from ringback.testing import Emulator
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    KORE_SECRET,
    NOW,
    SIM_SID,
    TOKENS,
    a_callback,
    an_account,
)
from tests.golden.test_golden import CAPTURES
from tests.unit.captures import writers

URL = "http://your-callback-url.com/path?foo=bar#cbs=kore"
SECRETS = ("--auth-token", AUTH_TOKEN, "--kore-secret", KORE_SECRET)
GENUINE, REJECTED, UNREADABLE = 0, 1, 2

# As it stands in the notice, tunnel and all. What it was signed with is nobody's to know.
NOTICE = """\
POST /path?foo=bar

REQUEST CONTENT:
ApiVersion=v1&SimUniqueName=my_super_sim&SimSid=HSab3f06be8f5d32caecb91e8a306c6c08&SimStatus=active&AccountSid=AC3ba717b1d236e6c4a835e46130267eb4

HEADERS:
Host: 0956-2003-cf-5743-1000-651f-7e56-33f7-c3b3.ngrok-free.app
User-Agent: KoreProxy/1.1
Content-Length: 161
Accept: */*
Accept-Encoding: gzip, deflate
Content-Type: application/x-www-form-urlencoded; charset=utf-8
Cookie: foo=bar
Date: 2024-07-03T14:40:58Z
Kore-Idempotency-Token: RQa48ec9b6ef475034c35566c02b654243
Kore-Signature: {signature}
X-Forwarded-For: 98.80.223.69
X-Forwarded-Host: your-callback-url.com
X-Forwarded-Proto: http
"""
PRINTED = "2fdbc0ab1394cc8d37b8dabb74634aa9a951021a9b161f9c7a2186dc490b18b9"


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., Result]:
    """Run the command where there is no dev.json, or where one is in `tmp_path`."""

    def run(*words: str, given: bytes | str = b"") -> Result:
        folder = ("--data", str(tmp_path))
        result = CliRunner().invoke(main, ["verify", *folder, *words], input=given)
        assert KORE_SECRET not in result.output
        assert AUTH_TOKEN not in result.output
        return result

    return run


REFERENCE = (Path(__file__).parents[3] / "docs/reference/commands/verify.md").read_text("utf-8")


def golden(name: str) -> str:
    return str(CAPTURES / f"{name}.http")


def sent(source: Source = Source.KORE, url: str = URL) -> OutgoingRequest:
    return render(a_callback(url=url, source=source), account=an_account(), at=NOW)


def sent_with_secret(kore_secret: str) -> OutgoingRequest:
    account = an_account(kore_secret=kore_secret)
    return render(a_callback(url=URL, source=Source.KORE), account=account, at=NOW)


def as_json(result: Result) -> dict[str, Any]:
    return json.loads(result.stdout)


# ---- what is genuine ----------------------------------------------------------------------------


@pytest.mark.parametrize("source", Source)
def test_a_genuine_request_is_accepted_and_says_what_it_tells(
    source: Source, verify: Callable[..., Result]
) -> None:
    result = verify(golden(f"{source}-post-inactive"), "--url", URL, *SECRETS)
    assert result.exit_code == GENUINE
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    assert result.stdout.startswith("accepted: the signature is right\n")
    for said in (
        ["source", source],
        ["token", TOKENS[source]],
        ["url", URL],
        ["parameters", "signed"],
        ["event", "SimUpdated"],
        ["sim_sid", SIM_SID],
        ["sim_status", "inactive"],
    ):
        assert said in lines


def test_of_a_get_of_kore_s_it_says_that_the_parameters_are_not_signed(
    verify: Callable[..., Result],
) -> None:
    result = verify(golden("kore-get-inactive"), "--url", URL, *SECRETS)
    assert result.exit_code == GENUINE
    assert "not signed: KORE does not sign the query" in result.stdout


@pytest.mark.parametrize("write", writers.WRITERS, ids=lambda write: write.__name__)
def test_each_form_is_taken_from_the_input(
    write: Callable[[OutgoingRequest], bytes], verify: Callable[..., Result]
) -> None:
    result = verify("--json", *SECRETS, given=write(sent()))
    assert result.exit_code == GENUINE
    assert as_json(result)["accepted"] is True


def test_json_has_all_of_it(verify: Callable[..., Result]) -> None:
    given = writers.raw_with_short_line_breaks(sent(Source.TWILIO))
    assert as_json(verify("-", "--json", *SECRETS, given=given)) == {
        "accepted": True,
        "reason": None,
        "explanation": None,
        "answer": 200,
        "source": "twilio",
        "token": TOKENS[Source.TWILIO],
        "method": "POST",
        "target": "/path?foo=bar",
        "urls": ["http://your-callback-url.com/path?foo=bar"],
        "parameters_are_signed": True,
        "unknown_names": [],
        "event": {
            "type": "SimUpdated",
            "account_sid": ACCOUNT_SID,
            "sim_sid": SIM_SID,
            "sim_unique_name": "my_super_sim",
            "sim_status": "inactive",
            "error_code": None,
            "error_message": None,
        },
        "read_as": "raw",
        "notes": ["the line break after the body was left out, as its Content-Length says"],
    }


def test_a_test_event_is_told_with_its_time(verify: Callable[..., Result]) -> None:
    result = verify(golden("kore-post-test-event"), *SECRETS)
    assert result.exit_code == GENUINE
    assert "event       TestEvent" in result.stdout
    assert "time     2024-09-25T19:09:48.584208+00:00\n" in result.stdout
    told = as_json(verify(golden("kore-post-test-event"), *SECRETS, "--json"))["event"]
    assert told["time"] == "2024-09-25T19:09:48.584208+00:00"


def test_one_of_several_entries_is_taken_by_its_number(verify: Callable[..., Result]) -> None:
    given = writers.har(sent(Source.TWILIO), sent(Source.KORE))
    unclear = verify(*SECRETS, given=given)
    assert unclear.exit_code == UNREADABLE
    assert "2 requests have a signature; pick one with --entry:\n  1  POST http" in unclear.stderr
    assert as_json(verify("--entry", "2", "--json", *SECRETS, given=given))["source"] == "kore"


def test_the_reference_shows_what_is_printed(tmp_path: Path, verify: Callable[..., Result]) -> None:
    (request,) = re.findall(r"^```http\n(.*?)^```$", REFERENCE, re.DOTALL | re.MULTILINE)
    file = tmp_path / "callback.http"
    file.write_text(request, "utf-8")
    shown = re.findall(
        r"^ringback verify callback\.http ([^\n]*)\n```\n\n```text\n(.*?)^```$",
        REFERENCE,
        re.DOTALL | re.MULTILINE,
    )
    for words, printed in shown:
        flags = shlex.split(words.replace("$SAMPLE_SECRET", KORE_SECRET))
        pattern = ".*".join(map(re.escape, printed.split("…")))
        assert re.fullmatch(pattern, verify(str(file), *flags).stdout, re.DOTALL)
    assert f"SAMPLE_SECRET={KORE_SECRET}\n" in REFERENCE
    assert len(shown) == 2


# ---- for which URL ------------------------------------------------------------------------------


def test_without_a_url_both_schemes_are_tried(verify: Callable[..., Result]) -> None:
    for scheme in ("http", "https"):
        request = sent(url=f"{scheme}://a.example/p")
        found = as_json(verify("--json", *SECRETS, given=request.to_bytes()))
        assert found["accepted"] is True
        assert found["urls"] == [f"{scheme}://a.example/p"]


def test_a_url_that_is_given_is_the_only_one(verify: Callable[..., Result]) -> None:
    found = as_json(
        verify(golden("kore-post-inactive"), "--url", "https://b/p?foo=bar", "--json", *SECRETS)
    )
    assert (found["reason"], found["urls"]) == ("url_differs", ["https://b/p?foo=bar"])
    assert "it was signed for http://your-callback-url.com/path" in found["explanation"]


def test_a_url_may_have_a_place_for_the_tenant(verify: Callable[..., Result]) -> None:
    words = ("--url", "http://{tenant}.com/path?foo=bar", *SECRETS)
    assert verify(golden("kore-post-inactive"), *words).exit_code == GENUINE


def test_braces_that_a_request_brings_are_no_place_for_a_tenant(
    verify: Callable[..., Result],
) -> None:
    request = sent(Source.TWILIO, "https://a.example/p?x={y}")
    assert verify(*SECRETS, given=request.to_bytes()).exit_code == GENUINE


def test_the_credentials_of_a_url_are_not_shown(verify: Callable[..., Result]) -> None:
    words = ("--url", "http://user:password@your-callback-url.com/path?foo=bar", *SECRETS)
    result = verify(golden("kore-post-inactive"), *words)
    assert result.exit_code == GENUINE
    assert "password" not in result.output


def test_without_a_request_line_the_url_has_to_be_given(verify: Callable[..., Result]) -> None:
    _, _, headers_and_body = sent().to_bytes().partition(b"\r\n")
    refused = verify(*SECRETS, given=headers_and_body)
    assert refused.exit_code == UNREADABLE
    assert "it lacks the request line or the Host header): give --url" in refused.stderr
    accepted = verify("--url", URL, *SECRETS, given=headers_and_body)
    assert accepted.exit_code == GENUINE
    assert "note        there is no request line" in accepted.stdout


def test_a_request_that_names_no_url_that_can_be_called_is_refused(
    verify: Callable[..., Result],
) -> None:
    refused = verify(*SECRETS, given="POST /é HTTP/1.1\nHost: a\n\nx=1")
    assert refused.exit_code == UNREADABLE
    assert "has the character 'é'; in a URL it is written %C3%A9" in refused.stderr


# ---- what is rejected ---------------------------------------------------------------------------


def test_a_wrong_secret_is_told_with_what_else_it_may_be(verify: Callable[..., Result]) -> None:
    result = verify(golden("kore-post-inactive"), "--kore-secret", "another")
    assert result.exit_code == REJECTED
    assert result.stdout.startswith("rejected: not explained\n  why     wrong secret, or the URL")
    assert "if the callback is configured with another URL, give it with --url" in result.stdout
    assert "answer  403, from a receiver with these secrets" in result.stdout
    assert "event   SimUpdated, if the request is genuine" in result.stdout


def test_a_pending_secret_explains_whatever_the_scheme_is(verify: Callable[..., Result]) -> None:
    words = ("--kore-secret", "another", "--pending-kore-secret", KORE_SECRET, "--json")
    found = as_json(verify(golden("kore-post-inactive"), *words))
    assert found["reason"] == "pending_secret"
    assert found["urls"] == ["http://your-callback-url.com/path?foo=bar"]
    assert found["parameters_are_signed"] is None


def test_a_body_that_got_shorter_on_the_way_is_told(verify: Callable[..., Result]) -> None:
    given = sent().to_bytes().replace(b"SimStatus=inactive", b"SimStatus=new")
    result = verify("--url", URL, *SECRETS, given=given)
    assert result.exit_code == REJECTED
    assert "the body has 142 bytes: has it been cut off?" in result.stdout


def test_what_comes_from_outside_can_t_steer_a_terminal(verify: Callable[..., Result]) -> None:
    given = "POST /p HTTP/1.1\nHost: a\nKore-Signature: \x1b[2J\n\nSimSid=%1b%5b2J&x=%1b"
    result = verify(*SECRETS, given=given)
    assert result.exit_code == REJECTED
    assert "\x1b" not in result.output
    assert r"      SimSid  \x1b[2J" in result.stdout


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_notice_s_own_sample_is_read_as_it_is_pasted(
    end: str, verify: Callable[..., Result]
) -> None:
    found = as_json(verify("--json", *SECRETS, given=NOTICE.format(signature=PRINTED) + end))
    assert found["reason"] == "not_explained"
    assert found["source"] == "kore"
    assert found["token"] == TOKENS[Source.KORE]
    assert found["event"]["sim_status"] == "active"
    assert found["notes"] == [
        "the Content-Length is 161, but the body has 145 bytes: has it been cut off?"
        " The body is checked as it is"
    ]


def test_the_notice_s_sample_is_genuine_where_it_is_signed_with_our_secret(
    verify: Callable[..., Result],
) -> None:
    active = (CAPTURES / "kore-post-active.http").read_text("utf-8")
    [signature] = [line[16:] for line in active.splitlines() if line.startswith("Kore-Signature")]
    found = as_json(verify("--json", *SECRETS, given=NOTICE.format(signature=signature)))
    assert found["accepted"] is True
    assert found["urls"] == ["http://your-callback-url.com/path?foo=bar"]


# ---- the secrets --------------------------------------------------------------------------------


def write_dev_file(folder: Path) -> None:
    texts = dict.fromkeys(DevServerDetails.__dataclass_fields__, "")
    DevServerDetails(**{**texts, "auth_token": AUTH_TOKEN, "kore_secret": KORE_SECRET}).write(
        folder
    )


@pytest.mark.parametrize("source", Source)
def test_without_a_secret_those_of_ringback_dev_are_taken(
    source: Source, tmp_path: Path, verify: Callable[..., Result]
) -> None:
    write_dev_file(tmp_path)
    assert verify(golden(f"{source}-post-inactive")).exit_code == GENUINE


def test_a_pending_secret_that_is_given_stands_beside_those_of_ringback_dev(
    tmp_path: Path, verify: Callable[..., Result]
) -> None:
    write_dev_file(tmp_path)
    pending = sent_with_secret("next").to_bytes()
    found = as_json(verify("--pending-kore-secret", "next", "--json", given=pending))
    assert found["reason"] == "pending_secret"


def test_a_shared_key_checks_what_twilio_signs_with_one(verify: Callable[..., Result]) -> None:
    signature = sign_as_twilio("https://a/p", [("x", "1")], auth_token="key", digest="sha256")
    given = f"""\
POST /p HTTP/1.1
Host: a
X-Twilio-Signature: {signature}
X-Twilio-Webhooks-Signature-Settings: algorithm=HMAC_SHA256

x=1"""
    assert verify("--shared-key", "key", given=given).exit_code == GENUINE
    assert verify("--shared-key", "other", "--shared-key", "key", given=given).exit_code == GENUINE
    assert verify("--shared-key", "other", given=given).exit_code == REJECTED


def test_a_secret_that_is_given_stands_in_for_all_of_ringback_dev_s(
    tmp_path: Path, verify: Callable[..., Result]
) -> None:
    write_dev_file(tmp_path)
    found = as_json(verify(golden("twilio-post-inactive"), "--kore-secret", "another", "--json"))
    assert found["reason"] == "no_secret"


def test_with_no_secret_at_all_nothing_is_said(verify: Callable[..., Result]) -> None:
    for words in ((), ("--pending-kore-secret", KORE_SECRET)):
        result = verify(golden("kore-post-inactive"), *words)
        assert result.exit_code == UNREADABLE
        assert "give --auth-token, --kore-secret or --shared-key" in result.stderr


def test_an_empty_secret_is_refused(verify: Callable[..., Result]) -> None:
    result = verify(golden("kore-post-inactive"), "--kore-secret", "")
    assert result.exit_code == UNREADABLE
    assert "anybody could sign with it" in result.stderr


# ---- a callback by its SID ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def ringback() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def sid(ringback: Emulator) -> str:
    """The SID of a callback that could not be delivered."""
    portal = PortalClient(ringback.base_url, ringback.account_sid, ringback.auth_token)
    body = {"url": "http://127.0.0.1:9/hook#cbs=kore&rc=0", "parameters": {"a": "1"}}
    sent = portal.send_json("POST", "callbacks", body=body)["sid"]
    assert list(portal.attempts_when_ended([sent])) != [[]]
    return sent


def write_dev_file_of(ringback: Emulator, folder: Path) -> None:
    texts = dict.fromkeys(DevServerDetails.__dataclass_fields__, "")
    known = {
        "base_url": ringback.base_url,
        "account_sid": ringback.account_sid,
        "auth_token": ringback.auth_token,
        "kore_secret": ringback.kore_secret,
    }
    DevServerDetails(**{**texts, **known}).write(folder)


def test_a_callback_of_ringback_dev_is_found_by_its_sid(
    ringback: Emulator, sid: str, tmp_path: Path, verify: Callable[..., Result]
) -> None:
    write_dev_file_of(ringback, tmp_path)
    found = as_json(verify(sid, "--json"))
    assert (found["accepted"], found["source"], found["read_as"]) == (True, "kore", "show")
    assert verify(sid, "--kore-secret", "another").exit_code == REJECTED


@pytest.mark.parametrize("form", [(), ("--json",)], ids=str)
def test_what_callbacks_show_prints_is_read(
    ringback: Emulator,
    sid: str,
    form: tuple[str, ...],
    tmp_path: Path,
    verify: Callable[..., Result],
) -> None:
    write_dev_file_of(ringback, tmp_path)
    words = ["callbacks", "show", sid, "--data", str(tmp_path), *form]
    shown = CliRunner().invoke(main, words).output
    assert verify(given=shown).exit_code == GENUINE
    assert verify(given=shown.replace("a=1", "a=2")).exit_code == REJECTED


def test_a_callback_of_another_server_is_checked_with_the_given_secrets(
    ringback: Emulator, sid: str, verify: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ("--server", ringback.base_url, "--account-sid", ringback.account_sid)
    secrets = ("--auth-token", ringback.auth_token, "--kore-secret", ringback.kore_secret)
    assert verify(sid, *server, *secrets).exit_code == GENUINE
    monkeypatch.setenv("RINGBACK_AUTH_TOKEN", ringback.auth_token)
    assert verify(sid, *server, "--kore-secret", ringback.kore_secret).exit_code == GENUINE
    refused = verify(sid, *server)
    assert refused.exit_code == UNREADABLE
    assert "give those of the account at" in refused.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "start `ringback dev` (make run) first"),
        (("--account-sid", "AC1"), "also give --server and --auth-token"),
    ],
)
def test_a_sid_without_a_server_can_t_be_checked(
    words: tuple[str, ...], why: str, verify: Callable[..., Result]
) -> None:
    result = verify(f"CB{0:032}", *words)
    assert result.exit_code == UNREADABLE
    assert why in result.stderr
    error = json.loads(verify(f"CB{0:032}", *words, "--json").stderr)
    assert error["exit_code"] == UNREADABLE


# ---- what can't be read -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (("-",), "", "nothing was given; expected an HTTP request"),
        (("--entry", "2"), "GET / HTTP/1.1\nHost: a", "there is no entry 2"),
        (("--entry", "0"), "", "0 is not in the range x>=1"),
        (("nowhere.http",), "", "'nowhere.http': No such file or directory"),
        (("--url", "ftp://a/"), "GET / HTTP/1.1\nHost: a", "callbacks go to http:// or https://"),
    ],
)
def test_what_can_t_be_read_ends_in_two(
    words: tuple[str, ...], given: str, said: str, verify: Callable[..., Result]
) -> None:
    result = verify(*words, *SECRETS, given=given)
    assert result.exit_code == UNREADABLE
    assert said in result.stderr
    assert result.stdout == ""


def test_the_process_itself_ends_so() -> None:
    def status(given: bytes) -> int:
        words = [sys.executable, "-m", "ringback", "verify", *SECRETS]
        return subprocess.run(words, input=given, capture_output=True, check=False).returncode

    request = sent().to_bytes()
    changed = request.replace(b"inactive", b"activeXX")
    assert [status(given) for given in (request, changed, b"?")] == [0, 1, 2]


def test_at_a_terminal_it_says_that_it_waits_and_for_what() -> None:
    keyboard, terminal = pty.openpty()
    words = [sys.executable, "-m", "ringback", "verify", *SECRETS]
    try:
        with subprocess.Popen(
            words, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            os.write(keyboard, b"GET /p HTTP/1.1\nHost: a\n\x04")
            said, asked = process.communicate()
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert asked == b"paste the request, then press Ctrl-D on a line of its own\n"
    assert said.startswith(b"rejected: no signature\n")
