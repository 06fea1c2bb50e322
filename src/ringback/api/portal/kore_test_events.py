"""The portal's operations that send KORE's test event, signed with a webhook secret.

A rehearsal sends test events that are signed with the pending secret. It shows if the receivers
know this secret before it becomes active.
"""

from typing import Any, Final

from ringback.api.authentication import signed_in
from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, required
from ringback.api.portal.callback_json import CALLBACK, show_callback
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import METHOD, TEXT, URL, YES_OR_NO, list_of, object_of, refer
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import Conflict
from ringback.operations.accounts import fetch_account
from ringback.operations.callback_destinations import (
    MOST,
    CallbackUrlAndMethod,
    destinations_of,
    named,
)
from ringback.operations.kore_test_events import pending_of, rehearse, send_test_event
from ringback.ports import Transaction

REHEARSAL: Final = CustomJsonSerializer(
    "rehearsal",
    object_of(
        secret_id=TEXT, callbacks=list_of(refer("callback")), forgeries=list_of(refer("callback"))
    ),
)
_TEST: Final = (
    required("Url", URL, "The URL that receives the test event, with its fragment."),
    OperationParameter("Method", METHOD, "The HTTP method of the test event (default POST)."),
)
_REHEARSE: Final = (
    OperationParameter(
        "Url",
        {**list_of(URL), "maxItems": MOST},
        "Send to this URL instead of the account's URLs; can be repeated.",
    ),
    OperationParameter(
        "Forgeries",
        YES_OR_NO,
        "yes to also send each URL a forged test event, which it must refuse (default no).",
    ),
)


class TestEventEndpoints(EndpointGroup):
    """The operations that send KORE's test event, to one URL or to all URLs of an account."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that send KORE's test event."""
        return [
            self.changes(
                *("/portal/v1/test_events", "SendTestEvent", "Send KORE's test event to a URL."),
                *(CALLBACK, self._send),
                takes=_TEST,
                statuses=(201,),
            ),
            self.answers(
                *("/portal/v1/rehearsals", "RehearseSecret"),
                "Send test events, signed with the pending webhook secret, to the account's URLs.",
                *(REHEARSAL, self._rehearse),
                statuses=(201,),
                verb="POST",
                takes=_REHEARSE,
                conflicts=True,
            ),
        ]

    def _send(self, call: ApiRequest) -> Change[CallbackRecord]:
        url = self._dependencies.read_url(call.given.required("Url"))
        method = call.given.choice("Method", HttpMethod) or HttpMethod.POST
        self._dependencies.callback_queue.make_room(call.account_sid, 1)
        return lambda tx, context: send_test_event(
            tx, fetch_account(tx, call.account_sid), url, method, context=context
        )

    async def _rehearse(self, call: ApiRequest) -> dict[str, Any]:
        account_sid, urls = call.account_sid, self._read_urls(call.given)
        destinations = await self.read(account_sid, lambda tx: _asked(tx, account_sid, urls))
        forges = call.given.is_yes("Forgeries")
        count = len(destinations) * (2 if forges else 1)
        self._dependencies.callback_queue.make_room(account_sid, count)
        self._dependencies.authenticator.charge(signed_in(call.request), max(0, count - 1))
        pending, events, forgeries = await self.change(
            call.request,
            lambda tx, context: rehearse(tx, account_sid, destinations, context, forges=forges),
        )
        return {
            "secret_id": pending.id,
            "callbacks": list(map(show_callback, events)),
            "forgeries": list(map(show_callback, forgeries)),
        }

    def _read_urls(self, form: RequestParameters) -> list[CallbackUrl]:
        urls = form.all("Url")
        if len(urls) > MOST:
            raise form.wrong(f"Url is given {len(urls)} times; at most {MOST} URLs are allowed")
        return list(map(self._dependencies.read_url, urls))


def _asked(
    tx: Transaction, account_sid: str, urls: list[CallbackUrl]
) -> list[CallbackUrlAndMethod]:
    """Return the given URLs, or all URLs of the account if none are given, with their methods.

    Test events with the account's pending secret will be sent to these URLs. Raises Conflict if the
    account has no pending secret, or if there are no URLs.
    """
    pending_of(fetch_account(tx, account_sid))
    known = destinations_of(tx, account_sid)
    if not urls and not known:
        raise Conflict(
            "this account has no configured URLs and no callbacks yet; give URLs with Url"
        )
    return named(urls, known) if urls else known
