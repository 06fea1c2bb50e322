from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.policy.urls_in_use import (
    StoredUrl,
    UrlDeliveryTotals,
    UrlInUse,
    UrlUse,
    by_receiver,
    urls_in_use,
)

TWILIO, KORE = Source.TWILIO, Source.KORE
URL = "https://a.example/hook"
MOVED = f"{URL}#cbs=kore"
NOON = datetime(2024, 10, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def sent(
    url: str = URL,
    source: Source = TWILIO,
    asked: Source | None = None,
    *,
    account_sid: str = "AC1",
    callbacks: int = 10,
    last: datetime | None = NOON,
) -> UrlDeliveryTotals:
    return UrlDeliveryTotals(account_sid, url, source, asked, callbacks, 0, 0, 0, last)


def stored(
    url: str = MOVED, asked: Source | None = KORE, *, places: int = 1, updated: datetime = NOON
) -> StoredUrl:
    return StoredUrl("AC1", url, asked, places, updated)


def test_a_stored_url_is_in_use_without_any_callback() -> None:
    assert urls_in_use([stored(places=3)], []) == [
        UrlInUse("AC1", MOVED, KORE, UrlUse.STORED, places=3)
    ]


def test_a_url_that_is_stored_nowhere_is_in_use_by_its_callbacks() -> None:
    rows = [sent(), sent(source=KORE, callbacks=5, last=NOON + HOUR)]
    (found,) = urls_in_use([], rows)
    assert found == UrlInUse(
        "AC1", URL, None, UrlUse.REQUESTS, 0, {TWILIO: 10, KORE: 5}, NOON + HOUR
    )
    assert (found.callbacks, found.wire) == (15, URL)


def test_a_url_that_was_moved_after_its_last_callback_counts_in_its_new_form_only() -> None:
    found = urls_in_use([stored(updated=NOON + HOUR)], [sent()])
    assert [(one.url, one.use, one.callbacks) for one in found] == [
        (URL, UrlUse.FORMER, 10),
        (MOVED, UrlUse.STORED, 0),
    ]


def test_callbacks_after_the_move_to_the_old_form_come_from_requests() -> None:
    rows = [sent(last=NOON + 2 * HOUR), sent(MOVED, KORE, KORE, callbacks=3)]
    found = urls_in_use([stored(updated=NOON + HOUR)], rows)
    assert [(one.url, one.use, one.callbacks) for one in found] == [
        (URL, UrlUse.REQUESTS, 10),
        (MOVED, UrlUse.STORED, 3),
    ]


def test_the_newest_change_of_all_forms_decides() -> None:
    forms = [stored(updated=NOON + HOUR), stored(f"{URL}#rc=2", None, updated=NOON - HOUR)]
    uses = {one.url: one.use for one in urls_in_use(forms, [sent()])}
    assert uses[URL] is UrlUse.FORMER


def test_callbacks_of_another_account_or_without_a_date_are_not_mixed_up() -> None:
    rows = [sent(account_sid="AC2"), sent(last=None)]
    found = urls_in_use([stored()], rows)
    assert [(one.account_sid, one.url, one.use) for one in found] == [
        ("AC1", URL, UrlUse.FORMER),
        ("AC1", MOVED, UrlUse.STORED),
        ("AC2", URL, UrlUse.REQUESTS),
    ]


def test_places_of_the_same_url_are_added_and_the_newest_change_stays() -> None:
    one, other = stored(places=2), stored(places=3, updated=NOON + HOUR)
    assert one.with_more(other) == other.with_more(one) == stored(places=5, updated=NOON + HOUR)


def test_totals_are_added_and_the_newest_dates_stay() -> None:
    one = UrlDeliveryTotals("AC1", URL, TWILIO, None, 1, 2, 3, 4, NOON, None)
    other = UrlDeliveryTotals("AC1", URL, TWILIO, None, 10, 20, 30, 40, NOON + HOUR, NOON)
    both = UrlDeliveryTotals("AC1", URL, TWILIO, None, 11, 22, 33, 44, NOON + HOUR, NOON)
    assert one.with_more(other) == other.with_more(one) == both


def test_a_receiver_has_the_callbacks_of_all_fragments_by_source() -> None:
    rows = [sent(), sent(MOVED, KORE, KORE), sent(f"{URL}#rc=2", callbacks=5)]
    rows.append(sent(account_sid="AC2"))
    found = {key: row.callbacks for key, row in by_receiver(rows).items()}
    assert found == {("AC1", URL, TWILIO): 15, ("AC1", URL, KORE): 10, ("AC2", URL, TWILIO): 10}


@pytest.mark.parametrize("at", [NOON, None])
@pytest.mark.parametrize("asked", [KORE, None])
def test_totals_and_stored_urls_are_read_from_an_answer_of_the_portal(
    asked: Source | None, at: datetime | None
) -> None:
    totals = UrlDeliveryTotals("AC1", MOVED, KORE, asked, 1, 2, 3, 4, at, at)
    text = at and "2024-10-10T12:00:00Z"
    record = {**totals._asdict(), "source": "kore", "last": text, "last_delivered": text}
    assert UrlDeliveryTotals.of_record(record) == totals
    url = stored(asked=asked)
    assert StoredUrl.of_record({**url._asdict(), "date_updated": "2024-10-10T12:00:00Z"}) == url


def test_totals_of_an_older_server_have_no_dates() -> None:
    record = sent()._asdict()
    del record["last"], record["last_delivered"]
    assert UrlDeliveryTotals.of_record(record) == sent(last=None)
