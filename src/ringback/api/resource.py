"""What the resources of the SIM APIs have in common: sign-in, one transaction, the answer.

`lists`, `fetches`, `creates` and `updates` make an operation out of what only that one knows: what
it takes, what it shows, and the work that it is in a transaction.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, Final, NamedTuple, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.callback_urls import callback_url
from ringback.api.changes import change
from ringback.api.forms import Parameters, read_form, read_query
from ringback.api.operation import PAGES, Many, Nothing, Operation, Parameter, lists_among, names_of
from ringback.api.paging import EXAMINED, HasSid, Paging, page_of, read_paging
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.shown import Shown
from ringback.api.sign_in import account_of, reach_of
from ringback.core.account import Account
from ringback.core.callback_url import CallbackUrl, Method
from ringback.core.errors import SUPER_SIM, Codes, NoSuchPage
from ringback.core.listener import Hook
from ringback.operations.moment import Moment
from ringback.ports import RecordPage, Transaction, Window

T = TypeVar("T")
R = TypeVar("R", bound=HasSid)

Fetching = Callable[[Transaction, str, str], R]
"""Returns an account's record by its SID, or its unique name; raises NotFound."""
Listing = Callable[[Transaction, str, Window], Sequence[R]]
"""Returns a page of an account's records."""
Deleting = Callable[[Transaction, str, str, Moment], None]
"""Deletes an account's record by its SID, or its unique name; raises NotFound."""
Change = Callable[[Transaction, Moment], R]
"""Changes something, and returns the record that was made or changed."""


_READ_AT_ONCE: Final = 2000


class Call(NamedTuple):
    """What a request asks for, and who asks."""

    account_sid: str
    sid: str
    """Which resource its path names, by SID or unique name; empty where it names none."""
    given: Parameters


