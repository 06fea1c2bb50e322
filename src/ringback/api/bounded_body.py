"""Reads the body of a request, up to a limit."""

from typing import Final

from starlette.requests import Request

from ringback.core.errors import SUPER_SIM, InvalidParameter

# Most clients read the response only after they have sent their whole body.
_MAX_DISCARDED: Final = 64 * 1024 * 1024


def media_type_of(request: Request) -> str | None:
    """Return the media type in a request's Content-Type, in lower case; None without the header."""
    given = request.headers.get("content-type")
    return None if given is None else media_type_in(given)


def media_type_in(content_type: str) -> str:
    """Return the media type in a Content-Type header, in lower case."""
    return content_type.partition(";")[0].strip().lower()


async def read_body(request: Request, *, most: int, code: int = SUPER_SIM.invalid) -> bytes:
    """Return a request's body of at most `most` bytes.

    Raises InvalidParameter with the error code `code` if the body is longer or was cut off. A
    longer body is still read and dropped, because most clients read the error only after sending
    everything.
    """
    parts, length, has_more = list[bytes](), 0, True
    while has_more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise InvalidParameter(
                "the connection ended before the whole body had arrived; send the request again",
                code=code,
            )
        part: bytes = message.get("body", b"")
        length += len(part)
        if length <= most:
            parts.append(part)
        has_more = message.get("more_body", False) and length <= _MAX_DISCARDED
    if length > most:
        raise InvalidParameter(
            f"the body is longer than the limit of {most} bytes; nothing was changed", code=code
        )
    return b"".join(parts)
