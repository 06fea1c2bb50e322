import json
import re
from datetime import UTC, datetime

from ringback.core.events.kore_test_event import TEST_EVENT_BYTES, write_test_event
from ringback.core.sources.signature import sign_as_kore

AT = datetime(2024, 9, 25, 19, 9, 48, 584208, tzinfo=UTC)
DOCUMENTED = (
    '[{"data":{"test_id":"88bf54a9-f2fb-40b6-8faf-e6c5a3c348d2"},'
    '"id":"fff521c2-c7db-4b53-a5a0-c5d5d01f66ce","time":"2024-09-25T19:09:48.5842087+00:00",'
    '"type":"com.kore.eventstreams.test.event","source":"kore-events",'
    '"dataschema":"/schemas/test/1","specversion":"1.0","datacontenttype":"application/json"}]'
)


def documented() -> str:
    random_bytes = "88bf54a9f2fb40b68fafe6c5a3c348d2 fff521c2c7db4b53a5a0c5d5d01f66ce 07"
    return write_test_event(bytes.fromhex(random_bytes), at=AT)


def test_it_is_kores_documented_event_byte_for_byte() -> None:
    assert documented() == DOCUMENTED


def test_it_is_signed_as_kore_documents_it() -> None:
    signature = sign_as_kore(
        "POST", "https://testendpoint.com", documented().encode(), secret="f4d430d03cff6f03e1"
    )
    assert signature == "ebada5751c4fea18becf9eea29f239fd3a62805e817bdc730a0c9fa589201592"


def test_a_new_one_has_ids_of_its_own_and_seven_digits_of_its_instant() -> None:
    random_bytes = bytes(range(TEST_EVENT_BYTES - 1)) + b"\xff"
    (event,) = json.loads(write_test_event(random_bytes, at=AT))
    assert event["data"] == {"test_id": "00010203-0405-4607-8809-0a0b0c0d0e0f"}
    assert event["id"] == "10111213-1415-4617-9819-1a1b1c1d1e1f"
    assert event["time"] == "2024-09-25T19:09:48.5842085+00:00"


def test_a_full_second_has_its_digits_as_well() -> None:
    text = write_test_event(bytes(TEST_EVENT_BYTES), at=AT.replace(microsecond=0))
    assert re.findall(r'"time":"(.*?)"', text) == ["2024-09-25T19:09:48.0000000+00:00"]
