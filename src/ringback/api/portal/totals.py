"""The portal's operations that count callbacks, stored URLs, and stored bytes of responses."""

from collections.abc import Mapping
from typing import Final

from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.schema_pieces import (
    INSTANT,
    SOURCE,
    TEXT,
    list_of,
    number,
    object_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core import calendar
from ringback.core.accounts.account import EVERY
from ringback.core.errors import SUPER_SIM, InvalidParameter
from ringback.core.sids import SidKind
from ringback.operations.callback_urls import FIRST, UrlPageStart, stored_url_page
from ringback.operations.delivery_totals import totals_of
from ringback.ports import Transaction

MOST_ACCOUNTS: Final = 500
"""Maximum number of accounts whose stored bytes the operator sees; those with most are shown."""
_ACCOUNT: Final = sid_of(SidKind.ACCOUNT)

TOTALS: Final = CustomJsonSerializer(
    "totals",
    object_of(
        totals=list_of(
            object_of(
                account_sid=_ACCOUNT,
                url=TEXT,
                source=SOURCE,
                source_asked=or_null(SOURCE),
                delivered=number(0),
                undelivered=number(0),
                retried=number(0),
                waiting=number(0),
                last=or_null(INSTANT),
                last_delivered=or_null(INSTANT),
            )
        )
    ),
)
RESPONSE_STORAGE: Final = CustomJsonSerializer(
    "response_storage",
    object_of(
        bytes=number(0),
        budget=number(0),
        accounts=list_of(object_of(account_sid=_ACCOUNT, bytes=number(1))),
    ),
)
STORED_URLS: Final = CustomJsonSerializer(
    "stored_urls",
    object_of(
        stored_urls=list_of(
            object_of(
                account_sid=_ACCOUNT,
                url=TEXT,
                source_asked=or_null(SOURCE),
                places=number(1),
                date_updated=INSTANT,
            )
        ),
        next_page_token=or_null(TEXT),
    ),
)
_PAGE_TOKEN: Final = OperationParameter(
    "PageToken", TEXT, "Where the page begins: the `next_page_token` of the page before it."
)
_TIME: Final = (
    OperationParameter(
        "Since", INSTANT, "Count callbacks created at or after this instant (default: a day ago)."
    ),
    OperationParameter(
        "Until", INSTANT, "Count callbacks created before this instant (default: now)."
    ),
)


class TotalsEndpoints(EndpointGroup):
    """The operations that count callbacks, URLs and bytes, for one account or for all."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that count callbacks, stored URLs, and bytes of responses."""
        return [
            self.answers(
                *("/portal/v1/totals", "FetchTotals"),
                "Count the callbacks of a period by result, for each account, URL and source. Test"
                " events and replays from the other source are not counted.",
                *(TOTALS, self._totals),
                takes=_TIME,
                for_all=True,
            ),
            self.answers(
                *("/portal/v1/stored_urls", "ListStoredUrls"),
                "List the callback URLs that are set on fleets and Programmable Wireless SIMs now,"
                " and in how many places. A page has those of at most 1,000 fleets or SIMs; the"
                " same URL can be in several pages.",
                *(STORED_URLS, self._stored_urls),
                takes=(_PAGE_TOKEN,),
                for_all=True,
            ),
            self.answers(
                *("/portal/v1/response_storage", "FetchResponseStorage"),
                "Show the bytes stored of receivers' long responses beyond the part that is stored"
                " with each attempt, and the limit. An operator's key gets the sum of all accounts,"
                " and the largest accounts.",
                *(RESPONSE_STORAGE, self._response_storage),
                for_all=True,
            ),
        ]

    async def _totals(self, call: ApiRequest) -> Mapping[str, object]:
        now = self._dependencies.clock.now()
        found = await totals_of(
            self._dependencies.store,
            since=call.given.instant("Since") or now - calendar.DAY,
            until=call.given.instant("Until") or now + calendar.INSTANT,  # so that now counts, too
            account_sid=call.owner,
        )
        return {"totals": [totals._asdict() for totals in found]}

    async def _stored_urls(self, call: ApiRequest) -> Mapping[str, object]:
        start = _page_start(call.given.text("PageToken"))
        page = await self.read(
            call.account_sid, lambda tx: stored_url_page(tx, start, account_sid=call.owner)
        )
        return {
            "stored_urls": [one._asdict() for one in page.found],
            "next_page_token": page.next and (page.next.after or page.next.kind.value),
        }

    async def _response_storage(self, call: ApiRequest) -> Mapping[str, object]:
        return await self.read(call.account_sid, lambda tx: self._kept(tx, call.account_sid))

    def _kept(self, tx: Transaction, reach: str) -> Mapping[str, object]:
        budget, kept = self._dependencies.response_storage, tx.kept_responses
        if reach != EVERY:
            return {"bytes": kept.bytes_of(reach), "budget": budget.per_account, "accounts": []}
        accounts = [one._asdict() for one in kept.largest(limit=MOST_ACCOUNTS)]
        return {"bytes": kept.bytes_of(EVERY), "budget": budget.in_all, "accounts": accounts}


def _page_start(token: str | None) -> UrlPageStart:
    """Return where a page begins: after the fleet or SIM of a token, or at the first SIM.

    Raises InvalidParameter if the token is of neither kind.
    """
    if not token:
        return FIRST
    kinds = (SidKind.FLEET, SidKind.WIRELESS_SIM)
    kind = next((kind for kind in kinds if token.startswith(kind)), None)
    if kind is None:
        raise InvalidParameter(
            f"PageToken={token[:80]!a} is not a page token; use the next_page_token of a page",
            code=SUPER_SIM.paging,
        )
    return UrlPageStart(kind, None if token == kind else token)
