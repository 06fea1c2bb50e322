import pytest

from ringback.core.errors import InvalidParameter
from ringback.core.streams.kinesis_stream import (
    arn_of,
    check_external_id,
    check_role,
    partition_key_of,
    record_template,
    region_of,
    url_of_stream,
    with_partition_key,
)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:kinesis:us-east-1:111111111111:stream/events",
        "arn:aws-cn:kinesis:cn-north-1:111111111111:stream/My.Events_1-x",
        "arn:aws-us-gov:kinesis:us-gov-west-1:1:stream/e",
    ],
)
def test_the_url_of_a_stream_has_its_arn(arn: str) -> None:
    url = url_of_stream(arn)
    assert arn_of(url) == arn
    assert region_of(url) == arn.split(":")[3]


def test_each_stream_is_a_destination_of_its_own() -> None:
    arn = "arn:aws:kinesis:us-east-1:111111111111:stream/{}"
    first, second = (url_of_stream(arn.format(name)) for name in ("a", "b"))
    assert first.destination == "kinesis://a.111111111111.us-east-1:443"
    assert second.destination != first.destination


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "events",
        "arn:aws:sqs:us-east-1:111111111111:events",
        "arn:aws:kinesis:us-east-1:111111111111:stream/",
        "arn:aws:kinesis:us-east-1:111111111111:stream/a b",
        "arn:aws:kinesis:us-east-1:x:stream/a",
        "arn:aws:kinesis:us-east-1:111111111111:stream/" + "a" * 129,
    ],
)
def test_what_is_no_arn_of_a_stream_is_refused(arn: str) -> None:
    with pytest.raises(InvalidParameter, match="must be like arn:aws:kinesis") as refused:
        url_of_stream(arn)
    assert refused.value.code == 91000


@pytest.mark.parametrize("key", ["HS1", "a/b c&d=é"])
def test_the_url_of_a_record_has_its_partition_key(key: str) -> None:
    stream = url_of_stream("arn:aws:kinesis:us-east-1:111111111111:stream/events")
    record = with_partition_key(stream, key)
    assert partition_key_of(record) == key
    assert arn_of(record) == arn_of(stream)
    assert record.destination == stream.destination


def test_a_record_has_the_name_and_the_stream_of_its_request_in_place_of_a_head() -> None:
    arn = "arn:aws:kinesis:us-east-1:111111111111:stream/events"
    template = record_template(url_of_stream(arn))
    assert template.text.startswith("PutRecords ")
    assert template.text.endswith(f" Kinesis_20131202\r\nStreamARN: {arn}")


def test_a_role_is_checked() -> None:
    role = "arn:aws:iam::111111111111:role/path/ringback-events"
    assert check_role(role) == role
    with pytest.raises(InvalidParameter, match="'me' is not the ARN of an IAM role"):
        check_role("me")


@pytest.mark.parametrize("text", ["ok", "only+us=,.@:/-_9", "x" * 1224])
def test_an_external_id_is_one_that_aws_takes(text: str) -> None:
    assert check_external_id(text) == text


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("q", "1 character:"),
        ("q" * 1225, "1225 characters:"),
        ("only us", "7 characters:"),
        ("über", "4 characters:"),
        ("us\n", "3 characters:"),
    ],
)
def test_an_external_id_that_aws_refuses_is_refused_without_showing_it(
    text: str, length: str
) -> None:
    with pytest.raises(InvalidParameter, match="it takes 2 to 1224, each a letter") as refusal:
        check_external_id(text)
    assert length in refusal.value.message
    assert text not in refusal.value.message