class Resource:
    """The operations on one kind of resource."""

    codes: ClassVar[Codes] = SUPER_SIM
    """What its API refuses requests with."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def lists(
        self,
        path: str,
        name: str,
        meaning: str,
        shown: Shown[R],
        asked: Callable[[Call], Listing[R]],
        *,
        takes: Sequence[Parameter] = (),
    ) -> Operation:
        """Return the operation that lists records of this name."""
        parameters = (*takes, *PAGES)

        async def handle(request: Request) -> Response:
            call = await self._listed(request, parameters)
            listing, paging = asked(call), read_paging(call.given)
            with self._paging():
                records = await self._read(
                    call.account_sid, lambda tx: listing(tx, call.account_sid, paging.window)
                )
            return self._page(request, call.given, paging, shown, records)

        return Operation(
            "GET", path, f"List{name}", meaning, handle, {200: Many(shown)}, parameters
        )

    def fetches(
        self, path: str, name: str, meaning: str, shown: Shown[R], fetching: Fetching[R]
    ) -> Operation:
        """Return the operation that fetches a record of this name."""

        async def handle(request: Request) -> Response:
            call = await self._queried(request)
            record = await self._read(
                call.account_sid, lambda tx: fetching(tx, call.account_sid, call.sid)
            )
            return self._show(request, shown, record, 200, call.given)

        return Operation("GET", path, f"Fetch{name}", meaning, handle, {200: shown})

    def deletes(
        self, path: str, name: str, meaning: str, deleting: Deleting, *, conflicts: bool = False
    ) -> Operation:
        """Return the operation that deletes a record of this name."""

        async def handle(request: Request) -> Response:
            call = await self._queried(request)
            await self._change(lambda tx, moment: deleting(tx, call.account_sid, call.sid, moment))
            return with_unknown(call.given, Response(status_code=204))

        answers = {204: Nothing()}
        return Operation(
            "DELETE", path, f"Delete{name}", meaning, handle, answers, conflicts=conflicts
        )

    def creates(
        self,
        path: str,
        name: str,
        meaning: str,
        shown: Shown[R],
        asked: Callable[[Call], Change[R]],
        *,
        takes: Sequence[Parameter],
        calls_back: str | None = None,
    ) -> Operation:
        """Return the operation that makes a record of this name."""
        handle = self._writing(shown, takes, asked, 201)
        return Operation(
            "POST", path, f"Create{name}", meaning, handle, {201: shown}, takes, calls_back
        )

    def updates(
        self,
        path: str,
        name: str,
        meaning: str,
        shown: Shown[R],
        asked: Callable[[Call], Change[R]],
        *,
        takes: Sequence[Parameter],
        calls_back: str | None = None,
    ) -> Operation:
        """Return the operation that updates a record of this name."""
        handle = self._writing(shown, takes, asked, 200)
        return Operation(
            "POST", path, f"Update{name}", meaning, handle, {200: shown}, takes, calls_back
        )

    def _writing(
        self,
        shown: Shown[R],
        takes: Sequence[Parameter],
        asked: Callable[[Call], Change[R]],
        status: int,
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            call = await self._posted(request, takes)
            record = await self._change(asked(call))
            return self._show(request, shown, record, status, call.given)

        return handle

    async def _listed(self, request: Request, parameters: Sequence[Parameter]) -> Call:
        """Return what a request for a list asks for; an operator's is about all accounts."""
        reach = await reach_of(request, self._services.sign_ins)
        query = read_query(request, names_of(parameters), codes=self.codes)
        return Call(reach, request.path_params.get("sid", ""), query)

    async def _queried(self, request: Request, parameters: Sequence[Parameter] = ()) -> Call:
        """Return what a request with a query asks for."""
        account = await self._account(request)
        query = read_query(request, names_of(parameters), codes=self.codes)
        return Call(account.sid, request.path_params.get("sid", ""), query)

    async def _posted(self, request: Request, parameters: Sequence[Parameter]) -> Call:
        """Return what a request with a form asks for."""
        account = await self._account(request)
        names, lists = names_of(parameters), lists_among(parameters)
        form = await read_form(request, names, lists=lists, codes=self.codes)
        return Call(account.sid, request.path_params.get("sid", ""), form)

    def _called_back(self, call: Call) -> tuple[CallbackUrl | None, Method]:
        """Return whom a request wants to be told of what comes of it, and how.

        Raises Overloaded where no more callbacks may wait.
        """
        url = callback_url(call.given, self._services.read_url)
        method = call.given.choice("CallbackMethod", Method) or Method.POST
        if url is not None:
            self._services.intake.make_room(call.account_sid, 1)
        return url, method

    def _hook(self, form: Parameters, name: str) -> Hook:
        """Return whom a request wants to be told from now on, by the parameters of this name."""
        return Hook(
            url=callback_url(form, self._services.read_url, f"{name}Url"),
            is_removed=form.text(f"{name}Url") == "",
            method=form.choice(f"{name}Method", Method),
        )

    async def _account(self, request: Request) -> Account:
        return await account_of(request, self._services.sign_ins)

    async def _read(self, account_sid: str, work: Callable[[Transaction], T]) -> T:
        """Run what only looks, for this account."""
        return await self._services.store.read(work, asked_by=account_sid)

    async def _all(
        self, account_sid: str, listing: Callable[[Transaction, Window], RecordPage[R]]
    ) -> list[R]:
        """Return all records of a list, read bit by bit, so that others have their turn."""
        records, last = list[R](), None
        while True:
            some = await self._read(account_sid, partial(_page_after, listing, last))
            records += some
            if len(some) < _READ_AT_ONCE and some.stopped_at is None:
                return records
            last = some.stopped_at or some[-1].sid

    @contextmanager
    def _paging(self) -> Generator[None]:
        """Have a page that there isn't be refused with the code of this API."""
        try:
            yield
        except NoSuchPage as refused:
            raise NoSuchPage(refused.sid, code=self.codes.paging) from None

    async def _change(self, work: Callable[[Transaction, Moment], T]) -> T:
        """Run what changes something, and let what is due of it be seen at once."""
        return await change(self._services, work)

    def _page(
        self,
        request: Request,
        query: Parameters,
        paging: Paging,
        shown: Shown[R],
        records: Sequence[R],
    ) -> Response:
        """Answer with one page of a list."""
        page = page_of(shown.plural, records, shown.at(request), paging=paging, request=request)
        return with_unknown(query, json_answer(page))

    def _show(
        self, request: Request, shown: Shown[R], record: R, status: int, given: Parameters
    ) -> Response:
        return with_unknown(given, json_answer(shown.at(request)(record), status))


def _page_after(
    listing: Callable[[Transaction, Window], RecordPage[R]], last: str | None, tx: Transaction
) -> RecordPage[R]:
    return listing(tx, Window(_READ_AT_ONCE, after=last, examining=EXAMINED))
