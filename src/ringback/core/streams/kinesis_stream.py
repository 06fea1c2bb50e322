"""The address of a Kinesis stream: its ARN, and the URL by which the queue knows it.

The URL is our own. It has the stream in its host, so that each stream is a destination with limits
and a breaker of its own: `kinesis://STREAM.ACCOUNT.REGION`. A request to it is one record, which is
written by the call PutRecords together with others. So it has no HTTP headers and no signature: its
record has the call, the stream and the partition key, which is in the query of the requested URL.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.counted import counted
from ringback.core.errors import InvalidParameter
from ringback.core.http.http_exchange import HeadPlace, HeadTemplate

SCHEME: Final = "kinesis"
_PARTITION_KEY: Final = "PartitionKey"
_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):kinesis:(?P<region>[a-z0-9-]+):(?P<account>[0-9]+)"
    r":stream/(?P<name>[A-Za-z0-9_.-]{1,128})"
)
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]+:role/[\w+=,.@/-]+")
_EXTERNAL_ID: Final = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
"""AWS's rule (STS, AssumeRole)."""


def url_of_stream(arn: str) -> CallbackUrl:
    """Return the URL of the Kinesis stream with this ARN; raises InvalidParameter if it is none."""
    match = _ARN.fullmatch(arn)
    if match is None:
        raise InvalidParameter(
            f"{arn!r} is not the ARN of a Kinesis stream; it must be like"
            " arn:aws:kinesis:us-east-1:111111111111:stream/name",
            code=91000,
        )
    partition, region, account, name = match.groups()
    return CallbackUrl(
        scheme=SCHEME,
        host=f"{name}.{account}.{region}",
        explicit_port="443",
        path=f"/{partition}",
        query=None,
    )


def arn_of(url: CallbackUrl) -> str:
    """Return the ARN of the Kinesis stream with this URL.

    >>> arn_of(url_of_stream("arn:aws:kinesis:us-east-1:111111111111:stream/my.events"))
    'arn:aws:kinesis:us-east-1:111111111111:stream/my.events'
    """
    name, account, region = url.host.rsplit(".", 2)
    return f"arn:{url.path[1:]}:kinesis:{region}:{account}:stream/{name}"


def region_of(url: CallbackUrl) -> str:
    """Return the AWS region of the Kinesis stream with this URL."""
    return url.host.rpartition(".")[2]


def with_partition_key(url: CallbackUrl, key: str) -> CallbackUrl:
    """Return the URL of a record with this partition key, from that of its stream.

    Twilio does not document which key it uses. With the SID of the SIM, the events of a SIM stay
    together in a shard, in their order.
    """
    return url.with_parameters(f"{_PARTITION_KEY}={quote(key, safe='')}")


def partition_key_of(url: CallbackUrl) -> str:
    """Return the partition key in the URL of a record.

    >>> stream = url_of_stream("arn:aws:kinesis:us-east-1:111111111111:stream/events")
    >>> partition_key_of(with_partition_key(stream, "HS1"))
    'HS1'
    """
    return unquote((url.query or "").removeprefix(f"{_PARTITION_KEY}="))


@lru_cache(maxsize=1024)
def record_template(url: CallbackUrl) -> HeadTemplate:
    """Return the template of what is kept in place of an HTTP head, for records of a stream."""
    return HeadTemplate(
        f"PutRecords {HeadPlace.TARGET} Kinesis_20131202\r\nStreamARN: {arn_of(url)}"
    )


def check_role(arn: str) -> str:
    """Return the ARN of an IAM role; raises InvalidParameter if it is none."""
    if not _ROLE.fullmatch(arn):
        raise InvalidParameter(
            f"{arn!r} is not the ARN of an IAM role; it must be like"
            " arn:aws:iam::111111111111:role/name",
            code=91000,
        )
    return arn


def check_external_id(text: str) -> str:
    """Return the external id of a role; raises InvalidParameter if AWS would refuse it.

    The message does not show it, since customers often treat it as a secret.
    """
    if not _EXTERNAL_ID.fullmatch(text):
        raise InvalidParameter(
            f"AWS would refuse the external id, which has {counted(len(text), 'character')}: it"
            " takes 2 to 1224, each a letter, a digit or one of _ + = , . @ : / -",
            code=91000,
        )
    return text
