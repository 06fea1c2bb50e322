"""The table `[destinations]` of the settings file, and the tables `[[destinations.for]]`."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from ringback.core.destinations.destination_settings import DestinationOrder
from ringback.core.destinations.effective_settings import (
    DestinationRule,
    SettingsOwner,
    effective_settings,
)
from ringback.core.errors import ConfigurationError
from ringback.core.retry_schedule import PERSISTENT
from ringback.ports import Lane
from ringback.settings.load import load
from tests.tls import pem_text

SID = "AC5ef8732a3c49700934481addd5ce1659"
LANE = Lane(SID, "https://a.example:443")
FORM = "the table [destinations] and each [[destinations.for]] may have rate, burst"
FOR = '[[destinations.for]]\ndestination = "*"\n'
Read = Callable[[str], tuple[DestinationRule, ...]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.toml"


@pytest.fixture
def read(path: Path) -> Read:
    def read(text: str) -> tuple[DestinationRule, ...]:
        path.write_text(text)
        return load({"settings": str(path)}, {}).destinations

    return read


def test_without_the_table_nothing_is_set(read: Read) -> None:
    assert read("") == ()
    assert read("[destinations]\n") == ()


def test_values_are_numbers_flags_or_texts(read: Read) -> None:
    (rule,) = read(
        "[destinations]\nrate = 20\ntotal_rate = 0.5\nburst = 3\nbreaker = true\nbreaker_4xx ="
        ' "no"\nhold = "90s"\nbreaker_window = 60\ndisable_after = "none"\norder = "sim"\n'
    )
    assert rule.owner is SettingsOwner.OPERATOR
    assert rule.is_in_file
    assert rule.covers(SID, LANE.destination)
    assert rule.given.values == {
        "rate": 20.0,
        "total_rate": 0.5,
        "burst": 3,
        "breaker": True,
        "breaker_4xx": False,
        "hold": timedelta(seconds=90),
        "breaker_window": timedelta(minutes=1),
        "disable_after": timedelta.max,
        "order": DestinationOrder.SIM,
    }


def test_a_table_can_be_for_an_account_or_a_destination_or_both(read: Read) -> None:
    rules = read(
        f'[destinations]\nrate = 9\n[[destinations.for]]\naccount_sid = "{SID.upper()}"\nrate = 8\n'
        '[[destinations.for]]\ndestination = "HTTPS://*.example"\nrate = 7\n'
        f'[[destinations.for]]\naccount_sid = "{SID}"\ndestination = "https://a.example/x/*"\n'
        "rate = 6\n"
    )
    assert [(rule.account_sid, rule.pattern.text) for rule in rules] == [
        ("*", "*"),
        (SID, "*"),
        ("*", "https://*.example:443"),
        (SID, "https://a.example:443/x/*"),
    ]
    covering = [rule for rule in rules if rule.covers(*LANE)]
    assert effective_settings(covering, PERSISTENT).rate == 7
    assert effective_settings(covering, PERSISTENT).origins["rate"] == (
        "the operator, in the settings, for https://*.example:443"
    )


def test_headers_are_a_table_or_a_list(read: Read) -> None:
    expected = (("X-Team", "meters"), ("X-Key", "a:b"))
    (one,) = read('[destinations]\nheaders = { X-Team = "meters", X-Key = "a:b" }')
    assert one.given.headers == expected
    (other,) = read('[destinations]\nheaders = ["X-Team: meters", "X-Key:a:b"]')
    assert other.given.headers == expected


def test_certificates_are_read_from_files(read: Read, tmp_path: Path) -> None:
    ca = trustme.CA()
    own = ca.issue_cert("ringback.example")
    pem = pem_text(*own.cert_chain_pems, own.private_key_pem)
    (tmp_path / "cert.pem").write_text(pem)
    (tmp_path / "ca.pem").write_text(pem_text(ca.cert_pem))
    certificate, authority = tmp_path / "cert.pem", tmp_path / "ca.pem"
    rule, other = read(
        f'[destinations]\nclient_certificate_file = "{certificate}"\nca_file = "{authority}"\n'
        f'{FOR}client_certificate_file = "none"\nca_file = "none"\n'
    )
    assert rule.given.client_certificate == pem
    assert rule.given.ca == pem_text(ca.cert_pem)
    # An empty text takes back what a more general table sets.
    assert (other.given.client_certificate, other.given.ca) == ("", "")


def test_events_need_the_account_that_sends_them(read: Read) -> None:
    rules = read(
        f'[destinations]\nnotify_account = "{SID}"\n{FOR}notify = "https://ops.example/#cbs=kore"\n'
    )
    found = effective_settings(rules, PERSISTENT).notify
    assert [(sid, url.configured) for sid, url in found] == [(SID, "https://ops.example/#cbs=kore")]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("destinations = 1", 1, "destinations must be written as [destinations]"),
        ('[destinations]\nfor = "x"', 2, "for must be written as [[destinations.for]]"),
        ("[destinations]\nfor = [1]", 2, "for must be written as [[destinations.for]]"),
        ("[destinations]\n\nrates = 1", 3, "rates is not a known key"),
        ("[destinations]\nrate = 0", 2, "rate: '0' is not a rate; write requests a second"),
        ("[destinations]\nrate = true", 2, "rate = true must be a number, or text in quotes"),
        ("[destinations]\nrate = [1]", 2, "rate = this value must be a number, or text in quotes"),
        ("[destinations]\nbreaker = 1", 2, "breaker = 1 must be true or false"),
        ("[destinations]\norder = 1", 2, "order = 1 must be text in quotes"),
        ('[destinations]\norder = "x"', 2, "order: 'x' is not an order; write none or sim"),
        ("[[destinations.for]]\nrate = 1", 1, "account_sid and destination are missing"),
        ("[[destinations.for]]\naccount_sid = 1", 2, "account_sid = 1 must be text in quotes"),
        ('[[destinations.for]]\naccount_sid = "x"', 2, "account_sid: 'x' is not the SID of an acc"),
        (
            '[[destinations.for]]\ndestination = "a.example"',
            2,
            "destination: 'a.example' is not a pattern of destinations: ",
        ),
        (f"{FOR}rate = 1\n{FOR}", 5, "another table is about the same account and destination"),
        (
            '[destinations]\negress = "cork"\n[egress]\ndublin = "127.0.0.2"',
            2,
            "egress = 'cork': there is no egress 'cork'; add it to the table [egress], or write one"
            " of those that it has: dublin",
        ),
        (
            '[destinations]\nnotify = "https://a.example"',
            2,
            "notify needs notify_account, the account whose secrets sign the events",
        ),
        ('[destinations]\nnotify = "a.example"', 2, "notify: "),
        (
            '[destinations]\nnotify = "https://a.example#cbs=acme"',
            2,
            "notify: #cbs=acme: cbs must be twilio or kore",
        ),
        (
            '[destinations]\nnotify = "https://a.example#e=cork"',
            2,
            "notify: there is no egress 'cork'; add it to the table [egress], or write one of those"
            " that it has: none",
        ),
        ('callback_ports = "443"\n[destinations]\nnotify = "https://a.example:444"', 3, "notify: "),
        ("[destinations]\nheaders = 1", 2, "headers: write them as a table like { X-Team"),
        ("[destinations]\nheaders = [1]", 2, "headers: write them as a table like { X-Team"),
        ("[destinations]\nheaders = { a = 1 }", 2, "headers: the value of a must be text in qu"),
        ('[destinations]\nheaders = ["hunter2"]', 2, "headers: a header has no colon; write it li"),
        (
            '[destinations]\nheaders = { X-Twilio-Signature = "hunter2" }',
            2,
            "headers: a source of callbacks sends the header X-Twilio-Signature; choose another",
        ),
        (
            '[destinations]\nca_file = "/none.pem"',
            2,
            "ca_file = '/none.pem': it can't be read: No such file or directory",
        ),
        ("[destinations]\nca_file = 1", 2, "ca_file = 1 must be text in quotes"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    read: Read, path: Path, text: str, line: int, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(text)
    message = str(refused.value)
    assert message.startswith(f"{path}:{line}: {problem}")
    assert FORM in message
    assert "hunter2" not in message


def test_a_file_that_is_no_certificate_is_refused(read: Read, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"\xffsecret")
    with pytest.raises(ConfigurationError) as refused:
        read(f'[destinations]\nca_file = "{tmp_path / "ca.pem"}"')
    assert "the CA has characters that PEM doesn't have" in str(refused.value)
    assert "\xff" not in str(refused.value)
    (tmp_path / "cert.pem").write_text("x")
    with pytest.raises(ConfigurationError, match="the client certificate has no certificate"):
        read(f'[destinations]\nclient_certificate_file = "{tmp_path / "cert.pem"}"')
