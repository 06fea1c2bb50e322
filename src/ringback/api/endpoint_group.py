"""Builds API operations, and does their common steps: authentication, transaction, response.

Subclasses give only the parts that differ: the parameters, the serializer of the records, and the
work in the transaction.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypedDict, TypeVar, Unpack

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.authentication import account_of, actor_of, reach_of
from ringback.api.callback_url_reader import callback_url
from ringback.api.dependencies import ApiDependencies
from ringback.api.operation_definition import (
    ApiOperation,
    Body,
    OperationParameter,
    PageResponseSchema,
)
from ringback.api.paging import (
    EXAMINED,
    PAGING,
    PageMeta,
    PageParameters,
    RecordWithSid,
    page_of,
    read_page,
    read_paging,
)
from ringback.api.request_parameters import RequestParameters, read_form, read_query
from ringback.api.serializers import Serializer, json_answer, with_unknown
from ringback.core.accounts.account import EVERY, Account, one_account
from ringback.core.callback_urls.callback_target import CallbackTarget, CallbackTargetUpdate
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import EVENT_STREAMS, SUPER_SIM, WIRELESS, ErrorCodes, PageNotFound
from ringback.core.form_encoding import as_field
from ringback.operations.context import OperationContext
from ringback.ports import PageWindow, RecordPage, Transaction

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound=RecordWithSid)

Fetching = Callable[[Transaction, str, str], R]
"""Returns an account's record by its SID or unique name; raises NotFound."""
Listing = Callable[[Transaction, str, PageWindow], Sequence[S]]
"""Returns a page of an account's records."""
Deleting = Callable[[Transaction, str, str, OperationContext], None]
"""Deletes an account's record by its SID or unique name; raises NotFound."""
Change = Callable[[Transaction, OperationContext], R]
"""Changes stored data in a transaction, and returns the created or updated record."""


_READ_AT_ONCE: Final = 2000
"""Maximum number of a list's records that are read in one transaction."""


class ApiRequest(NamedTuple):
    """An authenticated request: its account, the resource in its path, and its parameters."""

    account_sid: str
    """The account's SID; EVERY if an operator's key asks for all accounts."""
    sid: str
    """The SID or unique name of the resource in the request's path; empty if there is none."""
    given: RequestParameters
    request: Request

    @property
    def owner(self) -> str | None:
        """The account's SID; None if an operator's key asks for all accounts."""
        return one_account(self.account_sid)

    def named_account(self, allowed: str) -> str:
        """Return the account that the parameter AccountSid names, or else the request's.

        Raises InvalidParameter if an account names another one; `allowed` says what it can do.
        """
        asked = self.given.text("AccountSid")
        if self.account_sid == EVERY:
            return asked or EVERY
        if asked not in (None, self.account_sid):
            raise self.given.wrong(
                f"{allowed}: leave AccountSid out, or give {self.account_sid}, not {asked!r}"
            )
        return self.account_sid

    def one_named_account(self, allowed: str, about: str) -> str:
        """Return the same, but raise InvalidParameter for all accounts, too, with `about`."""
        account_sid = self.named_account(allowed)
        if account_sid == EVERY:
            raise self.given.wrong(f"give AccountSid, or the header Ringback-Account: {about}")
        return account_sid


class ApiOperationOptions(TypedDict, total=False):
    """The optional properties of an operation; see `ApiOperation`."""

    takes: Sequence[OperationParameter]
    calls_back: str
    conflicts: bool
    for_all: bool
    """True if an operator's key may use the operation for all accounts at once."""


