"""The callback URLs that accounts have configured, in each store."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.policy.urls_in_use import StoredUrl
from ringback.operations.callback_urls import (
    FIRST,
    CallbackUrlSetting,
    ConfiguredUrl,
    Replaced,
    UrlPageStart,
    configured_urls,
    replace_callback_url,
    stored_urls,
)
from ringback.ports import Store
from tests.fakes import NOW
from tests.stores.asking import keep, table_of
from tests.stores.records import OURS, SECOND, THEIRS, fleet, sim, wireless_sim
from tests.wireless_fakes import a_target

OLD, NEW = (
    "https://user:pass@a.example/p?x=1#rc=2",
    "https://user:pass@a.example/p?x=1#rc=2&cbs=kore",
)
WARNED = CallbackUrl.parse(OLD).with_warnings("the request also had the parameter 'y'")
LATER = NOW + SECOND


async def all_urls(
    store: Store, *, account_sid: str | None = None, size: int = 2
) -> list[ConfiguredUrl]:
    found, start = list[ConfiguredUrl](), FIRST
    while start is not None:
        page = await store.transact(
            lambda tx, start=start: configured_urls(tx, start, account_sid=account_sid, size=size)
        )
        found, start = found + page.found, page.next
    return found


async def replaced(
    store: Store,
    place: CallbackUrlSetting,
    old: str = OLD,
    new: str = NEW,
    *,
    account_sid: str | None = None,
    now: datetime = LATER,
) -> Replaced:
    return await store.transact(
        lambda tx: replace_callback_url(
            tx,
            place,
            old=old,
            new=new,
            account_sid=account_sid,
            read_url=CallbackUrl.parse,
            now=now,
        )
    )


async def saved(store: Store, record: Any) -> Any:
    return await store.transact(lambda tx: table_of(tx, type(record)).get(record.sid))


def with_url(parameter: str, url: CallbackUrl = WARNED, method: HttpMethod = HttpMethod.GET) -> Any:
    """Return a fleet or a SIM with this URL in the field that this parameter sets."""
    listener = replace(a_target(method=method), url=url)
    match parameter:
        case "SmsCommandsUrl":
            return replace(fleet(1), sms_commands=listener)
        case "IpCommandsUrl":
            return replace(fleet(1), ip_commands=listener)
        case "CommandsCallbackUrl":
            return replace(wireless_sim(1), commands_to=listener)
        case _:
            return replace(wireless_sim(1), final_to=listener)


PARAMETERS = ("SmsCommandsUrl", "IpCommandsUrl", "CommandsCallbackUrl", "CallbackUrl")


async def test_without_configured_urls_none_is_found(furnished: Store) -> None:
    assert await all_urls(furnished) == []


@pytest.mark.parametrize("parameter", PARAMETERS)
async def test_a_url_is_found_where_it_is_configured(furnished: Store, parameter: str) -> None:
    record = with_url(parameter)
    await keep(furnished, record)
    (found,) = await all_urls(furnished)
    assert found == ConfiguredUrl(
        CallbackUrlSetting(record.sid, parameter), OURS, WARNED, HttpMethod.GET, record.date_updated
    )
    assert found.url.configured == OLD
    assert found.warnings == ("the request also had the parameter 'y'",)


async def test_a_urls_own_warnings_are_not_repeated_for_its_request(furnished: Store) -> None:
    await keep(furnished, with_url("CallbackUrl", CallbackUrl.parse("http://a.example/#odd=1")))
    (found,) = await all_urls(furnished)
    assert found.url.warnings
    assert found.warnings == ()


async def test_urls_of_callbacks_in_progress_are_not_configured_urls(furnished: Store) -> None:
    await keep(furnished, sim(1), replace(wireless_sim(1), is_resetting=True, reset_to=a_target()))
    assert await all_urls(furnished) == []


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1000])
async def test_pages_of_any_size_have_each_url_once(furnished: Store, size: int) -> None:
    to = a_target(OLD)
    fleets = [replace(fleet(n), sms_commands=to, ip_commands=to) for n in range(1, 5)]
    sims = [replace(wireless_sim(n), commands_to=a_target()) for n in range(1, 4)]
    await keep(furnished, *fleets, *sims)
    places = [found.place for found in await all_urls(furnished, size=size)]
    assert places == [
        *(
            CallbackUrlSetting(one.sid, parameter)
            for one in fleets[::-1]
            for parameter in ("SmsCommandsUrl", "IpCommandsUrl")
        ),
        *(CallbackUrlSetting(one.sid, "CommandsCallbackUrl") for one in sims[::-1]),
    ]


async def test_a_page_is_no_longer_than_its_limit(furnished: Store) -> None:
    to = a_target(OLD)
    await keep(furnished, *(replace(fleet(n), ip_commands=to) for n in range(1, 4)))
    page = await furnished.transact(lambda tx: configured_urls(tx, size=2))
    assert [found.place.sid for found in page.found] == [fleet(3).sid, fleet(2).sid]
    assert page.next == UrlPageStart(FIRST.kind, after=fleet(2).sid)


async def test_an_accounts_urls_are_its_own(furnished: Store) -> None:
    to = a_target(OLD)
    for number, account_sid in ((1, OURS), (2, THEIRS)):
        await keep(furnished, replace(fleet(number, account_sid), sms_commands=to))
    assert [found.account_sid for found in await all_urls(furnished)] == [THEIRS, OURS]
    assert [found.account_sid for found in await all_urls(furnished, account_sid=OURS)] == [OURS]


@pytest.mark.parametrize("parameter", PARAMETERS)
async def test_replacing_a_url_changes_nothing_else(furnished: Store, parameter: str) -> None:
    record = with_url(parameter)
    await keep(furnished, record)
    assert await replaced(furnished, CallbackUrlSetting(record.sid, parameter)) == "done"
    url = CallbackUrl.parse(NEW).with_warnings(*WARNED.warnings)
    wanted = replace(with_url(parameter, url), date_updated=LATER)
    assert await saved(furnished, record) == wanted


async def test_a_warning_that_the_new_url_also_has_is_given_once(furnished: Store) -> None:
    record = with_url("SmsCommandsUrl")
    await keep(furnished, record)

    def read_url(text: str) -> CallbackUrl:
        return CallbackUrl.parse(text).with_warnings(*WARNED.warnings)

    place = CallbackUrlSetting(record.sid, "SmsCommandsUrl")
    await furnished.transact(
        lambda tx: replace_callback_url(tx, place, old=OLD, new=NEW, read_url=read_url, now=LATER)
    )
    assert (await saved(furnished, record)).sms_commands.url.warnings == WARNED.warnings


async def test_a_url_that_is_already_the_new_one_is_not_changed(furnished: Store) -> None:
    record = with_url("SmsCommandsUrl", CallbackUrl.parse(NEW))
    await keep(furnished, record)
    assert await replaced(furnished, CallbackUrlSetting(record.sid, "SmsCommandsUrl")) == "done"
    assert await saved(furnished, record) == record


@pytest.mark.parametrize(
    "now_there", [OLD.replace("user:pass@", ""), OLD.replace("rc=2", "rc=3"), "https://b.example"]
)
async def test_a_url_that_somebody_else_changed_is_left_unchanged(
    furnished: Store, now_there: str
) -> None:
    record = with_url("SmsCommandsUrl", CallbackUrl.parse(now_there))
    await keep(furnished, record)
    assert await replaced(furnished, CallbackUrlSetting(record.sid, "SmsCommandsUrl")) == "changed"
    assert await saved(furnished, record) == record


@pytest.mark.parametrize(
    "place",
    [
        CallbackUrlSetting(fleet(1).sid, "IpCommandsUrl"),
        CallbackUrlSetting(fleet(1).sid, "CommandsCallbackUrl"),
        CallbackUrlSetting(fleet(9).sid, "SmsCommandsUrl"),
        CallbackUrlSetting(wireless_sim(9).sid, "CommandsCallbackUrl"),
        CallbackUrlSetting(sim(1).sid, "CallbackUrl"),
        CallbackUrlSetting("", ""),
    ],
    ids=["unset", "no such parameter", "no such fleet", "no such SIM", "no such kind", "nothing"],
)
async def test_a_url_of_a_missing_place_is_reported_as_gone(
    furnished: Store, place: CallbackUrlSetting
) -> None:
    await keep(furnished, with_url("SmsCommandsUrl"))
    assert await replaced(furnished, place) == "gone"


async def test_a_place_in_another_account_is_reported_as_gone(furnished: Store) -> None:
    await keep(furnished, with_url("SmsCommandsUrl"))
    place = CallbackUrlSetting(fleet(1).sid, "SmsCommandsUrl")
    assert await replaced(furnished, place, account_sid=THEIRS) == "gone"
    assert await replaced(furnished, place, account_sid=OURS) == "done"


async def test_a_new_url_that_cannot_be_called_is_refused(furnished: Store) -> None:
    record = with_url("SmsCommandsUrl")
    await keep(furnished, record)
    with pytest.raises(InvalidCallbackUrl):
        await replaced(
            furnished, CallbackUrlSetting(record.sid, "SmsCommandsUrl"), new="https://a b/"
        )
    assert await saved(furnished, record) == record


# ---- each URL once -------------------------------------------------------------------------------


async def test_a_url_in_several_places_is_returned_once_with_its_newest_change(
    furnished: Store,
) -> None:
    sims = [replace(wireless_sim(n), commands_to=a_target(), final_to=a_target()) for n in (1, 2)]
    later = replace(fleet(1), sms_commands=a_target(), date_updated=LATER)
    await keep(furnished, later, *sims)
    url = a_target().url
    assert url is not None
    assert await stored_urls(furnished) == [StoredUrl(OURS, url.shown, url.source, 5, LATER)]


async def test_the_urls_of_one_account_are_read_alone_and_without_credentials(
    furnished: Store,
) -> None:
    secret = CallbackUrl.parse("https://user:pass@a.example/p#cbs=kore")
    await keep(furnished, replace(fleet(1), sms_commands=replace(a_target(), url=secret)))
    await keep(furnished, replace(fleet(2, THEIRS), sms_commands=a_target()))
    (found,) = await stored_urls(furnished, account_sid=OURS)
    assert found[:3] == (OURS, "https://a.example/p#cbs=kore", "kore")
    assert len(await stored_urls(furnished)) == 2


async def test_urls_on_many_pages_are_merged(furnished: Store) -> None:
    await keep(furnished, *(replace(fleet(n), sms_commands=a_target()) for n in range(1, 6)))
    (found,) = await stored_urls(furnished, size=2)
    assert found.places == 5
