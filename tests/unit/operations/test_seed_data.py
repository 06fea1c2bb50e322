"""The account of KORE's notice, which a new store starts with."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.accounts.account import ApiKey
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.usage import BillingPeriodType
from ringback.core.wireless.sim import WirelessStatus
from ringback.operations.api_keys import create_key
from ringback.operations.authentication import sign_in
from ringback.operations.seed_data import SeededAccount, find_or_make_operators_key, find_or_seed
from ringback.operations.supersim.billing import list_billing_periods
from ringback.operations.supersim.sims import fetch_sim, register_sim
from ringback.operations.wireless import sims as wireless_sims
from ringback.operations.wireless.rate_plans import fetch_rate_plan
from ringback.operations.wireless.seed_data import SIM_SID as WIRELESS_SIM_SID
from ringback.ports import PageWindow
from tests.fakes import (
    ACCOUNT_SID,
    NOW,
    SIM_SID,
    SeededRandomness,
    a_context,
    an_account,
    an_api_key,
)
from tests.memory_store import MemoryTransaction


def seed(
    tx: MemoryTransaction,
    random_seed: int = 0,
    *,
    uses_static_proxy: bool = False,
    known: tuple[str, str] | None = None,
) -> SeededAccount:
    context = a_context(random_source=SeededRandomness(random_seed))
    return find_or_seed(tx, context, uses_static_proxy=uses_static_proxy, known=known)


def pair_of(seeded: SeededAccount) -> tuple[str, str]:
    return seeded.api_key.key.sid, seeded.api_key.secret


def test_a_new_store_gets_the_account_of_the_notice() -> None:
    tx = MemoryTransaction()
    seeded = seed(tx)
    assert (seeded.account.sid, seeded.sim_sid) == (ACCOUNT_SID, SIM_SID)
    assert seeded.wireless_sim_sid == WIRELESS_SIM_SID
    assert tx.accounts.get(ACCOUNT_SID) == seeded.account
    assert tx.accounts.keys.get(seeded.api_key.key.sid) == seeded.api_key.key
    assert re.fullmatch("SK[0-9a-f]{32}", seeded.api_key.key.sid)


def test_its_sim_is_active_in_a_fleet_and_has_the_notices_name() -> None:
    tx = MemoryTransaction()
    seed(tx)
    sim = fetch_sim(tx, ACCOUNT_SID, "my_super_sim")
    fleet = tx.supersim.fleets.find(ACCOUNT_SID, "my_fleet")
    assert fleet is not None
    assert (sim.sid, sim.status, sim.fleet_sid) == (SIM_SID, SimStatus.ACTIVE, fleet.sid)


def test_the_card_that_the_vendors_samples_register_is_free() -> None:
    tx = MemoryTransaction()
    seed(tx)
    sample = {"iccid": "89883070000123456789", "registration_code": "H3LL0W0RLD"}
    made = register_sim(
        tx, ACCOUNT_SID, **sample, context=a_context(random_source=SeededRandomness(1))
    )
    assert (made.status, made.sid != SIM_SID) == (SimStatus.NEW, True)


def test_an_older_store_keeps_the_card_of_its_sim() -> None:
    tx = MemoryTransaction()
    seed(tx, random_seed=1)
    sim = fetch_sim(tx, ACCOUNT_SID, SIM_SID)
    before = replace(sim, iccid="89883070000123456789")
    tx.supersim.sims.save(before)
    seed(tx, random_seed=2)
    assert fetch_sim(tx, ACCOUNT_SID, SIM_SID) == before


def test_it_has_an_active_sim_of_programmable_wireless_too() -> None:
    tx = MemoryTransaction()
    seed(tx)
    sim = wireless_sims.fetch_sim(tx, ACCOUNT_SID, "my_wireless_sim")
    assert (sim.sid, sim.status) == (WIRELESS_SIM_SID, WirelessStatus.ACTIVE)
    assert sim.rate_plan_sid == fetch_rate_plan(tx, ACCOUNT_SID, "my_rate_plan").sid


def test_seeding_again_finds_the_accounts_secrets_and_uses_the_known_key() -> None:
    tx = MemoryTransaction()
    first = seed(tx, random_seed=1)
    assert seed(tx, random_seed=2, known=pair_of(first)) == first
    assert tx.accounts.keys.of(ACCOUNT_SID) == [first.api_key.key]


def valid_keys(tx: MemoryTransaction, account_sid: str | None = ACCOUNT_SID) -> list[ApiKey]:
    return [key for key in tx.accounts.keys.of(account_sid) if key.date_ended is None]


def test_without_the_known_key_a_new_one_replaces_it() -> None:
    tx = MemoryTransaction()
    first, second = seed(tx, random_seed=1), seed(tx, random_seed=2)
    assert second.account == first.account
    assert second.api_key.secret != first.api_key.secret
    assert valid_keys(tx) == [second.api_key.key]
    assert [key.date_ended for key in tx.accounts.keys.of(ACCOUNT_SID)] == [NOW, None]


@pytest.mark.parametrize("wrong", ["a wrong secret", "a key that is gone", "another account's"])
def test_a_known_key_that_is_not_valid_here_is_forgotten(wrong: str) -> None:
    tx = MemoryTransaction()
    first = seed(tx, random_seed=1)
    theirs = an_api_key("SK" + "b" * 32, "AC" + "f" * 32, "theirs")
    tx.accounts.add(an_account(sid="AC" + "f" * 32), [theirs])
    known = {
        "a wrong secret": (first.api_key.key.sid, "wrong"),
        "a key that is gone": ("SK" + "0" * 32, first.api_key.secret),
        "another account's": (theirs.sid, "theirs"),
    }[wrong]
    again = seed(tx, random_seed=2, known=known)
    assert again.api_key.key.sid not in (first.api_key.key.sid, theirs.sid)
    assert sign_in(tx, *pair_of(again)).account == again.account
    assert tx.accounts.keys.get(theirs.sid) == theirs


def test_keys_of_other_names_are_unchanged() -> None:
    tx = MemoryTransaction()
    seed(tx, random_seed=1)
    own = create_key(tx, ACCOUNT_SID, "mine", a_context(random_source=SeededRandomness(3)))
    again = seed(tx, random_seed=2)
    assert valid_keys(tx) == [own.key, again.api_key.key]


def test_a_new_store_has_no_known_key() -> None:
    tx = MemoryTransaction()
    seeded = seed(tx, random_seed=1, known=("SK" + "0" * 32, "of another store"))
    assert tx.accounts.keys.of(ACCOUNT_SID) == [seeded.api_key.key]


def test_the_operator_has_a_key_too_which_is_kept_while_it_is_known() -> None:
    tx = MemoryTransaction()
    seeded = seed(tx)
    context = a_context(random_source=SeededRandomness(1))
    own = create_key(tx, None, "mine", context)
    first = find_or_make_operators_key(tx, context, None)
    assert sign_in(tx, first.key.sid, first.secret).account is None
    known = (first.key.sid, first.secret)
    assert find_or_make_operators_key(tx, context, known) == first
    second = find_or_make_operators_key(tx, context, pair_of(seeded))
    assert valid_keys(tx, None) == [own.key, second.key]
    assert tx.accounts.keys.of(ACCOUNT_SID) == [seeded.api_key.key]


def test_seeding_again_adds_no_second_sim() -> None:
    tx = MemoryTransaction()
    seed(tx)
    seed(tx)
    assert len(tx.supersim.sims.page(ACCOUNT_SID, {}, PageWindow(9))) == 1
    assert len(tx.wireless.sims.page(ACCOUNT_SID, {}, PageWindow(9))) == 1


def test_two_stores_get_different_secrets() -> None:
    one, other = (
        seed(MemoryTransaction(), random_seed=1),
        seed(MemoryTransaction(), random_seed=2),
    )
    for name in ("auth_token", "kore_secret"):
        assert getattr(one.account, name) != getattr(other.account, name)
    assert one.api_key.secret != other.api_key.secret


def test_the_static_proxy_follows_the_present_settings() -> None:
    tx = MemoryTransaction()
    for uses_static_proxy in (True, False):
        assert seed(tx, uses_static_proxy=uses_static_proxy).account.uses_static_proxy is (
            uses_static_proxy
        )
        found = tx.accounts.get(ACCOUNT_SID)
        assert found is not None
        assert found.uses_static_proxy is uses_static_proxy


def test_its_sim_is_billed_and_its_device_is_on_this_machine() -> None:
    tx = MemoryTransaction()
    seed(tx)
    sim = fetch_sim(tx, ACCOUNT_SID, "my_super_sim")
    (period,) = list_billing_periods(tx, ACCOUNT_SID, SIM_SID, PageWindow(9))
    assert (sim.device_ip, period.period_type) == ("127.0.0.1", BillingPeriodType.ACTIVE)


def test_nothing_is_in_progress_at_first() -> None:
    tx = MemoryTransaction()
    seed(tx)
    (update,) = tx.supersim.settings_updates.page(ACCOUNT_SID, {}, PageWindow(9))
    assert (update.status, update.date_completed) == ("successful", NOW)
    due = tx.tasks.claim(NOW + timedelta(days=3650), limit=9)
    assert {(task.step, task.subject_sid) for task in due} == {
        (TaskKind.RENEW_PERIOD, SIM_SID),
        (TaskKind.METER_SIM, WIRELESS_SIM_SID),
    }


def test_its_sim_gets_its_address_in_an_older_store_too() -> None:
    tx = MemoryTransaction()
    seed(tx)
    tx.supersim.sims.save(replace(fetch_sim(tx, ACCOUNT_SID, SIM_SID), device_ip="127.99.188.141"))
    seed(tx)
    assert fetch_sim(tx, ACCOUNT_SID, SIM_SID).device_ip == "127.0.0.1"


def test_an_older_store_gets_its_sim_of_programmable_wireless_too() -> None:
    tx = MemoryTransaction()
    before = seed(tx)
    for sid in list(tx.wireless.sims.records):
        tx.wireless.sims.remove(sid)
    assert seed(tx, known=pair_of(before)) == before
    assert wireless_sims.fetch_sim(tx, ACCOUNT_SID, "my_wireless_sim").sid == WIRELESS_SIM_SID
