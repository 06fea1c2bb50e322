import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.wireless.rate_plan import (
    DATA_LIMIT,
    DATA_LIMITS,
    DataLimitStrategy,
    RatePlan,
    RatePlanDataMetering,
    RoamingService,
    RoamingZone,
    zone_of,
)
from tests.fakes import ACCOUNT_SID, NOW
from tests.wireless_fakes import RATE_PLAN_SID, a_rate_plan

HOME, NATIONAL, ABROAD = RoamingZone


def test_the_values_are_those_of_the_api() -> None:
    assert list(RatePlanDataMetering) == ["payg", "quota-1", "quota-10", "quota-50"]
    assert list(DataLimitStrategy) == ["block", "throttle"]
    assert list(RoamingService) == ["data", "messaging", "voice"]
    assert list(RoamingZone) == ["home", "national_roaming", "international_roaming"]


def test_a_limit_is_1000_mb_and_can_be_2_tb() -> None:
    assert (DATA_LIMIT, DATA_LIMITS) == (1000, (1, 2_000_000))


def test_by_default_a_plan_has_data_and_messages_only_at_home() -> None:
    plan = RatePlan(sid=RATE_PLAN_SID, account_sid=ACCOUNT_SID, date_created=NOW, date_updated=NOW)
    assert plan == a_rate_plan(
        unique_name=None,
        data_enabled=True,
        data_metering=RatePlanDataMetering.PAYG,
        data_limit=1000,
        messaging_enabled=True,
        voice_enabled=False,
        national_roaming_enabled=False,
        national_roaming_data_limit=1000,
        international_roaming=(),
        international_roaming_data_limit=1000,
        data_limit_strategy=DataLimitStrategy.BLOCK,
        usage_notification_url=None,
        usage_notification_method=HttpMethod.POST,
    )


# ---- zones ---------------------------------------------------------------------------------------


def test_the_home_network_is_t_mobile_in_the_usa() -> None:
    at_home = [network for network in NETWORKS if zone_of(network) is HOME]
    assert [network.friendly_name for network in at_home] == ["T-Mobile"]


def test_other_operators_in_the_usa_are_national_and_all_others_international() -> None:
    for network in NETWORKS:
        if zone_of(network) is not HOME:
            expected = NATIONAL if network.iso_country == "US" else ABROAD
            assert zone_of(network) is expected
    assert {zone_of(network) for network in NETWORKS} == set(RoamingZone)


@pytest.mark.parametrize(("zone", "limit"), [(HOME, 1), (NATIONAL, 2), (ABROAD, 3)])
def test_every_zone_has_a_limit_of_its_own(zone: RoamingZone, limit: int) -> None:
    plan = a_rate_plan(
        data_limit=1, national_roaming_data_limit=2, international_roaming_data_limit=3
    )
    assert plan.limit_in(zone) == limit


@pytest.mark.parametrize(
    ("strategy", "zone", "throttles"),
    [
        (DataLimitStrategy.BLOCK, HOME, False),
        (DataLimitStrategy.BLOCK, NATIONAL, False),
        (DataLimitStrategy.BLOCK, ABROAD, False),
        (DataLimitStrategy.THROTTLE, HOME, True),
        (DataLimitStrategy.THROTTLE, NATIONAL, False),
        (DataLimitStrategy.THROTTLE, ABROAD, False),
    ],
)
def test_only_the_home_network_continues_at_a_lower_speed(
    strategy: DataLimitStrategy, zone: RoamingZone, *, throttles: bool
) -> None:
    assert a_rate_plan(data_limit_strategy=strategy).throttles_in(zone) is throttles


# ---- what a plan allows --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "zones_of_networks"),
    [
        (a_rate_plan(), {HOME}),
        (a_rate_plan(national_roaming_enabled=True), {HOME, NATIONAL}),
        (a_rate_plan(international_roaming=("data",)), {HOME, ABROAD}),
        (a_rate_plan(international_roaming=("messaging",)), {HOME, ABROAD}),
        (
            a_rate_plan(national_roaming_enabled=True, international_roaming=("voice",)),
            {HOME, NATIONAL, ABROAD},
        ),
    ],
)
def test_a_plan_admits_its_sims_to_all_networks_of_its_zones(
    plan: RatePlan, zones_of_networks: set[RoamingZone]
) -> None:
    assert plan.networks == tuple(
        network.sid for network in NETWORKS if zone_of(network) in zones_of_networks
    )
    assert plan.roams is (zones_of_networks != {HOME})


# For each plan: the zones that have data, and those that have messages.
ALLOWED: list[tuple[RatePlan, set[RoamingZone], set[RoamingZone]]] = [
    (a_rate_plan(), {HOME, NATIONAL}, {HOME, NATIONAL}),
    (a_rate_plan(data_enabled=False), set(), {HOME, NATIONAL}),
    (a_rate_plan(messaging_enabled=False), {HOME, NATIONAL}, set()),
    (a_rate_plan(international_roaming=("data",)), set(RoamingZone), {HOME, NATIONAL}),
    (a_rate_plan(international_roaming=("messaging",)), {HOME, NATIONAL}, set(RoamingZone)),
    (a_rate_plan(international_roaming=("voice",)), {HOME, NATIONAL}, {HOME, NATIONAL}),
    (a_rate_plan(international_roaming=("data", "messaging")), set(RoamingZone), set(RoamingZone)),
    (
        a_rate_plan(
            data_enabled=False, messaging_enabled=False, international_roaming=("data", "messaging")
        ),
        set(),
        set(),
    ),
]


@pytest.mark.parametrize(("plan", "data", "messages"), ALLOWED)
def test_abroad_a_plan_allows_the_listed_services_or_else_the_enabled_ones(
    plan: RatePlan, data: set[RoamingZone], messages: set[RoamingZone]
) -> None:
    assert {zone for zone in RoamingZone if plan.allows_data_in(zone)} == data
    assert {zone for zone in RoamingZone if plan.allows_messages_in(zone)} == messages
