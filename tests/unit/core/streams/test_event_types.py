from datetime import UTC, datetime

import pytest

from ringback.core.policy.source_policy import NOTICE
from ringback.core.streams.event_types import (
    DESCRIPTIONS,
    LATEST_VERSION,
    SCHEMA_VERSIONS,
    StreamEventType,
    status_at_twilio,
)


@pytest.mark.parametrize(
    ("date", "status"),
    [
        ((2024, 10, 15), "available"),
        ((2024, 10, 16), "deprecated"),
        ((2024, 11, 1), "deprecated"),
        ((2024, 11, 2), "discontinued"),
    ],
)
def test_the_status_of_types_at_twilio_follows_the_notices_dates(
    date: tuple[int, int, int], status: str
) -> None:
    assert status_at_twilio(NOTICE.phase_at(datetime(*date, 12, tzinfo=UTC))) == status


def test_each_type_has_a_description_and_a_name_of_kore() -> None:
    assert [*DESCRIPTIONS] == [*StreamEventType]
    assert all(DESCRIPTIONS.values())
    one = StreamEventType.ATTACHMENT_FAILED
    assert one.short == "attachment.failed"
    assert one.with_kore_prefix == "com.kore.iot.supersim.connection.attachment.failed"


def test_version_2_is_the_latest() -> None:
    assert ([*SCHEMA_VERSIONS], LATEST_VERSION) == ([1, 2], 2)
