"""The portal's operations that show and set how long what is kept."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import TEXT, YES_OR_NO, list_of, object_of, or_null, sid_of
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.accounts.account import EVERY, one_account
from ringback.core.errors import Forbidden, NotFound
from ringback.core.retention import FOREVER, KINDS, SetTimes, read_time, show_time
from ringback.core.sids import SidKind
from ringback.operations.accounts import fetch_account
from ringback.operations.retention import TimeChanges, change_times, fetch_times
from ringback.ports import Transaction

_PATH: Final = "/portal/v1/retention"
_UNSET: Final = "unset"
_TIMES: Final = list_of(
    object_of(name={"type": "string", "enum": [*KINDS]}, time=TEXT, origin=TEXT)
)
RETENTION: Final = CustomJsonSerializer(
    "retention",
    object_of(
        account_sid=or_null(sid_of(SidKind.ACCOUNT)),
        times=_TIMES,
        accounts=list_of(object_of(account_sid=sid_of(SidKind.ACCOUNT), times=_TIMES)),
    ),
)
_MEANINGS: Final = {
    "answers": "the bodies of receivers' answers",
    "attempts": "the records of attempts, and shadow copies",
    "delivered": "delivered callbacks, with all their records",
    "undelivered": "failed and discarded callbacks, with all their records",
}
_PARAMETERS: Final = (
    OperationParameter(
        "AccountSid",
        sid_of(SidKind.ACCOUNT),
        "The account whose times these are (default: the whole server).",
    ),
    *(
        OperationParameter(
            kind.capitalize(),
            TEXT,
            f"How long after the end of a callback to keep {_MEANINGS[kind]}: a time like `30d`,"
            f" `{FOREVER}`, or `{_UNSET}` for the time that applies otherwise.",
        )
        for kind in KINDS
    ),
    OperationParameter(
        "Confirm",
        YES_OR_NO,
        "`yes` to set times that keep something for less long than before. Without it, the answer"
        " is 409, and says how much would go.",
    ),
)


class RetentionEndpoints(EndpointGroup):
    """The operations that show and set the times."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations that show and set the times."""
        shows = (
            "Show how long what is kept, and where each time was set. An operator's key gets the"
            " times of the server, and of the accounts that have others."
        )
        sets = (
            "Set how long what is kept, for the whole server or one account; only with an"
            " operator's key. It takes effect at once."
        )
        return [
            self.answers(
                *(_PATH, "FetchRetention", shows, RETENTION, self._fetch),
                takes=_PARAMETERS[:1],
                for_all=True,
            ),
            self.answers(
                *(_PATH, "SetRetention", sets, RETENTION, self._set),
                verb="POST",
                takes=_PARAMETERS,
                conflicts=True,
                for_all=True,
            ),
        ]

    async def _fetch(self, call: ApiRequest) -> Mapping[str, object]:
        in_settings = self._dependencies.retention_times
        asked = call.given.text("AccountSid")

        if asked is not None and call.account_sid not in (EVERY, asked):
            raise call.given.wrong(
                f"an account can see only its own times: leave AccountSid out, or give"
                f" {call.account_sid}, not {asked!r}"
            )

        def look(tx: Transaction) -> tuple[SetTimes, str]:
            subject = call.account_sid if asked is None else fetch_account(tx, asked).sid
            return fetch_times(tx, in_settings), subject

        with refusing_unknown(call.given):
            return _record(*await self.read(call.account_sid, look))

    async def _set(self, call: ApiRequest) -> Mapping[str, object]:
        if call.account_sid != EVERY:
            raise Forbidden(
                "only the operator can set how long what is kept: sign in with an operator's key,"
                " which `ringback accounts keys create --operator` makes"
            )
        parts = self._dependencies
        with refusing_unknown(call.given):
            times = await change_times(
                parts.store,
                _read(call.given),
                parts.retention_times,
                self.context_of(call.request),
                is_sure=call.given.is_yes("Confirm"),
            )
        parts.times_changed()
        return _record(times, call.given.text("AccountSid") or EVERY)


@contextmanager
def refusing_unknown(given: RequestParameters) -> Generator[None]:
    """Turn NotFound for an account that a parameter names into InvalidParameter."""
    try:
        yield
    except NotFound as problem:
        raise given.wrong(f"AccountSid: {problem.message}") from None


def _read(given: RequestParameters) -> TimeChanges:
    """Return the changes that a request asks for; raises InvalidParameter if there are none."""
    to_set, to_unset = dict[str, Any](), list[str]()
    for kind in KINDS:
        text = given.text(kind.capitalize())
        if text == _UNSET:
            to_unset.append(kind)
        elif text is not None:
            try:
                to_set[kind] = read_time(kind, text)
            except ValueError as problem:
                raise given.wrong(f"{kind.capitalize()}: {problem}") from None
    if not to_set and not to_unset:
        raise given.wrong(
            "no time was given; give at least one of "
            f"{', '.join(kind.capitalize() for kind in KINDS)}"
        )
    return TimeChanges(given.text("AccountSid") or EVERY, to_set, to_unset)


def _record(times: SetTimes, account_sid: str) -> dict[str, object]:
    others = times.in_force().accounts if account_sid == EVERY else ()
    return {
        "account_sid": one_account(account_sid),
        "times": _times(times, account_sid),
        "accounts": [{"account_sid": sid, "times": _times(times, sid)} for sid in others],
    }


def _times(times: SetTimes, subject: str) -> list[dict[str, str]]:
    return [
        {"name": kind, "time": show_time(found.time), "origin": found.origin}
        for kind in KINDS
        for found in (times.time_of(subject, kind),)
    ]
