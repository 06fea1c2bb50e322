"""The names that customers give to their own resources."""

from typing import Final

from ringback.api.operation import Parameter
from ringback.api.schemas import text

LONGEST_NAME: Final = 64

UNIQUE_NAME: Final = Parameter(
    "UniqueName",
    text(longest=LONGEST_NAME),
    "A name that can be used instead of the SID; empty to take it away.",
)
