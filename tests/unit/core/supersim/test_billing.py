from datetime import timedelta

from ringback.core.months import months_after
from ringback.core.supersim.billing import BillingPeriod, PeriodType
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID


def test_the_types_of_a_period_are_those_of_the_api() -> None:
    assert list(PeriodType) == ["ready", "active"]


def test_a_period_is_of_one_sim_and_one_type() -> None:
    period = BillingPeriod(
        sid=f"HB{'1' * 32}",
        account_sid=ACCOUNT_SID,
        sim_sid=SIM_SID,
        period_type=PeriodType.ACTIVE,
        start_time=NOW,
        end_time=months_after(NOW),
        date_created=NOW,
        date_updated=NOW,
    )
    assert period.end_time - period.start_time == timedelta(days=31)
