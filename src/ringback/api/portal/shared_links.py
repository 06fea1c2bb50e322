"""The portal's operations on links to one callback or destination: create, list and end them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.responses import Response

from ringback.api.endpoint_group import ApiRequest, EndpointGroup, Listing
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.portal.destination_request import naming
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import INSTANT, number, one_of, sid_of, text
from ringback.api.serializers import (
    SerializedField,
    Serializer,
    field,
    json_answer,
    maybe,
    shown_once,
)
from ringback.core.accounts.shared_link import (
    LONGEST_LIFETIME,
    USUAL_LIFETIME,
    LinkKind,
    LinkState,
    SharedLink,
)
from ringback.core.destinations.destination_pattern import read_destination
from ringback.core.sids import SidKind
from ringback.operations.context import OperationContext
from ringback.operations.shared_links import (
    CreatedLink,
    create_link,
    end_link,
    link_to_callback,
    link_to_destination,
)
from ringback.ports import Lane, PageWindow, RecordPage, Transaction

_PATH: Final = "/portal/v1/links"


@dataclass(frozen=True, slots=True)
class LinkInState:
    """A link, and whether it can be opened now."""

    link: SharedLink
    state: LinkState
    token: str = ""

    @property
    def sid(self) -> str:
        """The link's SID, by which lists are paged."""
        return self.link.sid


_FIELDS: Final[tuple[SerializedField[LinkInState], ...]] = (
    field("sid", sid_of(SidKind.SHARED_LINK)),
    field("account_sid", sid_of(SidKind.ACCOUNT), "link.account_sid"),
    field("kind", one_of(LinkKind), "link.kind"),
    field("subject", attribute="link.subject"),
    maybe("note", attribute="link.note"),
    field("state", one_of(LinkState)),
    maybe("created_by", attribute="link.created_by"),
    field("date_created", INSTANT, "link.date_created"),
    field("date_expires", INSTANT, "link.date_expires"),
    maybe("date_ended", INSTANT, "link.date_ended"),
    maybe("date_last_used", INSTANT, "link.date_last_used"),
    field("uses", number(0), "link.uses"),
)
LINK: Final = Serializer[LinkInState]("link", "links", *_FIELDS)
NEW_LINK: Final = Serializer[LinkInState]("new_link", "", *_FIELDS, field("token"))

_NEW: Final = (
    OperationParameter(
        "Callback", sid_of(SidKind.CALLBACK), "The callback to show; or give Destination."
    ),
    OperationParameter(
        "Destination",
        text(longest=4096),
        "The destination to show: a URL of it, or a part of one like `https://host/app/*`.",
    ),
    OperationParameter(
        "AccountSid",
        sid_of(SidKind.ACCOUNT),
        "The account whose destination it is; only an operator's key needs it.",
    ),
    OperationParameter(
        "Days",
        number(1, LONGEST_LIFETIME.days),
        f"How many days the link can be opened (default {USUAL_LIFETIME.days}).",
    ),
    OperationParameter(
        "Until",
        INSTANT,
        f"When the link expires, in place of Days; at most {LONGEST_LIFETIME.days} days from now.",
    ),
    OperationParameter("Note", text(shortest=1, longest=64), "What the link is for."),
)


class SharedLinkEndpoints(EndpointGroup):
    """The operations on the links of an account, or, for the operator, on all of them."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on links."""
        links = self.on(_PATH, "Link", LINK)
        return [
            links.lists_for(
                "List the links to callbacks and destinations, newest first, also those that have"
                " ended; with an operator's key, those of all accounts.",
                self._listing,
            ),
            self.answers(
                *(_PATH, "CreateLink"),
                "Create a link to one callback or one destination, for somebody who can't sign in."
                " Whoever has it can read that page of the console until it expires. Its `token` is"
                " shown only once; the link is `/console/links/` and the token.",
                *(NEW_LINK, self._create),
                verb="POST",
                statuses=(201,),
                takes=_NEW,
                for_all=True,
            ),
            self.answers(
                *(f"{_PATH}/{{sid}}", "EndLink"),
                "End a link: it can no longer be opened. It stays in the list for some time.",
                *(None, self._end),
                verb="DELETE",
                statuses=(204,),
                for_all=True,
            ),
        ]

    def _listing(self, _: ApiRequest) -> Listing[LinkInState]:
        now = self._dependencies.clock.now()

        def page(tx: Transaction, account_sid: str, window: PageWindow) -> RecordPage[LinkInState]:
            found = tx.shared_links.page(account_sid, {}, window)
            shown = (LinkInState(link, link.state_at(now)) for link in found)
            return RecordPage(shown, found.stopped_at)

        return page

    async def _create(self, call: ApiRequest) -> Response:
        given = call.given
        expires = _expiry(given, self._dependencies.clock.now())
        callback, destination = given.text("Callback"), given.text("Destination")
        if bool(callback) == bool(destination):
            raise given.wrong("a link shows one page: give either Callback or Destination")
        lane = _lane(call) if destination else None
        note = given.text("Note") or None

        def create(tx: Transaction, context: OperationContext) -> CreatedLink:
            if lane is None:
                kind, subject = (
                    LinkKind.CALLBACK,
                    link_to_callback(tx, call.account_sid, callback or ""),
                )
            else:
                kind, subject = LinkKind.DESTINATION, link_to_destination(tx, lane)
            return create_link(tx, kind, subject, context, expires=expires, note=note)

        made = await self.change(call.request, create)
        shown = LinkInState(made.link, LinkState.ACTIVE, made.token)
        return shown_once(json_answer(NEW_LINK.at(call.request)(shown), 201))

    async def _end(self, call: ApiRequest) -> Response:
        await self.change(
            call.request, lambda tx, context: end_link(tx, call.account_sid, call.sid, context)
        )
        return Response(status_code=204)


def _lane(call: ApiRequest) -> Lane:
    """Return the destination that a request names, of the account that it is about."""
    account_sid = call.one_named_account(
        "an account can make links only to its own destinations",
        "this is about the destination of one account, and an operator's key is for all",
    )
    with naming(call.given, "Destination"):
        return Lane(account_sid, read_destination(call.given.required("Destination")))


def _expiry(given: RequestParameters, now: datetime) -> datetime:
    days = given.number("Days", 1, LONGEST_LIFETIME.days, default=None)
    until = given.instant("Until")
    if days is not None and until is not None:
        raise given.wrong("give either Days or Until, not both")
    if until is None:
        return now + (USUAL_LIFETIME if days is None else timedelta(days=days))
    if not now < until <= now + LONGEST_LIFETIME:
        raise given.wrong(
            f"Until={given.text('Until')!r}: a link expires later than now, and at most"
            f" {LONGEST_LIFETIME.days} days from now"
        )
    return until
