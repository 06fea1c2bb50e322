"""How much is kept of long answers, over HTTP."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.forms import read_query
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import reach_of
from ringback.core.account import EVERY
from ringback.ports import Transaction

MOST_ACCOUNTS: Final = 500
"""How many accounts an operator's key is shown: those for which most is kept."""


class ResponseStorageResource:
    """The bytes that are kept for one account, or for an operator's key of all."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def fetch(self, request: Request) -> Response:
        """Tell how much is kept, and how much may be."""
        reach = await reach_of(request, self._services.sign_ins)
        query = read_query(request, ())
        shown = await self._services.store.read(lambda tx: self._show(tx, reach), asked_by=reach)
        return with_unknown(query, json_answer(shown))

    def _show(self, tx: Transaction, reach: str) -> dict[str, Any]:
        budget, kept = self._services.response_storage, tx.kept_responses
        if reach != EVERY:
            return {"bytes": kept.bytes_of(reach), "budget": budget.per_account, "accounts": []}
        accounts = [one._asdict() for one in kept.largest(limit=MOST_ACCOUNTS)]
        return {"bytes": kept.bytes_of(EVERY), "budget": budget.in_all, "accounts": accounts}
