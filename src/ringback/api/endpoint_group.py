"""What the resources of the APIs have in common: sign-in, one transaction, the answer.

`lists`, `fetches`, `changes` and the others make an operation of the parts that differ: its
parameters, the record that it shows, and its work within a transaction.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypedDict, TypeVar, Unpack

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.authentication import account_of, reach_of
from ringback.api.callback_url_reader import callback_url
from ringback.api.dependencies import ApiDependencies
from ringback.api.operation_definition import (
    ApiOperation,
    Body,
    OperationParameter,
    PageResponseSchema,
)
from ringback.api.paging import EXAMINED, PAGING, RecordWithSid, page_of, read_paging
from ringback.api.request_parameters import RequestParameters, read_form, read_query
from ringback.api.serializers import Serializer, json_answer, with_unknown
from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_target import CallbackTarget, CallbackTargetUpdate
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import SUPER_SIM, WIRELESS, ErrorCodes, PageNotFound
from ringback.core.form_encoding import as_field
from ringback.operations.context import OperationContext
from ringback.ports import PageWindow, RecordPage, Transaction

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", bound=RecordWithSid)

Fetching = Callable[[Transaction, str, str], R]
"""Returns an account's record by its SID, or its unique name; raises NotFound."""
Listing = Callable[[Transaction, str, PageWindow], Sequence[S]]
"""Returns a page of an account's records."""
Deleting = Callable[[Transaction, str, str, OperationContext], None]
"""Deletes an account's record by its SID, or its unique name; raises NotFound."""
Change = Callable[[Transaction, OperationContext], R]
"""Changes something, and returns the record that was made or changed."""


_READ_AT_ONCE: Final = 2000


class ApiRequest(NamedTuple):
    """A request: its account, resource and parameters."""

    account_sid: str
    """EVERY for an operator's key where an operation is about all accounts."""
    sid: str
    """Which resource its path names, by SID or unique name; empty where it names none."""
    given: RequestParameters
    request: Request


class ApiOperationOptions(TypedDict, total=False):
    """The optional properties of an operation; see `ApiOperation`."""

    takes: Sequence[OperationParameter]
    calls_back: str
    conflicts: bool
    for_all: bool
    """Whether an operator's key asks for all accounts, unless it names one."""


