"""Reading the body of a request, within bounds."""

from typing import Final

from starlette.requests import Request

from ringback.core.errors import SUPER_SIM, InvalidParameter

# Most clients read an answer only after they have sent all of their body.
_MAX_DISCARDED: Final = 64 * 1024 * 1024


def media_type_of(request: Request) -> str | None:
    """Return the media type that a request declares, in lower case; None where it has none."""
    given = request.headers.get("content-type")
    return None if given is None else given.partition(";")[0].strip().lower()


async def read_body(request: Request, *, most: int, code: int = SUPER_SIM.invalid) -> bytes:
    """Return a request's body; a longer one is read and dropped, so that its sender sees why.

    Raises InvalidParameter where it is longer than this many bytes, or was cut off.
    """
    parts, length, has_more = list[bytes](), 0, True
    while has_more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise InvalidParameter("the request ended before its body did", code=code)
        part: bytes = message.get("body", b"")
        length += len(part)
        if length <= most:
            parts.append(part)
        has_more = message.get("more_body", False) and length <= _MAX_DISCARDED
    if length > most:
        raise InvalidParameter(
            f"the body is longer than {most} bytes; nothing of it was used", code=code
        )
    return b"".join(parts)
