"""The portal's operation that lists audit entries: who changed what."""

from typing import Any, Final

from ringback.api.authentication import signed_in
from ringback.api.endpoint_group import ApiRequest, EndpointGroup, Listing
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.schema_pieces import INSTANT, TEXT, Schema, one_of, sid_of
from ringback.api.serializers import Serializer, field, maybe
from ringback.core.accounts.account import EVERY
from ringback.core.audit import ActorKind, AuditEntry
from ringback.core.sids import SidKind
from ringback.operations.lookups import author_of
from ringback.ports import AuditFilter, PageWindow, RecordPage, Transaction

_CHANGED: Final[Schema] = {"type": "object", "additionalProperties": True}

_WHO: Final = (
    field("date_created", INSTANT),
    maybe("account_sid", sid_of(SidKind.ACCOUNT)),
    field("actor_kind", one_of(ActorKind)),
    maybe("actor"),
    maybe("actor_name"),
    field("action"),
    field("subject"),
)
AUTHOR: Final = Serializer[AuditEntry]("author", "authors", *_WHO)
AUDIT_ENTRY: Final = Serializer[AuditEntry](
    "audit_entry",
    "audit",
    field("sid", sid_of(SidKind.AUDIT_ENTRY)),
    *_WHO,
    maybe("address"),
    maybe("before", _CHANGED),
    maybe("after", _CHANGED),
)
_FILTERS: Final = (
    OperationParameter("AccountSid", TEXT, "Only changes that are about this account."),
    OperationParameter(
        "Actor",
        TEXT,
        "Only changes made with these credentials: the SID of an API key or of an account (its Auth"
        " Token), or the id of an API client; or one of the values of `actor_kind`.",
    ),
    OperationParameter("Action", TEXT, "Only changes by this operation, such as `CreateFleet`."),
    OperationParameter("Subject", TEXT, "Only changes of what has this SID, id or name."),
    OperationParameter("Since", INSTANT, "Only changes made at or after this instant."),
    OperationParameter("Until", INSTANT, "Only changes made before this instant."),
)


class AuditEndpoints(EndpointGroup):
    """The operations that say who changed what."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on audit entries and on authors."""
        return [
            self.on("/portal/v1/audit", "Audit", AUDIT_ENTRY).lists_for(
                "List who changed what, newest first: what it was before, and what it became, with"
                " no secret. An account sees the changes that are about it; of the operator, who"
                " made some of them, it sees nothing else.",
                _listing,
                takes=_FILTERS,
            ),
            self.answers(
                *("/portal/v1/authors/{sid}", "FetchAuthor"),
                "Show who created a callback, a message or an eSIM Profile, or updated a SIM last,"
                " and when. These leave no audit entry.",
                *(AUTHOR, self._author),
                for_all=True,
            ),
        ]

    async def _author(self, call: ApiRequest) -> dict[str, Any]:
        is_operator = signed_in(call.request).account is None
        found = await self.read(
            call.account_sid, lambda tx: author_of(tx, call.account_sid, call.sid)
        )
        return AUTHOR.at(call.request)(found if is_operator else found.for_account)


def _listing(call: ApiRequest) -> Listing[AuditEntry]:
    given, is_operator = call.given, signed_in(call.request).account is None
    account_sid = given.text("AccountSid")
    actor = given.text("Actor")
    kind = next((kind for kind in ActorKind if kind == actor), None)
    which = AuditFilter(
        actor=actor if kind is None else None,
        actor_kind=kind,
        action=given.text("Action"),
        subject=given.text("Subject"),
        since=given.instant("Since"),
        until=given.instant("Until"),
    )

    def page(tx: Transaction, reach: str, window: PageWindow) -> RecordPage[AuditEntry]:
        if account_sid not in (None, reach):
            if reach != EVERY:
                return RecordPage()
            reach = account_sid
        found = tx.audit.page(reach, which, window)
        shown = (one if is_operator else one.for_account for one in found)
        return RecordPage(shown, found.stopped_at)

    return page
