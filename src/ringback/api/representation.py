"""How values stand in answers."""

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.responses import Response

from ringback.api.forms import Parameters

# Written out as `periods.iso` does.
_DATES: Final = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS


def json_answer(value: Mapping[str, object], status: int = 200) -> Response:
    """Return the answer that has this as its JSON body; instants in it are in UTC."""
    return Response(orjson.dumps(value, option=_DATES), status, media_type="application/json")


def shown_once(response: Response) -> Response:
    """Have nobody in between keep an answer that shows a secret, as RFC 6749, 5.1, has it."""
    response.headers.update({"Cache-Control": "no-store", "Pragma": "no-cache"})
    return response


def with_unknown(parameters: Parameters, response: Response) -> Response:
    """Name parameters that had no effect in a header, since both vendors ignore them silently."""
    if parameters.unknown:
        names = ", ".join(ascii(name)[:80] for name in parameters.unknown[:10])
        response.headers["Ringback-Warning"] = f"unknown parameters, without effect: {names}"
    return response
