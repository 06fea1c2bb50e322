"""Destinations in the portal: who sees and sets what, and which value is in force."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
import trustme
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.dependencies import ApiDependencies
from ringback.core.calendar import iso
from ringback.core.callback_counts import ATTEMPT_SECONDS, CallbackCounts, CountedMinute
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.destinations.destination_settings import DestinationValues
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.events.event_kinds import DestinationEventKind
from ringback.core.policy.source_policy import Source
from ringback.operations.destinations import MOST_PATTERNS
from ringback.ports import (
    AuditFilter,
    CallbackFilter,
    Lane,
    PageWindow,
    Store,
    StoredDestinationSettings,
)
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, FakeClock, a_callback, an_api_key
from tests.tls import pem_text
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import THEIRS, dependencies_on

PATH = "/portal/v1/destinations"
HERE = "https://a.example:443"
LANE = Lane(ACCOUNT_SID, HERE)
MINUTE = timedelta(minutes=1)
A_RECORD = StoredDestinationSettings(
    sid="DT" + "0" * 32,
    owner=SettingsOwner.ACCOUNT,
    account_sid=ACCOUNT_SID,
    pattern=HERE,
    given=DestinationValues({"rate": 1.0}),
    date_updated=NOW,
)


@pytest.fixture
def dependencies(store: Store, clock: FakeClock, callback_queue: RecordingQueue) -> ApiDependencies:
    return dependencies_on(store, clock=clock, callback_queue=callback_queue)


@pytest.fixture
def app(dependencies: ApiDependencies) -> ASGIApp:
    return create_app(dependencies)


@pytest.fixture
async def operator(app: ASGIApp, store: Store) -> Caller:
    key = an_api_key("SK" + "0" * 32, None, "operator's")
    await store.transact(lambda tx: tx.accounts.keys.add(key))
    return Caller(app, credentials=(key.sid, "operator's"))


@pytest.fixture
async def they(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(THEIRS, AUTH_TOKEN))


async def add(store: Store, *urls: str, account_sid: str = ACCOUNT_SID) -> list[CallbackRecord]:
    made = [
        a_callback(account_sid=account_sid, url=url)._replace(
            sid=f"CB{abs(hash((url, account_sid))):032x}", idempotency_token=url + account_sid
        )
        for url in urls
    ]
    await store.transact(lambda tx: [tx.callbacks.add(one) for one in made])
    return made


async def one_of(caller: Caller, destination: str = HERE) -> dict[str, Any]:
    answer = await caller.get(f"{PATH}/one?Destination={destination}&AccountSid={ACCOUNT_SID}")
    assert answer.status == 200, answer.body
    return answer.json


async def settings_of(caller: Caller, destination: str = HERE) -> dict[str, str]:
    """Return each setting in force, with its origin unless that is the default."""
    found = (await one_of(caller, destination))["settings"]
    return {
        each["name"]: each["value"]
        if each["origin"] == "the default"
        else f"{each['value']} ({each['origin']})"
        for each in found
    }


async def change(caller: Caller, form: Mapping[str, str], verb: str = "") -> Answer:
    answer = await caller.post(f"{PATH}{verb}", {"Destination": HERE, **form})
    assert answer.status == 200, answer.body
    return answer


def values_in(answer: Answer) -> dict[str, str]:
    return {each["name"]: each["value"] for each in answer.json["settings"]}


# ---- showing -------------------------------------------------------------------------------------


async def test_a_destination_exists_as_soon_as_a_callback_goes_there(
    caller: Caller, store: Store
) -> None:
    unknown = await caller.get(f"{PATH}/one?Destination={HERE}")
    assert unknown.status == 400
    assert "no callback was ever sent to https://a.example:443" in unknown.json["message"]
    assert (await caller.get(PATH)).json["destinations"] == []
    await add(store, "https://a.example/hook")
    (listed,) = (await caller.get(PATH)).json["destinations"]
    assert listed == {
        "account_sid": ACCOUNT_SID,
        "destination": HERE,
        "state": "well",
        "why": None,
        "since": None,
        "until": None,
        "waiting": 1,
        "waiting_has_more": False,
        "oldest_due": "2024-07-03T14:40:58Z",
        "attempts_last_hour": 0,
        "last_hour_is_incomplete": False,
        "success_percent": None,
        "attempt_p50": None,
        "attempt_p95": None,
        "minutes": None,
        "rate": "none",
        "burst": 1,
        "window": None,
    }
    shown = await one_of(caller)
    assert {name: shown[name] for name in listed} == listed
    assert shown["changes"] == []


async def test_all_settings_are_shown_with_their_defaults(caller: Caller, store: Store) -> None:
    await add(store, "https://a.example/hook")
    assert await settings_of(caller) == {
        "rate": "none",
        "burst": "1",
        "total_rate": "none",
        "total_burst": "1",
        "hold": "none",
        "breaker": "no",
        "breaker_share": "70",
        "breaker_window": "5m",
        "breaker_least": "10",
        "breaker_4xx": "no",
        "disable_after": "none",
        "disable_on_gone": "no",
        "order": "none",
        "egress": "none",
        "notify": "none",
        "headers": "none",
        "client_certificate": "none",
        "ca": "none",
    }


async def test_what_was_set_is_shown_without_its_secrets(caller: Caller, store: Store) -> None:
    ca = trustme.CA()
    own = ca.issue_cert("ringback.example")
    form = [
        ("Destination", HERE),
        ("Rate", "20"),
        ("Breaker", "yes"),
        ("Notify", "https://user:hunter2@events.example/hunter2"),
        ("Header", "X-Team: hunter2"),
        ("Header", "X-Key:hunter2"),
        ("ClientCertificate", pem_text(*own.cert_chain_pems, own.private_key_pem)),
        ("Ca", pem_text(ca.cert_pem)),
    ]
    answer = await caller.post(PATH, form)
    assert answer.status == 200
    set_now = values_in(answer)
    assert (set_now["rate"], set_now["notify"]) == ("20", "(secret)")
    assert set_now["headers"] == "X-Team: (hidden), X-Key: (hidden)"
    for name in ("client_certificate", "ca"):
        assert "OU=" in set_now[name]
        assert ", until " in set_now[name]
    shown = await one_of(caller)
    by = "the account, at run time, for https://a.example:443"
    in_force = await settings_of(caller)
    assert in_force["rate"] == f"20 ({by})"
    assert in_force["burst"] == "5"
    assert in_force["headers"] == f"X-Team: (hidden), X-Key: (hidden) ({by})"
    assert in_force["notify"] == f"(secret) ({by})"
    assert (shown["rate"], shown["burst"]) == ("20", 5)
    (made,) = shown["changes"]
    assert (made["action"], made["actor"], made["subject"]) == ("SetDestination", ACCOUNT_SID, HERE)
    entries = await store.read(lambda tx: tx.audit.page(ACCOUNT_SID, AuditFilter(), PageWindow(9)))
    assert entries[0].after is not None
    assert entries[0].after["headers"] == "(secret)"
    for text in (answer.body.decode(), str(shown), str(entries)):
        assert "hunter2" not in text
        assert "PRIVATE KEY" not in text


async def test_a_pattern_without_callbacks_is_listed_as_well(
    caller: Caller, operator: Caller
) -> None:
    await caller.post(PATH, {"Destination": "https://*.B.example/app/*", "Rate": "3"})
    await operator.post(PATH, {"Destination": "*", "Rate": "4"})
    found = (await caller.get(PATH)).json
    (pattern,) = found["patterns"]
    assert (pattern["owner"], pattern["pattern"]) == ("account", "https://*.b.example:443/app/*")
    assert pattern["settings"] == [{"name": "rate", "value": "3"}]
    (for_all,) = (await operator.get(PATH)).json["patterns"]
    assert (for_all["owner"], for_all["account_sid"], for_all["pattern"]) == ("operator", None, "*")
    (theirs,) = (await operator.get(f"{PATH}?AccountSid={ACCOUNT_SID}")).json["patterns"]
    assert theirs == pattern


async def test_a_list_goes_on_from_page_to_page(
    caller: Caller, operator: Caller, store: Store
) -> None:
    await add(store, *(f"https://{name}.example/" for name in "dbca"))
    await add(store, "https://a.example/", account_sid=THEIRS)
    found, token = list[str](), ""
    for _ in range(2):
        page = (await caller.get(f"{PATH}?PageSize=3&PageToken={token}")).json
        found += [one["destination"] for one in page["destinations"]]
        token = (page["next_page_token"] or "").replace(" ", "+")
    assert found == [f"https://{name}.example:443" for name in "abcd"]
    page = (await operator.get(f"{PATH}?PageSize=4")).json
    rest = await operator.get(f"{PATH}?PageToken={page['next_page_token'].replace(' ', '+')}")
    assert [one["account_sid"] for one in rest.json["destinations"]] == [THEIRS]
    odd = await caller.get(f"{PATH}?PageToken=odd")
    assert odd.status == 400
    assert "PageToken='odd' is not a page token" in odd.json["message"]


async def test_a_list_can_be_of_those_in_one_state(caller: Caller, store: Store) -> None:
    await add(store, *(f"https://{name}.example/" for name in "abc"))
    disabled = DestinationState(disabled=NOW, disabled_why="it is gone")
    await store.transact(
        lambda tx: tx.destinations.save_state(Lane(ACCOUNT_SID, "https://c.example:443"), disabled)
    )
    page = (await caller.get(f"{PATH}?State=disabled&PageSize=1")).json
    assert [one["destination"] for one in page["destinations"]] == ["https://c.example:443"]
    assert page["patterns"] == []
    both = (await caller.get(f"{PATH}?State=well")).json["destinations"]
    assert [one["destination"] for one in both] == [
        "https://a.example:443",
        "https://b.example:443",
    ]


async def names_of_all_pages(caller: Caller, query: str) -> tuple[list[str], int]:
    """Return the first letters of the destinations of all pages, and the number of pages."""
    found, token, pages = list[str](), "", 0
    while pages < 10:
        page = (await caller.get(f"{PATH}?{query}&PageToken={quote_plus(token)}")).json
        pages += 1
        found += [one["destination"][len("https://")] for one in page["destinations"]]
        token = page["next_page_token"]
        if token is None:
            break
    return found, pages


@pytest.mark.parametrize("size", [1, 2, 3, 4, 50])
async def test_a_list_can_begin_with_those_that_are_not_well(
    caller: Caller, store: Store, size: int
) -> None:
    await add(store, *(f"https://{name}.example/" for name in "abcde"))
    disabled = DestinationState(disabled=NOW, disabled_why="it is gone")
    await store.transact(
        lambda tx: tx.destinations.save_state(Lane(ACCOUNT_SID, "https://d.example:443"), disabled)
    )
    await caller.post(f"{PATH}/pause", {"Destination": "https://b.example"})
    found, _ = await names_of_all_pages(caller, f"Order=trouble&PageSize={size}")
    assert found == [*"bdace"]
    assert (await names_of_all_pages(caller, f"PageSize={size}"))[0] == [*"abcde"]


async def test_the_first_page_has_the_patterns_in_any_order(caller: Caller, store: Store) -> None:
    await add(store, "https://a.example/", "https://b.example/")
    await caller.post(PATH, {"Destination": "https://*.example", "Rate": "3"})
    first = (await caller.get(f"{PATH}?Order=trouble&PageSize=1")).json
    assert [one["pattern"] for one in first["patterns"]] == ["https://*.example:443"]
    token = quote_plus(first["next_page_token"])
    assert (await caller.get(f"{PATH}?Order=trouble&PageToken={token}")).json["patterns"] == []


async def test_a_list_can_be_of_those_with_a_text(caller: Caller, store: Store) -> None:
    await add(store, "https://a.example/", "https://b.example:8443/", "https://c.example/")
    found = await names_of_all_pages(caller, "Text=B.EXAMPLE:84&PageSize=1")
    assert found[0] == ["b"]
    assert (await names_of_all_pages(caller, "Text=nowhere"))[0] == []
    assert (await names_of_all_pages(caller, "Text=example&Order=trouble"))[0] == [*"abc"]


async def test_what_is_set_for_exactly_this_destination_is_shown_with_it(
    caller: Caller, operator: Caller, store: Store
) -> None:
    await add(store, "https://a.example/hook")
    await caller.post(PATH, {"Destination": HERE, "Rate": "20", "Header": "X-A: hunter2"})
    await caller.post(PATH, {"Destination": "https://*.example", "Rate": "30"})
    await operator.post(PATH, {"Destination": HERE, "AccountSid": ACCOUNT_SID, "Rate": "10"})
    shown = await one_of(caller)
    assert [(one["owner"], one["settings"]) for one in shown["set_here"]] == [
        (
            "account",
            [{"name": "rate", "value": "20"}, {"name": "headers", "value": "X-A: (hidden)"}],
        ),
        ("operator", [{"name": "rate", "value": "10"}]),
    ]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            DestinationState(disabled=NOW, disabled_why="it is gone", opened=NOW - MINUTE),
            ("disabled", "the destination is disabled: it is gone", NOW, None),
        ),
        (
            DestinationState(opened=NOW - MINUTE, probe_at=NOW + MINUTE),
            ("open", "the breaker of the destination is open", NOW - MINUTE, NOW + MINUTE),
        ),
        (
            DestinationState(opened=NOW - MINUTE, probe_at=NOW - MINUTE),
            ("open", "the breaker of the destination is open", NOW - MINUTE, NOW),
        ),
        (
            DestinationState(held_until=NOW + MINUTE),
            ("held", "the receiver has asked to wait (Retry-After)", None, NOW + MINUTE),
        ),
        (DestinationState(held_until=NOW), ("well", None, None, None)),
        (
            DestinationState(failing_since=NOW - MINUTE),
            ("failing", "many of the last requests failed", NOW - MINUTE, None),
        ),
    ],
)
async def test_the_state_is_shown_in_words(
    caller: Caller, store: Store, state: DestinationState, expected: tuple[object, ...]
) -> None:
    await add(store, "https://a.example/hook")
    await store.transact(lambda tx: tx.destinations.save_state(LANE, state))
    shown = await one_of(caller)
    times = [one and iso(one) for one in expected[2:] if one is None or isinstance(one, datetime)]
    assert [shown[name] for name in ("state", "why", "since", "until")] == [*expected[:2], *times]


async def test_the_last_hour_is_counted(
    caller: Caller, store: Store, dependencies: ApiDependencies
) -> None:
    await add(store, "https://a.example/hook")
    counts = CallbackCounts(attempts=8, failures={"refused": 1, "timeout": 1})
    counts.attempt_seconds[0] = 8
    old = CallbackCounts(attempts=99)
    await store.transact(
        lambda tx: tx.counters.add(
            [
                CountedMinute(NOW - 5 * MINUTE, *LANE, Source.KORE, counts),
                CountedMinute(NOW - 90 * MINUTE, *LANE, Source.KORE, old),
            ]
        )
    )
    shown = await one_of(caller)
    assert (shown["attempts_last_hour"], shown["success_percent"]) == (8, 75.0)
    assert shown["attempt_p50"] == shown["attempt_p95"] == ATTEMPT_SECONDS[0]
    assert shown["minutes"] is None
    by_minute = await caller.get(f"{PATH}?Minutes=yes")
    (listed,) = by_minute.json["destinations"]
    assert listed["minutes"] == [{"began": "2024-07-03T14:35:00Z", "attempts": 8, "failed": 2}]
    assert (listed["attempts_last_hour"], listed["success_percent"]) == (8, 75.0)
    one = (await caller.get(f"{PATH}/one?Destination={HERE}&Minutes=yes")).json
    assert one["minutes"] == listed["minutes"]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (DestinationState(), None),
        (
            DestinationState(disabled=NOW, disabled_why="it is gone"),
            "the destination is disabled: it is gone",
        ),
        (
            DestinationState(opened=NOW, probe_at=NOW + MINUTE),
            "the breaker of the destination is open; the next probe is at 2024-07-03T14:41:58Z",
        ),
        (
            DestinationState(held_until=NOW + MINUTE),
            "the receiver has asked to wait (Retry-After), until 2024-07-03T14:41:58Z",
        ),
    ],
)
async def test_a_callback_says_why_it_waits(
    caller: Caller, store: Store, clock: FakeClock, state: DestinationState, why: str | None
) -> None:
    (made,) = await add(store, "https://a.example/hook")
    await add(store, "https://b.example/hook")
    await store.transact(lambda tx: tx.destinations.save_state(LANE, state))
    assert (await caller.get(f"/portal/v1/callbacks/{made.sid}")).json["waits_because"] == why
    listed = (await caller.get("/portal/v1/callbacks")).json["callbacks"]
    assert {one["url"]: one["waits_because"] for one in listed} == {
        "https://a.example/hook": why,
        "https://b.example/hook": None,
    }
    # Whoever is not due waits for the time only.
    clock.advance(-MINUTE)
    assert (await caller.get(f"/portal/v1/callbacks/{made.sid}")).json["waits_because"] is None


async def test_a_callback_waits_for_a_pause_or_for_its_turn(caller: Caller, store: Store) -> None:
    (made,) = await add(store, "https://a.example/hook")
    path = f"/portal/v1/callbacks/{made.sid}"
    await change(caller, {"Rate": "5"})
    assert (await caller.get(path)).json["waits_because"] == (
        "the rate of the destination is limited"
    )
    until = iso(NOW + MINUTE)
    await change(caller, {"Until": until, "Reason": "they move"}, "/pause")
    assert (await caller.get(path)).json["waits_because"] == (
        f"the destination is paused by the account: they move, until {until}"
    )


async def test_a_callback_waits_for_the_one_before_it(caller: Caller, store: Store) -> None:
    made = [
        a_callback(url="https://a.example/hook")._replace(
            sid=f"CB{number:032x}", idempotency_token=str(number), order_key="order 7"
        )
        for number in range(3)
    ]
    await store.transact(lambda tx: [tx.callbacks.add(one) for one in made])
    found = [(await caller.get(f"/portal/v1/callbacks/{one.sid}")).json for one in made]
    behind = "it waits for the callback before it, in its order"
    assert [one["waits_because"] for one in found] == [None, behind, behind]


# ---- setting -------------------------------------------------------------------------------------


async def test_a_change_takes_effect_at_once_and_is_announced(
    caller: Caller, dependencies: ApiDependencies
) -> None:
    book, announced = dependencies.destinations.book, list[float]()
    book.announce = lambda: announced.append(book.settings_of(LANE).rate)
    await change(caller, {"Rate": "20"})
    assert announced == [20]


async def test_values_are_unset_one_by_one_or_all(caller: Caller) -> None:
    form = {"Rate": "20", "Breaker": "yes", "Header": "X-Team: a", "Ca": "none"}
    assert values_in(await change(caller, form)) == {
        "rate": "20",
        "breaker": "yes",
        "headers": "X-Team: (hidden)",
        "ca": "none",
    }
    left = await change(caller, {"Rate": "unset", "Header": "unset", "Burst": "3"})
    assert values_in(left) == {"breaker": "yes", "burst": "3", "ca": "none"}
    assert values_in(await change(caller, {"Header": "none", "Ca": "unset"}))["headers"] == "none"
    assert values_in(await change(caller, {"UnsetAll": "yes", "Rate": "7"})) == {"rate": "7"}
    assert values_in(await change(caller, {"UnsetAll": "yes"})) == {}
    assert (await caller.get(PATH)).json["patterns"] == []


async def test_the_operator_bounds_what_an_account_asks_for(
    caller: Caller, operator: Caller, they: Caller
) -> None:
    await change(operator, {"Destination": "*", "Rate": "50", "Breaker": "yes"})
    await change(operator, {"AccountSid": ACCOUNT_SID, "Rate": "10"})
    assert values_in(await change(caller, {"Rate": "30", "Breaker": "no"}))["rate"] == "30"
    in_force = await settings_of(caller)
    assert in_force["rate"] == f"10 (the operator for it, at run time, for {HERE})"
    assert in_force["breaker"] == "yes (the operator, at run time, for *)"
    await change(caller, {"Rate": "5"})
    own = f"5 (the account, at run time, for {HERE})"
    assert (await settings_of(caller))["rate"] == (await settings_of(operator))["rate"] == own
    await change(they, {"Rate": "100"})
    answer = await they.get(f"{PATH}/one?Destination={HERE}")
    assert answer.json["rate"] == "50"


async def test_only_the_operator_can_set_what_is_for_all_accounts(
    caller: Caller, operator: Caller
) -> None:
    for form in ({"TotalRate": "5"}, {"TotalRate": "unset"}, {"NotifyAccount": ACCOUNT_SID}):
        refused = await caller.post(PATH, {"Destination": HERE, **form})
        assert refused.status == 403
        assert "only the operator can set" in refused.json["message"]
    assert values_in(await change(operator, {"TotalRate": "5"})) == {"total_rate": "5"}


async def test_events_of_the_operator_need_an_account(caller: Caller, operator: Caller) -> None:
    form = {"Destination": HERE, "Notify": "https://ops.example"}
    refused = await operator.post(PATH, form)
    assert refused.status == 400
    assert "Notify needs NotifyAccount" in refused.json["message"]
    unknown = await operator.post(PATH, {**form, "NotifyAccount": "AC" + "9" * 32})
    assert "there is no account" in unknown.json["message"]
    await change(operator, {"Destination": "*", "NotifyAccount": THEIRS})
    await change(operator, form)
    assert (await settings_of(operator))["notify_account"].startswith(f"{THEIRS} (the operator")
    assert "notify_account" not in await settings_of(caller)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "nothing to set was given; give at least one of Rate, Burst"),
        ({"Rate": "0"}, "Rate: '0' is not a rate; write requests a second"),
        ({"Order": "x"}, "Order: 'x' is not an order; write none or sim"),
        ({"Egress": "cork"}, "Egress: there is no egress 'cork'; the settings have: dublin"),
        ({"Notify": "a.example"}, "Notify: "),
        ({"Notify": "https://a.example#cbs=acme"}, "Notify: #cbs=acme: cbs must be twilio or kore"),
        ({"Notify": "https://a.example#e=cork"}, "Notify: there is no egress 'cork'"),
        ({"Header": "hunter2"}, "Header: a header has no colon; write it like X-Team: meters"),
        ({"Header": "Host: hunter2"}, "Header: the header Host is set by Ringback itself"),
        ({"Header": "X-Twilio-Signature: hunter2"}, "Header: a source of callbacks sends the head"),
        ({"Ca": "hunter2"}, "Ca: the CA has no certificate in PEM"),
        ({"ClientCertificate": "hunter2"}, "ClientCertificate: the client certificate has no cert"),
        ({"UnsetAll": "maybe"}, "UnsetAll"),
        ({"Destination": "a.example", "Rate": "1"}, "Destination: 'a.example' is not a pattern"),
        ({"Destination": "https://a.example/x", "Rate": "1"}, "its path must end with a star"),
        ({"AccountSid": THEIRS, "Rate": "1"}, "an account can see and change only its own"),
    ],
)
async def test_what_cannot_be_set_is_refused(
    caller: Caller, store: Store, form: dict[str, str], message: str
) -> None:
    answer = await caller.post(PATH, {"Destination": HERE, **form})
    assert answer.status == 400
    assert message in answer.json["message"]
    assert "hunter2" not in answer.json["message"]
    assert await store.read(lambda tx: tx.destinations.revision()) == 0


async def test_the_operator_cannot_set_something_for_an_unknown_account(operator: Caller) -> None:
    form = {"Destination": HERE, "AccountSid": "AC" + "9" * 32, "Rate": "1"}
    answer = await operator.post(PATH, form)
    assert answer.status == 400
    assert "AccountSid: there is no account" in answer.json["message"]


async def test_an_account_can_set_something_for_so_many_patterns(
    caller: Caller, they: Caller, store: Store
) -> None:
    stored = [
        replace(A_RECORD, sid=f"DT{number:032x}", pattern=f"https://h{number}.example:443")
        for number in range(MOST_PATTERNS)
    ]
    await store.transact(lambda tx: [tx.destinations.save(one) for one in stored])
    refused = await caller.post(PATH, {"Destination": HERE, "Rate": "1"})
    assert refused.status == 409
    assert "something is set for 1,000 patterns already" in refused.json["message"]
    known = {"Destination": "https://h7.example", "Rate": "2"}
    assert (await caller.post(PATH, known)).status == 200
    assert (await they.post(PATH, {"Destination": HERE, "Rate": "1"})).status == 200


# ---- pausing -------------------------------------------------------------------------------------


async def test_a_destination_is_paused_and_resumed(
    caller: Caller, they: Caller, store: Store, clock: FakeClock
) -> None:
    await add(store, "https://a.example/hook")
    await add(store, "https://a.example/hook", account_sid=THEIRS)
    until = iso(NOW + 5 * MINUTE)
    answer = await change(caller, {"Reason": "they move", "Until": until}, "/pause")
    assert (answer.json["paused_since"], answer.json["paused_until"]) == (iso(NOW), until)
    clock.advance(MINUTE)
    again = await change(caller, {"Reason": "still"}, "/pause")
    assert (again.json["paused_since"], again.json["paused_until"]) == (iso(NOW), None)
    shown = await one_of(caller)
    assert (shown["state"], shown["why"]) == (
        "paused",
        "the destination is paused by the account: still",
    )
    (other,) = (await they.get(PATH)).json["destinations"]
    assert other["state"] == "well"
    resumed = await change(caller, {}, "/resume")
    assert resumed.json["paused_since"] is None
    assert (await one_of(caller))["state"] == "well"


async def test_a_disabled_destination_begins_anew_when_it_is_resumed(
    caller: Caller, store: Store, clock: FakeClock
) -> None:
    await add(store, "https://a.example/hook")
    disabled = DestinationState(disabled=NOW, disabled_why="it is gone")
    await store.transact(lambda tx: tx.destinations.save_state(LANE, disabled))
    clock.advance(MINUTE)
    answer = await change(caller, {}, "/resume")
    assert answer.json["date_resumed"] == iso(NOW + MINUTE)
    assert (await one_of(caller))["state"] == "well"


async def test_what_is_neither_paused_nor_disabled_is_not_stored(
    caller: Caller, store: Store
) -> None:
    assert (await change(caller, {}, "/resume")).json["date_resumed"] is None
    assert await store.read(lambda tx: tx.destinations.revision()) == 0


async def test_an_account_cannot_resume_what_the_operator_has_paused(
    caller: Caller, operator: Caller, store: Store
) -> None:
    await add(store, "https://a.example/hook")
    await change(operator, {"Destination": "*", "Reason": "an attack"}, "/pause")
    refused = await caller.post(f"{PATH}/resume", {"Destination": HERE})
    assert refused.status == 409
    assert refused.json["message"] == (
        f"{HERE} is paused by the operator, for *, since {iso(NOW)}: an attack; only the operator"
        " can resume it"
    )
    # It can end its own pause, which then does not help yet.
    await change(caller, {}, "/pause")
    await change(caller, {}, "/resume")
    assert (await one_of(caller))["why"] == "the destination is paused by the operator: an attack"
    refused = await operator.post(f"{PATH}/resume", {"Destination": HERE})
    assert refused.json["message"].endswith(": an attack; resume *")
    await change(operator, {"Destination": "*"}, "/resume")
    assert (await one_of(caller))["state"] == "well"


async def test_a_pause_cannot_end_in_the_past(caller: Caller) -> None:
    answer = await caller.post(f"{PATH}/pause", {"Destination": HERE, "Until": iso(NOW)})
    assert answer.status == 400
    assert "this time has passed; give a later one" in answer.json["message"]


async def test_a_pause_is_an_event_once_in_ten_minutes(
    caller: Caller, dependencies: ApiDependencies, clock: FakeClock
) -> None:
    events = dependencies.destinations.control.events
    for minutes, number in ((0, 1), (1, 1), (2, 1), (12, 2)):
        clock.advance(minutes * MINUTE)
        await change(caller, {"Reason": "why"}, "/pause")
        await change(caller, {}, "/resume")
        assert events[DestinationEventKind.PAUSED] == number


# ---- tests ---------------------------------------------------------------------------------------


async def test_a_test_goes_to_the_newest_known_url_of_a_destination(
    caller: Caller, operator: Caller, store: Store
) -> None:
    await add(store, "https://a.example/hook?a=1")
    for form, url in (
        ({"Destination": "https://a.example"}, "https://a.example/hook?a=1"),
        ({"Destination": "https://a.example/other"}, "https://a.example/other"),
        ({"Destination": "https://new.example"}, "https://new.example"),
    ):
        answer = await caller.post(f"{PATH}/test", form)
        assert (answer.status, answer.json["url"]) == (201, url)
        assert answer.json["parameters"]["EventType"] == "destination.test"
    found = await store.read(
        lambda tx: tx.callbacks.page(
            ACCOUNT_SID, CallbackFilter(event="destination.test"), PageWindow(9)
        )
    )
    assert len(found) == 3
    refused = await operator.post(f"{PATH}/test", {"Destination": "https://a.example"})
    assert "give AccountSid" in refused.json["message"]
    form = {"Destination": "https://a.example", "AccountSid": THEIRS}
    assert (await operator.post(f"{PATH}/test", form)).json["account_sid"] == THEIRS


async def test_the_last_hour_is_incomplete_if_counts_are_missing(
    caller: Caller, store: Store
) -> None:
    await add(store, "https://a.example/hook")
    await store.transact(lambda tx: tx.counters.mark(NOW - timedelta(minutes=20)))
    (listed,) = (await caller.get(PATH)).json["destinations"]
    assert listed["last_hour_is_incomplete"] is True