class EndpointGroup:
    """Base class: builds the API operations on one kind of resource."""

    codes: ClassVar[ErrorCodes] = SUPER_SIM
    """The error codes of the API to which the group belongs."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        self._dependencies = dependencies

    def answers(
        self,
        path: str,
        name: str,
        meaning: str,
        shown: Body,
        work: Callable[[ApiRequest], Awaitable[Mapping[str, object] | Response]],
        *,
        verb: str = "GET",
        statuses: Sequence[int] = (200,),
        **about: Unpack[ApiOperationOptions],
    ) -> ApiOperation:
        """Return an operation that responds with the result of `work`.

        A POST reads its parameters from a form; other verbs read them from the query. `work`
        returns a JSON object, which is sent with the first status of `statuses`, or a whole
        response.
        """
        takes, for_all = about.get("takes", ()), about.get("for_all", False)

        async def handle(request: Request) -> Response:
            call = await self._call(request, takes, for_all=for_all)
            try:
                answer = await work(call)
            except PageNotFound as refused:
                raise PageNotFound(refused.sid, code=self.codes.paging) from None
            if not isinstance(answer, Response):
                answer = json_answer(answer, statuses[0])
            return with_unknown(call.given.unknown, answer)

        return ApiOperation(
            *(verb, path, name, meaning, handle, dict.fromkeys(statuses, shown), takes),
            *(about.get("calls_back"), about.get("conflicts", False)),
        )

    def on(self, path: str, name: str, shown: Serializer[R]) -> "RecordOperations[R]":
        """Return a builder of the list, fetch, create and similar operations on these records."""
        return RecordOperations(self, path, name, shown)

    def changes(
        self,
        path: str,
        name: str,
        meaning: str,
        shown: Serializer[R],
        asked: Callable[[ApiRequest], Change[R]],
        *,
        statuses: Sequence[int] = (200,),
        **about: Unpack[ApiOperationOptions],
    ) -> ApiOperation:
        """Return a POST operation that changes data in a transaction.

        `name` is the operation's name in the OpenAPI document, such as `CreateSim`. `asked` parses
        the request, and returns the change to make.
        """

        async def work(call: ApiRequest) -> dict[str, Any]:
            return shown.at(call.request)(await self.change(call.request, asked(call)))

        return self.answers(
            *(path, name, meaning, shown, work), verb="POST", statuses=statuses, **about
        )

    async def _call(
        self, request: Request, takes: Sequence[OperationParameter], *, for_all: bool
    ) -> ApiRequest:
        """Authenticate a request, and parse its form if it is a POST, or else its query."""
        if for_all:
            account_sid = await reach_of(request, self._dependencies.authenticator)
        else:
            account_sid = (await self._account(request)).sid
        names = [each.name for each in takes]
        lists = [each.name for each in takes if each.schema.get("type") == "array"]
        if request.method == "POST":
            given = await read_form(request, names, lists=lists, codes=self.codes)
        else:
            given = read_query(request, names, lists=lists, codes=self.codes)
        return ApiRequest(account_sid, next(iter(request.path_params.values()), ""), given, request)

    def _called_back(self, call: ApiRequest) -> CallbackTarget:
        """Return the URL and method that a request gives for callbacks about its result.

        Raises BacklogFull if the request gives a URL, but the queue of callbacks is full.
        """
        url = callback_url(call.given, self._dependencies.read_url)
        method = call.given.choice("CallbackMethod", HttpMethod) or HttpMethod.POST
        if url is not None:
            self._dependencies.callback_queue.make_room(call.account_sid, 1)
        return CallbackTarget(url, method)

    def _target_update(self, form: RequestParameters, name: str) -> CallbackTargetUpdate:
        """Return the new URL and method in the parameters `{name}Url` and `{name}Method`."""
        return CallbackTargetUpdate(
            url=callback_url(form, self._dependencies.read_url, f"{name}Url"),
            is_removed=form.text(f"{name}Url") == "",
            method=form.choice(f"{name}Method", HttpMethod),
        )

    def _address(self, form: RequestParameters, name: str) -> str | None:
        """Return the text of a parameter that is a URL: empty to remove the URL, None if not given.

        The URL is only stored; Ringback never sends anything to it.
        """
        url = callback_url(form, self._dependencies.read_url, name)
        return form.text(name) if url is None else url.configured

    async def _account(self, request: Request) -> Account:
        return await account_of(request, self._dependencies.authenticator)

    async def read(self, account_sid: str, work: Callable[[Transaction], T]) -> T:
        """Run a read-only transaction for this account, and return its result."""
        return await self._dependencies.store.read(work, asked_by=account_sid)

    async def _all(
        self, account_sid: str, listing: Callable[[Transaction, PageWindow], RecordPage[S]]
    ) -> list[S]:
        """Return all records of a list, read in parts so that other requests run in between."""
        records, last = list[S](), None
        while True:
            page = PageWindow(_READ_AT_ONCE, after=last, examining=EXAMINED)
            some = await self.read(account_sid, lambda tx, page=page: listing(tx, page))
            records += some
            if len(some) < _READ_AT_ONCE and some.stopped_at is None:
                return records
            last = some.stopped_at or some[-1].sid

    async def read_page(
        self, account_sid: str, listing: "Listing[S]", window: PageWindow
    ) -> Sequence[S]:
        """Read a page of an account's records: a long one in slices, see `paging.read_page`."""
        return await read_page(
            lambda part: self.read(account_sid, lambda tx: listing(tx, account_sid, part)),
            window,
            self._dependencies.page_slices.rest_after,
        )

    async def page_of(
        self, shown: Serializer[S], records: Sequence[S], paging: PageParameters, request: Request
    ) -> dict[str, Any]:
        """Return the JSON of one page of a list; see `paging.page_of`."""
        slices = self._dependencies.page_slices
        return await page_of(shown, records, paging=paging, request=request, slices=slices)

    def context_of(self, request: Request) -> OperationContext:
        """Return the context of a change that the signed-in client of this request makes now."""
        return replace(self._dependencies.context(), actor=actor_of(request))

    async def change(
        self, request: Request, work: Callable[[Transaction, OperationContext], T]
    ) -> T:
        """Run a request's change in one transaction, wake the task runner, and return the result.

        The work also has to add the audit entry of the change: see `OperationContext.record`.
        """
        context = self.context_of(request)
        result = await self._dependencies.store.transact(lambda tx: work(tx, context))
        self._dependencies.task_runner.wake()
        return result


