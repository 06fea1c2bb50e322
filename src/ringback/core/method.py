"""The methods that a callback can be sent with."""

from enum import StrEnum


class Method(StrEnum):
    """The methods that a callback can be sent with."""

    POST = "POST"
    GET = "GET"
