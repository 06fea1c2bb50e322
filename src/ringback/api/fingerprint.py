"""The route that shows the fingerprint of the server's data, without credentials.

A plan of `ringback migrate` is bound to the data whose URLs it moves. `ringback migrate` asks for
the fingerprint before it sends any credentials, so that it sends them only to the right server.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback.api.operation_definition import resource
from ringback.api.serializers import json_answer
from ringback.ports import Store

FINGERPRINT: Final = "/fingerprint"


def fingerprint_route(store: Store) -> BaseRoute:
    """Return the route, which reads the fingerprint once: it never changes while a server runs."""
    known = list[str]()

    async def show(request: Request) -> Response:
        if not known:
            known.append(await store.read(lambda tx: tx.fingerprint()))
        return json_answer({"fingerprint": known[0]})

    return resource(FINGERPRINT, get=show)
