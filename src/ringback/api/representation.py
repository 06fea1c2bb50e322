"""How values stand in answers."""

from datetime import datetime

from starlette.responses import Response

from ringback.api.forms import Parameters


def shown_date(instant: datetime) -> str:
    """Return an instant as both vendors' APIs show it; their clients parse exactly this form."""
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def with_unknown(parameters: Parameters, response: Response) -> Response:
    """Name parameters that had no effect in a header, since both vendors ignore them silently."""
    if parameters.unknown:
        names = ", ".join(ascii(name)[:80] for name in parameters.unknown[:10])
        response.headers["Ringback-Warning"] = f"unknown parameters, without effect: {names}"
    return response
