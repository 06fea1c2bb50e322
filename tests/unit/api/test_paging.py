"""Pages of lists, and the `meta` object that links them."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest

from ringback.api.paging import read_page
from ringback.ports import Lane, PageWindow, RecordPage, Store, Transaction
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, a_callback, a_sim, claim_from
from tests.unit.api.caller import Caller
from tests.unit.api.pages import ORIGIN, page_at, walk


def sid(number: int) -> str:
    return f"HS{number:032}"


async def add_sims(store: Store, *numbers: int) -> None:
    def work(tx: Transaction) -> None:
        for number in numbers:
            tx.supersim.sims.add(
                a_sim(sid=sid(number), iccid=f"8988307{number + 100:013}", unique_name=None)
            )

    await store.transact(work)


def sids_of(page: dict[str, Any]) -> list[str]:
    return [sim["sid"] for sim in page["sims"]]


def asked_by(url: str) -> list[str]:
    """Return the names of the parameters of a URL, in order."""
    return [name for name, _ in parse_qsl(urlsplit(url).query)]


# ---- meta ----------------------------------------------------------------------------------------


async def test_meta_has_exactly_these_seven_fields(caller: Caller) -> None:
    page = (await caller.get("/v1/Sims")).json
    assert page["meta"] == {
        "first_page_url": f"{ORIGIN}/v1/Sims?PageSize=50&Page=0",
        "key": "sims",
        "next_page_url": None,
        "page": 0,
        "page_size": 50,
        "previous_page_url": None,
        "url": f"{ORIGIN}/v1/Sims?PageSize=50&Page=0",
    }
    assert list(page) == ["sims", "meta"]


async def test_an_empty_list_is_an_empty_page(caller: Caller) -> None:
    answer = await caller.get("/v1/Sims?Status=new")
    assert answer.status == 200
    assert answer.json["sims"] == []
    assert answer.json["meta"]["next_page_url"] is None


async def test_urls_echo_the_filters_then_page_size_and_page(caller: Caller) -> None:
    # The sample of the published specification, without its token.
    fleet = "HF" + "a" * 32
    meta = (await caller.get(f"/v1/Sims?Status=new&Fleet={fleet}&PageSize=50&Page=0")).json["meta"]
    expected = f"{ORIGIN}/v1/Sims?Status=new&Fleet={fleet}&PageSize=50&Page=0"
    assert (meta["first_page_url"], meta["url"]) == (expected, expected)


async def test_the_next_page_keeps_the_filters(caller: Caller, store: Store) -> None:
    await add_sims(store, 1, 2)
    meta = (await caller.get("/v1/Sims?Fleet=my_fleet&Status=active&PageSize=1")).json["meta"]
    assert asked_by(meta["next_page_url"]) == ["Fleet", "Status", "PageSize", "Page", "PageToken"]


async def test_a_filter_is_echoed_with_its_escapes(caller: Caller) -> None:
    meta = (await caller.get("/v1/Sims?Fleet=a%26b%3Dc%20%C3%BC")).json["meta"]
    assert meta["url"] == f"{ORIGIN}/v1/Sims?Fleet=a%26b%3Dc+%C3%BC&PageSize=50&Page=0"


async def test_an_unknown_parameter_is_not_echoed(caller: Caller) -> None:
    meta = (await caller.get("/v1/Sims?Colour=red")).json["meta"]
    assert meta["url"] == f"{ORIGIN}/v1/Sims?PageSize=50&Page=0"


@pytest.mark.parametrize(("query", "size"), [("", 50), ("PageSize=1", 1), ("PageSize=1000", 1000)])
async def test_the_page_size_is_50_by_default(caller: Caller, query: str, size: int) -> None:
    assert (await caller.get(f"/v1/Sims?{query}")).json["meta"]["page_size"] == size


async def test_an_empty_token_selects_the_first_page(caller: Caller) -> None:
    page = (await caller.get("/v1/Sims?PageToken=")).json
    assert sids_of(page) == [SIM_SID]


# ---- from page to page ---------------------------------------------------------------------------


def numbers_of(pages: Sequence[dict[str, Any]]) -> list[int]:
    return [page["meta"]["page"] for page in pages]


async def test_the_pages_together_have_every_record_once(caller: Caller, store: Store) -> None:
    await add_sims(store, *range(1, 7))
    pages = [page async for page in walk(caller, "/v1/Sims?PageSize=3")]
    assert [len(page["sims"]) for page in pages] == [3, 3, 1]
    assert [s for page in pages for s in sids_of(page)] == [*map(sid, range(6, 0, -1)), SIM_SID]
    assert numbers_of(pages) == [0, 1, 2]


async def test_a_last_page_that_is_full_has_no_next(caller: Caller, store: Store) -> None:
    await add_sims(store, 1, 2, 3)
    pages = [page async for page in walk(caller, "/v1/Sims?PageSize=2")]
    assert [len(page["sims"]) for page in pages] == [2, 2]


async def test_going_back_shows_the_same_pages(caller: Caller, store: Store) -> None:
    await add_sims(store, *range(1, 7))
    there = [page async for page in walk(caller, "/v1/Sims?PageSize=3")]
    back = [page async for page in walk(caller, there[-1]["meta"]["url"], by="previous_page_url")]
    assert [sids_of(page) for page in back] == [sids_of(page) for page in reversed(there)]
    assert numbers_of(back) == [2, 1, 0]


async def test_going_back_and_forth_shows_the_same_pages(caller: Caller, store: Store) -> None:
    await add_sims(store, *range(1, 7))
    first = await page_at(caller, "/v1/Sims?PageSize=3")
    second = await page_at(caller, first["meta"]["next_page_url"])
    back = await page_at(caller, second["meta"]["previous_page_url"])
    again = await page_at(caller, back["meta"]["next_page_url"])
    assert sids_of(back) == sids_of(first)
    assert sids_of(again) == sids_of(second)


async def test_the_first_page_has_no_previous_one(caller: Caller, store: Store) -> None:
    await add_sims(store, 1, 2)
    first = await page_at(caller, "/v1/Sims?PageSize=1")
    second = await page_at(caller, first["meta"]["next_page_url"])
    back = await page_at(caller, second["meta"]["previous_page_url"])
    assert first["meta"]["previous_page_url"] is None
    assert back["meta"]["previous_page_url"] is None


async def test_records_added_meanwhile_neither_repeat_nor_hide_one(
    caller: Caller, store: Store
) -> None:
    await add_sims(store, *range(1, 7))
    page = await page_at(caller, "/v1/Sims?PageSize=2")
    seen = sids_of(page)
    for number in range(7, 20):
        await add_sims(store, number)
        if (url := page["meta"]["next_page_url"]) is None:
            break
        page = await page_at(caller, url)
        seen += sids_of(page)
    assert seen == [*map(sid, range(6, 0, -1)), SIM_SID]


async def test_the_url_of_a_page_leads_to_that_page(caller: Caller, store: Store) -> None:
    await add_sims(store, 1, 2, 3)
    first = await page_at(caller, "/v1/Sims?PageSize=2")
    second = await page_at(caller, first["meta"]["next_page_url"])
    assert await page_at(caller, second["meta"]["url"]) == second


async def test_the_first_page_url_leads_to_the_first_page(caller: Caller, store: Store) -> None:
    await add_sims(store, 1, 2, 3)
    first = await page_at(caller, "/v1/Sims?PageSize=2")
    second = await page_at(caller, first["meta"]["next_page_url"])
    assert await page_at(caller, second["meta"]["first_page_url"]) == first


async def test_a_page_token_has_the_position_and_nothing_more(caller: Caller, store: Store) -> None:
    await add_sims(store, 1)
    url = (await page_at(caller, "/v1/Sims?PageSize=1"))["meta"]["next_page_url"]
    assert re.search(r"[?&]PageToken=PA" + sid(1) + "$", url)


# ---- pages that don't exist ----------------------------------------------------------------------

LISTS = {
    "/v1/Sims": 83600,
    "/v1/Networks": 83600,
    "/v1/UsageRecords": 83600,
    "/wireless/v1/Sims": 33103,
    "/wireless/v1/UsageRecords": 33103,
    "/portal/v1/callbacks": 83600,
    "/portal/v1/shadows": 83600,
}


@pytest.mark.parametrize(("path", "code"), LISTS.items())
@pytest.mark.parametrize(("number", "token"), [("400", ""), ("1", "&PageToken=")])
async def test_a_page_number_without_a_token_is_refused(
    caller: Caller, path: str, code: int, number: str, token: str
) -> None:
    answer = await caller.get(f"{path}?PageSize=1&Page={number}{token}")
    assert (answer.status, answer.json["code"]) == (400, code)
    assert "is given without PageToken" in answer.json["message"]
    first = await caller.get(f"{path}?PageSize=1&Page=0{token}")
    assert (first.status, first.json["meta"]["page"]) == (200, 0)


async def test_with_a_token_any_number_is_accepted(caller: Caller, store: Store) -> None:
    await add_sims(store, 1, 2)
    url = (await page_at(caller, "/v1/Sims?PageSize=1"))["meta"]["next_page_url"]
    page = await page_at(caller, url.replace("Page=1&", "Page=400&"))
    assert (page["meta"]["page"], sids_of(page)) == (400, [sid(1)])


# ---- our own lists have the same form ------------------------------------------------------------


async def test_callbacks_are_listed_in_pages_too(caller: Caller, store: Store) -> None:
    sids = [f"CB{number:032}" for number in range(3)]

    def work(tx: Transaction) -> None:
        for each in sids:
            tx.callbacks.add(a_callback(sid=each))

    await store.transact(work)
    pages = [page async for page in walk(caller, "/portal/v1/callbacks?PageSize=2")]
    assert [[c["sid"] for c in page["callbacks"]] for page in pages] == [
        [sids[2], sids[1]],
        [sids[0]],
    ]
    assert [page["meta"]["key"] for page in pages] == ["callbacks", "callbacks"]


async def test_the_attempts_of_a_callback_are_one_page(caller: Caller, store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.callbacks.add(a_callback())
        claim_from(tx, Lane(ACCOUNT_SID, "http://127.0.0.1:9000"), NOW, limit=1)

    await store.transact(work)
    target = f"/portal/v1/callbacks/{a_callback().sid}/attempts"
    page = (await caller.get(target)).json
    assert page["meta"] == {
        "first_page_url": ORIGIN + target,
        "key": "attempts",
        "next_page_url": None,
        "page": 0,
        "page_size": 1,
        "previous_page_url": None,
        "url": ORIGIN + target,
    }


# ---- long pages are read in slices


class Numbered(NamedTuple):
    sid: str


class NumberedList:
    """A list of 1,000 records, newest first, of which a filter matches one of so many."""

    def __init__(self, one_of: int = 1) -> None:
        self.one_of = one_of
        self.asked = list[PageWindow]()

    async def read(self, window: PageWindow) -> RecordPage[Numbered]:
        self.asked.append(window)
        numbers = range(1000) if window.before is None else range(999, -1, -1)
        edge = window.after if window.before is None else window.before
        ahead = list(numbers)[0 if edge is None else numbers.index(int(edge)) + 1 :]
        found, examined, stopped = list[Numbered](), 0, -1
        for number in ahead:
            if examined == window.examining:
                return RecordPage(_in_order(found), str(stopped))
            examined, stopped = examined + 1, number
            if number % self.one_of == 0:
                found.append(Numbered(str(number)))
            if len(found) == window.size:
                break
        return RecordPage(_in_order(found))


async def no_rest(_: float) -> None:
    """Go on at once."""


def _in_order(found: list[Numbered]) -> list[Numbered]:
    return sorted(found, key=lambda one: int(one.sid))


@pytest.mark.parametrize(
    "window",
    [
        PageWindow(501),
        PageWindow(501, after="499"),
        PageWindow(501, before="999"),
        PageWindow(501, before="200"),
        PageWindow(501, after="700"),
    ],
    ids=str,
)
@pytest.mark.parametrize("one_of", [1, 3])
async def test_a_long_page_is_read_in_slices_and_has_the_same_records(
    window: PageWindow, one_of: int
) -> None:
    records = NumberedList(one_of)
    assert await read_page(records.read, window, no_rest) == await NumberedList(one_of).read(window)
    assert max(one.size for one in records.asked) <= 32


async def test_all_slices_together_examine_about_as_many_records_as_the_page_may() -> None:
    records = NumberedList(one_of=100)
    page = await read_page(records.read, PageWindow(640, examining=500), no_rest)
    assert isinstance(page, RecordPage)
    assert [one.sid for one in page] == ["0", "100", "200", "300", "400"]
    assert page.stopped_at == "499"
    assert {one.examining for one in records.asked} == {25}


async def test_after_each_slice_but_the_last_others_have_a_pause() -> None:
    slices = list[float]()

    async def rest_after(seconds: float) -> None:
        slices.append(seconds)

    await read_page(NumberedList().read, PageWindow(640), rest_after)
    assert len(slices) == 19
    assert all(0 < slice_ < 1 for slice_ in slices)


async def test_an_ordinary_page_is_read_at_once() -> None:
    records, window = NumberedList(), PageWindow(51, examining=10_000)
    await read_page(records.read, window, no_rest)
    assert records.asked == [window]
