"""The portal's operations on checks of receivers: whether one is ready for a source."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ringback.api.authentication import signed_in
from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, required
from ringback.api.portal.callbacks import read_source
from ringback.api.schema_pieces import (
    INSTANT,
    METHOD,
    SOURCE,
    TEXT,
    URL,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.accounts.account import EVERY, Account
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.policy.receiver_evidence import ReceiverCheck, ReceiverVerdict, judge_receiver
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sids import SidKind
from ringback.operations.accounts import fetch_account
from ringback.operations.callback_destinations import CallbackUrlAndMethod
from ringback.operations.receiver_checks import find_receiver, save_checks

CHECKS: Final = "/portal/v1/receiver_checks"
_MOST_LISTED: Final = 1000
_OWN: Final = "an account can have only its own receivers checked"

CheckReceiver = Callable[[Account, CallbackUrlAndMethod, SourceName], Awaitable[ReceiverCheck]]
"""Checks a receiver for a source; raises Conflict while the server is paused."""
FixOf = Callable[[str], str | None]
"""Returns how to fix the fault with a name."""

RECEIVER_CHECKS: Final = CustomJsonSerializer(
    "receiver_checks",
    object_of(
        receiver_checks=list_of(
            object_of(
                account_sid=sid_of(SidKind.ACCOUNT),
                url=TEXT,
                source=SOURCE,
                verdict=one_of(ReceiverVerdict),
                words=TEXT,
                fault=or_null(TEXT),
                fix=or_null(TEXT),
                date=INSTANT,
            )
        )
    ),
)
_ACCOUNT: Final = OperationParameter(
    "AccountSid",
    sid_of(SidKind.ACCOUNT),
    "The account whose receiver it is. Only an operator's key can name another one.",
)
_CHECK: Final = (
    required("Url", URL, "A URL that the account has configured, or was sent callbacks to."),
    OperationParameter("Source", SOURCE, "The source to check (default: twilio and kore)."),
    OperationParameter(
        "Method", METHOD, "The HTTP method (default: the one that is used for the URL)."
    ),
    _ACCOUNT,
)
_LIST: Final = (
    OperationParameter("Url", URL, "Only checks of this URL, whatever its fragment."),
    OperationParameter(
        "PageSize", number(1, _MOST_LISTED), f"The most checks (default {_MOST_LISTED:,})."
    ),
    _ACCOUNT,
)


class ReceiverCheckEndpoints(EndpointGroup):
    """The operations that check receivers, and list the last checks."""

    def __init__(self, dependencies: ApiDependencies, check: CheckReceiver, fix_of: FixOf) -> None:
        super().__init__(dependencies)
        self._check_one = check
        self._fix_of = fix_of

    def operations(self) -> list[ApiOperation]:
        """Return the operations on checks of receivers."""
        return [
            self.answers(
                *(CHECKS, "CheckReceiver"),
                "Check whether the receiver at a URL is ready for a source: a genuine callback is"
                " sent, and if it is accepted, two forgeries. The account must have configured the"
                " URL, or callbacks must have been sent to it.",
                *(RECEIVER_CHECKS, self._check),
                verb="POST",
                takes=_CHECK,
                conflicts=True,
                for_all=True,
            ),
            self.answers(
                *(CHECKS, "ListReceiverChecks"),
                "List the last check of each receiver for each source, newest first; also those"
                " that plans have made. A check is kept for 30 days.",
                *(RECEIVER_CHECKS, self._list),
                takes=_LIST,
                for_all=True,
            ),
        ]

    async def _check(self, call: ApiRequest) -> Mapping[str, object]:
        given = call.given
        account_sid = call.one_named_account(_OWN, "a receiver is one account's")
        url = CallbackUrl.parse(given.required("Url"), sources=None)
        source = read_source(given, self._dependencies.sources)
        method = given.choice("Method", HttpMethod)
        sources = tuple(Source) if source is None else (source,)
        self._dependencies.authenticator.charge(signed_in(call.request), len(sources) - 1)
        account = await self.read(account_sid, lambda tx: fetch_account(tx, account_sid))
        found = await find_receiver(self._dependencies.store, account.sid, url)
        if found is None:
            raise given.wrong(
                f"Url: the account has not configured {url.wire[:200]!r} on a fleet or a SIM, and"
                " no callback of it was sent there: only such receivers are checked"
            )
        to = found if method is None else found._replace(method=method)
        checks = await asyncio.gather(*(self._check_one(account, to, one) for one in sources))
        await self.change(call.request, lambda tx, context: save_checks(tx, checks, context))
        return {"receiver_checks": [self._record(one) for one in checks]}

    async def _list(self, call: ApiRequest) -> Mapping[str, object]:
        given, account_sid = call.given, call.named_account(_OWN)
        size = given.number("PageSize", 1, _MOST_LISTED, default=_MOST_LISTED)
        text = given.text("Url")
        url = None if not text else CallbackUrl.parse(text, sources=None).wire
        if url is not None and account_sid == EVERY:
            raise given.wrong("give AccountSid: Url is that of one account's receiver")
        found = await self.read(
            account_sid,
            lambda tx: (
                tx.receiver_checks.newest(account_sid, limit=size)
                if url is None
                else tx.receiver_checks.of_url(account_sid, url)
            ),
        )
        return {"receiver_checks": [self._record(one) for one in found]}

    def _record(self, check: ReceiverCheck) -> dict[str, Any]:
        finding = judge_receiver(check.source, check, None)
        return {
            "account_sid": check.account_sid,
            "url": check.url,
            "source": check.source,
            "verdict": finding.verdict,
            "words": finding.words,
            "fault": check.fault,
            "fix": check.fault and self._fix_of(check.fault),
            "date": check.date,
        }
