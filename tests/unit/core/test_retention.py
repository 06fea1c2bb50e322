from datetime import timedelta

from ringback.core.retention import RetentionPolicy, RetentionTimes

LONG = RetentionTimes(delivered=timedelta(days=365))


def test_an_account_without_times_of_its_own_has_those_of_the_server() -> None:
    policy = RetentionPolicy(RetentionTimes(), {"AC1": LONG})
    assert [policy.of("AC1"), policy.of("AC2")] == [LONG, RetentionTimes()]


def test_without_times_everything_is_kept_forever() -> None:
    assert set(RetentionTimes()) == {None}