class EndpointGroup:
    """The operations on one kind of resource."""

    codes: ClassVar[ErrorCodes] = SUPER_SIM
    """The error codes of its API."""

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
        """Return the operation that answers with what this work returns.

        It takes a form with a POST, else a query. A JSON object is answered with the first of these
        statuses; work that has others to choose from, or no body, returns the whole answer.
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
        """Return the maker of the usual operations on records of this name at this path."""
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
        """Return the operation of this whole name that changes something by a POST."""

        async def work(call: ApiRequest) -> dict[str, Any]:
            return shown.at(call.request)(await self.change(asked(call)))

        return self.answers(
            *(path, name, meaning, shown, work), verb="POST", statuses=statuses, **about
        )

    async def _call(
        self, request: Request, takes: Sequence[OperationParameter], *, for_all: bool
    ) -> ApiRequest:
        """Return the call that a request makes, by its form or its query."""
        if for_all:
            account_sid = await reach_of(request, self._dependencies.authenticator)
        else:
            account_sid = (await self._account(request)).sid
        names = [each.name for each in takes]
        if request.method == "POST":
            lists = [each.name for each in takes if each.schema.get("type") == "array"]
            given = await read_form(request, names, lists=lists, codes=self.codes)
        else:
            given = read_query(request, names, codes=self.codes)
        return ApiRequest(account_sid, next(iter(request.path_params.values()), ""), given, request)

    def _called_back(self, call: ApiRequest) -> CallbackTarget:
        """Return the callback URL and method of a request.

        Raises BacklogFull where no more callbacks may wait.
        """
        url = callback_url(call.given, self._dependencies.read_url)
        method = call.given.choice("CallbackMethod", HttpMethod) or HttpMethod.POST
        if url is not None:
            self._dependencies.callback_queue.make_room(call.account_sid, 1)
        return CallbackTarget(url, method)

    def _target_update(self, form: RequestParameters, name: str) -> CallbackTargetUpdate:
        """Return the new URL and method for later callbacks, by the parameters of this name."""
        return CallbackTargetUpdate(
            url=callback_url(form, self._dependencies.read_url, f"{name}Url"),
            is_removed=form.text(f"{name}Url") == "",
            method=form.choice(f"{name}Method", HttpMethod),
        )

    def _address(self, form: RequestParameters, name: str) -> str | None:
        """Return a URL that is only kept, empty to take it away, or None where it wasn't given."""
        url = callback_url(form, self._dependencies.read_url, name)
        return form.text(name) if url is None else url.configured

    async def _account(self, request: Request) -> Account:
        return await account_of(request, self._dependencies.authenticator)

    async def read(self, account_sid: str, work: Callable[[Transaction], T]) -> T:
        """Run a read-only transaction for this account."""
        return await self._dependencies.store.read(work, asked_by=account_sid)

    async def _all(
        self, account_sid: str, listing: Callable[[Transaction, PageWindow], RecordPage[S]]
    ) -> list[S]:
        """Return all records of a list, read in parts, so that other requests get their turn."""
        records, last = list[S](), None
        while True:
            page = PageWindow(_READ_AT_ONCE, after=last, examining=EXAMINED)
            some = await self.read(account_sid, lambda tx, page=page: listing(tx, page))
            records += some
            if len(some) < _READ_AT_ONCE and some.stopped_at is None:
                return records
            last = some.stopped_at or some[-1].sid

    async def change(self, work: Callable[[Transaction, OperationContext], T]) -> T:
        """Run a change in one transaction, and wake the runner of the tasks that it made."""
        context = self._dependencies.context()
        result = await self._dependencies.store.transact(lambda tx: work(tx, context))
        self._dependencies.task_runner.wake()
        return result


@dataclass(frozen=True, slots=True)
class RecordOperations(Generic[R]):
    """Makes the operations that most kinds of records have."""

    group: EndpointGroup
    path: str
    """Of all of them; each has its SID or unique name behind it."""
    name: str
    """As operations are named in documents."""
    shown: Serializer[R]

    def lists(
        self: "RecordOperations[S]",
        meaning: str,
        listing: Callable[..., Sequence[S]],
        *filters: OperationParameter,
    ) -> ApiOperation:
        """Return the operation that lists them; a filter is an argument of the `Listing`."""

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
    ) -> ApiOperation:
        """Return the operation that lists what a request asks for."""

        async def work(call: ApiRequest) -> dict[str, Any]:
            listing, paging = asked(call), read_paging(call.given)
            records = await self.group.read(
                call.account_sid, lambda tx: listing(tx, call.account_sid, paging.window)
            )
            return page_of(self.shown, records, paging=paging, request=call.request)

        return self.group.answers(
            *(self.path, f"List{self.name}", meaning, PageResponseSchema(self.shown), work),
            takes=(*takes, *PAGING),
            for_all=True,
        )

    def fetches(self, meaning: str, fetching: Fetching[R]) -> ApiOperation:
        """Return the operation that fetches one."""

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
        """Return the operation that deletes one."""

        async def work(call: ApiRequest) -> Response:
            await self.group.change(
                lambda tx, context: deleting(tx, call.account_sid, call.sid, context)
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
        """Return the operation that makes one."""
        return self.group.changes(
            *(self.path, f"Create{self.name}", meaning, self.shown, asked), statuses=(201,), **about
        )

    def updates(
        self,
        meaning: str,
        asked: Callable[[ApiRequest], Change[R]],
        **about: Unpack[ApiOperationOptions],
    ) -> ApiOperation:
        """Return the operation that updates one."""
        return self.group.changes(
            *(f"{self.path}/{{sid}}", f"Update{self.name}", meaning, self.shown, asked), **about
        )


class WirelessEndpointGroup(EndpointGroup):
    """The operations on one kind of resource of Programmable Wireless."""

    codes: ClassVar[ErrorCodes] = WIRELESS
