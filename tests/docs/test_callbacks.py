"""The documents show the callbacks and triggers that the code has."""

import re
from collections import Counter
from pathlib import Path

import pytest
from twilio.rest import Client

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.rendering import render
from ringback.core.events.payload import PARAMETERS, Event
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.core.sims.scenario import SCENARIOS, CarrierFailure, TaskKind
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged
from ringback.testing import Emulator
from ringback.triggers import TRIGGERS
from tests.fakes import AUTH_TOKEN, NOW, a_callback, an_account

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests/golden/captures"
OPERATIONS = ROOT / "src/ringback/operations"
PAGE = (ROOT / "docs/callbacks.md").read_text("utf-8")
SECTIONS: dict[str, type[Event]] = {
    "SIM update": SimUpdated,
    "SMS Commands": SmsCommandChanged,
    "IP Commands": IpCommandChanged,
    "eSIM Profiles": EsimProfileChanged,
    "SIM update of Programmable Wireless": SimUpdated,
    "Commands of Programmable Wireless": CommandChanged,
}
BLOCKS: list[tuple[str, str]] = re.findall(r"<!-- (.*?) -->\n```\n(.*?)\n```", PAGE, re.DOTALL)
ONE_SIM = "one SIM: "
"""What marks the callbacks that one SIM sends, one after the other."""
SHOWN = [(what, text) for what, text in BLOCKS if not what.startswith(ONE_SIM)]
NOT_TOLD = {TaskKind.END_SETTINGS}
"""The steps that can fail and have no callback."""


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("title", SECTIONS)
def test_each_parameter_stands_in_its_table_in_its_order(title: str) -> None:
    named = re.findall(r"^\| `(\w+)` \|", section(title), re.MULTILINE)
    assert named == [name for name, _ in PARAMETERS[SECTIONS[title]]]


def test_each_kind_of_callback_has_a_section() -> None:
    assert set(SECTIONS.values()) == set(PARAMETERS)


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown[0])
def test_each_request_is_shown_as_it_is_captured(shown: tuple[str, str]) -> None:
    what, text = shown
    name, _, part = what.partition(" ")
    captured = (CAPTURES / f"{name}.http").read_bytes().decode().replace("\r\n", "\n")
    head, _, body = captured.partition("\n\n")
    expected = body if part == "body" else captured.strip()
    assert head.startswith(("GET ", "POST "))
    assert text.replace("\n&", "&") == expected


SIGNED: list[tuple[str, str, str, str]] = re.findall(
    r"^  \| `(https?:[^`]*)` \| `((?:GET|POST) [^`]*)` \| `([^`]*)` \| `([^`]*)` \|$",
    PAGE,
    re.MULTILINE,
)


def test_urls_without_a_path_and_with_credentials_are_in_the_table_of_what_is_signed() -> None:
    urls = [CallbackUrl.parse(row[0]) for row in SIGNED]
    assert {"", "/"} < {url.path for url in urls}
    assert any(url.credentials for url in urls)
    assert {row[1].partition(" ")[0] for row in SIGNED} == {"GET", "POST"}


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("row", SIGNED, ids=lambda row: " ".join(row[:2]))
def test_what_is_signed_is_what_the_table_says(
    row: tuple[str, str, str, str], source: Source
) -> None:
    parameters = [("ApiVersion", "v1"), ("SimStatus", "active")]
    url, line, by_twilio, by_kore = (each.replace("…", encode(parameters)) for each in row)
    method = HttpMethod(line.partition(" ")[0])
    callback = a_callback(url=url, method=method, source=source, body=encode(parameters))
    request = render(callback, account=an_account(), at=NOW)
    headers = dict(request.headers)
    if source is Source.TWILIO:
        form = parameters if method is HttpMethod.POST else []
        expected = sign_as_twilio(by_twilio, form, auth_token=AUTH_TOKEN)
        assert headers["X-Twilio-Signature"] == expected
    else:
        expected = sign_as_kore(method, by_kore, request.body, secret=an_account().kore_secret)
        assert headers["Kore-Signature"] == expected
    assert request.to_bytes().startswith(f"{line} HTTP/1.1\r\n".encode())
    assert ("Authorization" in headers) == ("@" in url)


@pytest.mark.parametrize(
    "callback",
    [
        "inactive",
        "sms-sent",
        "sms-received",
        "ip-sent",
        "ip-received",
        "esim-available",
        "command-delivered",
        "command-received",
    ],
)
def test_each_callback_is_shown_as_it_is_sent(callback: str) -> None:
    assert any(f"post-{callback}" in what for what, _ in SHOWN)


def test_what_is_told_twice_is_shown_as_one_sim_sends_it() -> None:
    pair = [text.replace("\n&", "&") for what, text in BLOCKS if what.startswith(ONE_SIM)]
    with Emulator() as ringback:
        client = Client(ringback.account_sid, ringback.auth_token)
        client.wireless.base_url = ringback.wireless_base_url
        client.wireless.v1.sims(ringback.wireless_sim_sid).update(
            status="deactivated", callback_url=ringback.receiver.url("/told")
        )
        ringback.advance("71h")
        before = [request.body.decode() for request in ringback.receiver.requests]
        ringback.advance("1h")
        told = [request.body.decode() for request in ringback.receiver.requests]
    assert (before, told) == (pair[:1], pair)


def test_the_first_tables_name_a_trigger_for_each_callback_of_both_products() -> None:
    named = re.findall(r"\| `ringback trigger ([\w.-]+)` \|", PAGE)
    assert set(named) <= set(TRIGGERS)
    assert Counter(TRIGGERS[name].product for name in named) == {"supersim": 6, "wireless": 4}


def test_each_code_that_anything_fails_with_is_explained() -> None:
    of_scenarios = {
        str(result.code)
        for scenario in SCENARIOS.values()
        for step, result in scenario.results.items()
        if isinstance(result, CarrierFailure) and step not in NOT_TOLD
    }
    sources = [path.read_text("utf-8") for path in OPERATIONS.rglob("*.py")]
    beside = {code for text in sources for code in re.findall(r"CarrierFailure\(\s*(\d+)", text)}
    explained = re.findall(r"^\| `(\d+)` \|", PAGE, re.MULTILINE)
    assert set(explained) == of_scenarios | beside
    assert len(explained) == len(set(explained))
