"""Lists whose records are deleted while a client fetches the pages."""

import re
from typing import Any

import pytest

from ringback.core.wireless.sim import WirelessStatus
from ringback.ports import Store, Transaction
from tests.unit.api.caller import Caller
from tests.unit.api.pages import ORIGIN, page_at, walk
from tests.unit.api.world import refusal
from tests.wireless_fakes import a_command, a_rate_plan, a_wireless_sim

LISTS = {
    "/wireless/v1/Sims": "sims",
    "/wireless/v1/Commands": "commands",
    "/wireless/v1/RatePlans": "rate_plans",
}
EACH = pytest.mark.parametrize("path", LISTS)
PREFIXES = {"sims": "DE", "commands": "DC", "rate_plans": "WP"}
COUNT = 7


def sid(path: str, number: int) -> str:
    return f"{PREFIXES[LISTS[path]]}{number:032}"


def sids_in(page: dict[str, Any]) -> list[str]:
    """Return the SIDs on a page, without those that existed before the test."""
    records = next(page[key] for key in LISTS.values() if key in page)
    found = [record["sid"] for record in records]
    return [one for one in found if re.fullmatch("..0{30}[0-9]+", one)]


@pytest.fixture(autouse=True)
async def many(store: Store) -> None:
    """Seven deletable records in each list."""

    def work(tx: Transaction) -> None:
        for number in range(COUNT):
            tx.wireless.sims.add(
                a_wireless_sim(
                    sid=f"DE{number:032}",
                    iccid=f"890134{number:013}",
                    unique_name=None,
                    status=WirelessStatus.NEW,
                )
            )
            tx.wireless.commands.add(a_command(sid=f"DC{number:032}"))
            tx.wireless.rate_plans.add(a_rate_plan(sid=f"WP{number:032}", unique_name=None))

    await store.transact(work)


async def delete(caller: Caller, path: str, *sids: str) -> None:
    for each in sids:
        assert (await caller.call("DELETE", f"{path}/{each}")).status == 204


@EACH
async def test_the_pages_together_have_every_record_once(caller: Caller, path: str) -> None:
    pages = [page async for page in walk(caller, f"{path}?PageSize=3")]
    found = [one for page in pages for one in sids_in(page)]
    assert found == [sid(path, number) for number in range(COUNT - 1, -1, -1)]
    assert [page["meta"]["page"] for page in pages] == list(range(len(pages)))


@EACH
async def test_deleting_each_page_before_the_next_misses_no_record(
    caller: Caller, path: str
) -> None:
    seen = list[str]()
    async for page in walk(caller, f"{path}?PageSize=2"):
        seen += sids_in(page)
        await delete(caller, path, *sids_in(page))
    assert seen == [sid(path, number) for number in range(COUNT - 1, -1, -1)]
    assert sids_in(await page_at(caller, path)) == []


@EACH
async def test_the_page_before_a_deleted_record_can_be_fetched(caller: Caller, path: str) -> None:
    first = await page_at(caller, f"{path}?PageSize=2")
    second = await page_at(caller, first["meta"]["next_page_url"])
    await delete(caller, path, *sids_in(second))
    back = await page_at(caller, second["meta"]["previous_page_url"])
    assert sids_in(back) == sids_in(first)


@EACH
async def test_a_token_of_a_deleted_record_leads_to_older_records(
    caller: Caller, path: str
) -> None:
    token = f"PA{sid(path, 3)}"
    await delete(caller, path, sid(path, 2), sid(path, 3), sid(path, 5))
    page = await page_at(caller, f"{path}?PageSize=2&PageToken={token}")
    assert sids_in(page) == [sid(path, 1), sid(path, 0)]
    before = await page_at(caller, f"{path}?PageSize=9&PageToken=PB{sid(path, 3)}")
    assert sids_in(before) == [sid(path, 6), sid(path, 4)]


@EACH
async def test_records_added_meanwhile_neither_repeat_nor_hide_one(
    caller: Caller, store: Store, path: str
) -> None:
    seen = list[str]()
    async for page in walk(caller, f"{path}?PageSize=2"):
        seen += sids_in(page)
        number = COUNT + len(seen)
        plan = a_rate_plan(sid=f"WP{number:032}", unique_name=None)
        sim = a_wireless_sim(sid=f"DE{number:032}", iccid=f"8901{number:015}", unique_name=None)
        command = a_command(sid=f"DC{number:032}")

        def work(tx: Transaction) -> None:
            tx.wireless.rate_plans.add(plan)  # noqa: B023 (the function is called at once)
            tx.wireless.sims.add(sim)  # noqa: B023 (the function is called at once)
            tx.wireless.commands.add(command)  # noqa: B023 (the function is called at once)

        await store.transact(work)
    assert seen == [sid(path, number) for number in range(COUNT - 1, -1, -1)]


@EACH
async def test_urls_of_pages_have_the_prefix_and_the_filters(caller: Caller, path: str) -> None:
    filters = {"sims": "Status=new&", "commands": "Sim=meter_1&Status=queued&", "rate_plans": ""}
    asked = f"{ORIGIN}{path}?{filters[LISTS[path]]}"
    meta = (await page_at(caller, f"{asked}PageSize=2"))["meta"]
    assert meta["url"] == meta["first_page_url"] == f"{asked}PageSize=2&Page=0"
    assert meta["next_page_url"] == f"{asked}PageSize=2&Page=1&PageToken=PA{sid(path, 5)}"


@EACH
@pytest.mark.parametrize(
    "query",
    [
        "PageSize=0",
        "PageSize=1001",
        "PageSize=-1",
        "PageSize=x",
        "PageSize=",
        "Page=-1",
        "Page=",
        "PageToken=x",
        "PageToken=PA",
        "PageToken=PB",
        f"PageToken=PADE{'f' * 32}",
        f"PageToken=PBDC{'f' * 32}",
        f"PageToken=PAWP{'f' * 32}",
    ],
)
async def test_an_impossible_page_is_refused(caller: Caller, path: str, query: str) -> None:
    answer = await caller.get(f"{path}?{query}")
    assert refusal(answer) == (400, 33103)
    assert answer.json["message"].startswith(query.partition("=")[0])


async def test_a_token_of_another_list_is_refused(caller: Caller) -> None:
    token = f"PA{sid('/wireless/v1/Commands', 1)}"
    assert (await caller.get(f"/wireless/v1/Commands?PageToken={token}")).status == 200
    assert refusal(await caller.get(f"/wireless/v1/Sims?PageToken={token}")) == (400, 33103)


async def test_a_deleted_record_of_another_account_begins_no_page(
    caller: Caller, store: Store
) -> None:
    theirs = "DE" + "f" * 32
    await store.transact(lambda tx: tx.wireless.sims.remove(theirs))
    assert refusal(await caller.get(f"/wireless/v1/Sims?PageToken=PA{theirs}")) == (400, 33103)