@dataclass(frozen=True, slots=True)
class RecordOperations(Generic[R]):
    """Builds the usual operations on one kind of record: list, fetch, create, update and delete."""

    group: EndpointGroup
    path: str
    """The path of the list; a single record's path adds its SID or unique name."""
    name: str
    """The noun in the operations' names in OpenAPI, such as `Sim` in `ListSim`."""
    shown: Serializer[R]

    def lists(
        self: "RecordOperations[S]",
        meaning: str,
        listing: Callable[..., Sequence[S]],
        *filters: OperationParameter,
    ) -> ApiOperation:
        """Return the operation that lists records.

        `listing` is a `Listing` that also takes each filter as a keyword argument.
        """

        def asked(call: ApiRequest) -> Listing[S]:
            return partial(listing, **{as_field(each.name): read(call, each) for each in filters})

        def read(call: ApiRequest, each: OperationParameter) -> str | None:
            if each.options is None:
                return call.given.text(each.name)
            return call.given.choice(each.name, each.options)

        return self.lists_for(meaning, asked, takes=filters)

    def lists_for(
        self: "RecordOperations[S]",
        meaning: str,
        asked: Callable[[ApiRequest], Listing[S]],
        *,
        takes: Sequence[OperationParameter] = (),
        meta: PageMeta | None = None,
    ) -> ApiOperation:
        """Return the operation that lists records; `asked` returns the listing for a request.

        `meta` adds fields to the `meta` object of its pages.
        """

        async def work(call: ApiRequest) -> dict[str, Any]:
            listing, paging = asked(call), read_paging(call.given)
            records = await self.group.read_page(call.account_sid, listing, paging.window)
            page = await self.group.page_of(self.shown, records, paging, call.request)
            if meta is not None:
                page["meta"] |= meta.of(records)
            return page

        shown = PageResponseSchema(self.shown, meta and meta.schema)
        return self.group.answers(
            *(self.path, f"List{self.name}", meaning, shown, work),
            takes=(*takes, *PAGING),
            for_all=True,
        )

    def fetches(self, meaning: str, fetching: Fetching[R]) -> ApiOperation:
        """Return the operation that fetches one record."""

        async def work(call: ApiRequest) -> dict[str, Any]:
            record = await self.group.read(
                call.account_sid, lambda tx: fetching(tx, call.account_sid, call.sid)
            )
            return self.shown.at(call.request)(record)

        path = f"{self.path}/{{sid}}"
        return self.group.answers(path, f"Fetch{self.name}", meaning, self.shown, work)

    def deletes(
        self, meaning: str, deleting: Deleting, **about: Unpack[ApiOperationOptions]
    ) -> ApiOperation:
        """Return the operation that deletes one record."""

        async def work(call: ApiRequest) -> Response:
            await self.group.change(
                call.request, lambda tx, context: deleting(tx, call.account_sid, call.sid, context)
            )
            return Response(status_code=204)

        return self.group.answers(
            *(f"{self.path}/{{sid}}", f"Delete{self.name}", meaning, None, work),
            verb="DELETE",
            statuses=(204,),
            **about,
        )

    def creates(
        self,
        meaning: str,
        asked: Callable[[ApiRequest], Change[R]],
        **about: Unpack[ApiOperationOptions],
    ) -> ApiOperation:
        """Return the operation that creates one record."""
        return self.group.changes(
            *(self.path, f"Create{self.name}", meaning, self.shown, asked), statuses=(201,), **about
        )

    def updates(
        self,
        meaning: str,
        asked: Callable[[ApiRequest], Change[R]],
        **about: Unpack[ApiOperationOptions],
    ) -> ApiOperation:
        """Return the operation that updates one record."""
        return self.group.changes(
            *(f"{self.path}/{{sid}}", f"Update{self.name}", meaning, self.shown, asked), **about
        )


class WirelessEndpointGroup(EndpointGroup):
    """Base class: builds the API operations on one kind of Programmable Wireless resource."""

    codes: ClassVar[ErrorCodes] = WIRELESS


class EventStreamsEndpointGroup(EndpointGroup):
    """Base class: builds the API operations on one kind of resource of Twilio's Events API."""

    codes: ClassVar[ErrorCodes] = EVENT_STREAMS
