"""The address of a Kinesis stream: its ARN, and the URL by which the queue knows it.

The URL is our own. It has the stream in its host, so that each stream is a destination with limits
and a breaker of its own: `kinesis://STREAM.ACCOUNT.REGION`.
"""

import re
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidParameter

SCHEME: Final = "kinesis"
_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):kinesis:(?P<region>[a-z0-9-]+):(?P<account>[0-9]+)"
    r":stream/(?P<name>[A-Za-z0-9_.-]{1,128})"
)
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]+:role/[\w+=,.@/-]+")


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

    >>> arn = "arn:aws:kinesis:us-east-1:111111111111:stream/my.events"
    >>> arn_of(url_of_stream(arn)) == arn
    True
    """
    name, account, region = url.host.rsplit(".", 2)
    return f"arn:{url.path[1:]}:kinesis:{region}:{account}:stream/{name}"


def region_of(url: CallbackUrl) -> str:
    """Return the AWS region of the Kinesis stream with this URL."""
    return url.host.rpartition(".")[2]


def check_role(arn: str) -> str:
    """Return the ARN of an IAM role; raises InvalidParameter if it is none."""
    if not _ROLE.fullmatch(arn):
        raise InvalidParameter(
            f"{arn!r} is not the ARN of an IAM role; it must be like"
            " arn:aws:iam::111111111111:role/name",
            code=91000,
        )
    return arn
