from datetime import timedelta

from ringback.core.streams.sink import SinkStatus, SinkType, StreamSettings
from tests.streams import a_sink, a_subscription


def test_a_new_sink_is_an_active_webhook_without_batches() -> None:
    sink = a_sink()
    assert (sink.sink_type, sink.status) == (SinkType.WEBHOOK, SinkStatus.ACTIVE)
    assert not sink.has_batches
    assert sink.test_id is None


def test_a_new_subscription_is_enabled() -> None:
    assert a_subscription().is_enabled
    assert a_subscription().notes == ()


def test_the_settings_are_those_of_the_vendors() -> None:
    assert StreamSettings() == StreamSettings(100, False, timedelta(seconds=1), False)
