"""Which account a page is about, if the operator looks at it: the chosen one, or the only one."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from ringback.console.access import PATH
from ringback.console.api_caller import JsonObject
from ringback.console.visit import Visit

_MOST_OFFERED = "1000"


class AccountChoice(NamedTuple):
    """The account that a page is about, or those to choose from."""

    sid: str | None
    """None if it has to be chosen."""
    offered: Sequence[JsonObject] = ()
    """The accounts to choose from."""
    is_operators: bool = False

    def at(self, path: str) -> str:
        """Return the URL of a page of this account; `path` is below the console."""
        return f"{PATH}{path}{self.query}"

    @property
    def query(self) -> str:
        """The query of URLs about this account: it names the account if the operator looks."""
        return f"?{urlencode({'account': self.sid})}" if self.is_operators and self.sid else ""


async def account_of(visit: Visit) -> AccountChoice:
    """Return the own account, or the one that the operator has chosen, or the only one."""
    if not visit.is_operator or visit.account_sid:
        return AccountChoice(visit.account_sid, is_operators=visit.is_operator)
    answer = await visit.api.get("accounts", query={"PageSize": _MOST_OFFERED})
    offered: Sequence[JsonObject] = answer["accounts"]
    only = offered[0]["sid"] if len(offered) == 1 else None
    return AccountChoice(only, offered, is_operators=True)


async def ask_for_account(visit: Visit, choice: AccountChoice, title: str) -> Response:
    """Return a page on which the operator chooses an account."""
    return await visit.page("account_choice.html", title=title, offered=choice.offered)
