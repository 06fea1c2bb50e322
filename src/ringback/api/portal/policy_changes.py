"""The portal's operations that hold and release callbacks, and preview a change of the policy."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.authentication import actor_of, reach_of
from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.portal.policy import (
    MAX_BODY,
    NEW_POLICY,
    read_policy_body,
    refuse_unless_operator,
)
from ringback.api.portal.policy_outlook import FINDING, ReceiverJudge, by_key
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SOURCE,
    TEXT,
    YES_OR_NO,
    list_of,
    number,
    object_of,
    or_null,
    sid_of,
    text,
)
from ringback.api.serializers import CustomJsonSerializer, json_answer
from ringback.api.strict_json import read_json_body
from ringback.core.accounts.account import EVERY
from ringback.core.errors import ConfigurationError
from ringback.core.policy.hold_changes import HoldEnd, text_diff, with_changed_hold
from ringback.core.policy.policy_comparison import UrlUnderBoth, compare_policies
from ringback.core.policy.policy_impact import impact_of
from ringback.core.policy.source_policy import Policy
from ringback.core.sids import SidKind
from ringback.operations.urls_left import MOST_CHANGES
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.policy.stored_policy import StoredPolicy
from ringback.ports import Transaction

_PATH: Final = "/portal/v1/policy"
_MOST_LISTED: Final = 100
_NEVER: Final = "none"
_HIGHEST: Final = 2**31
_LONGEST_URL: Final = 4096
_LONGEST_NAME: Final = 255

_IMPACT: Final = {"accounts": number(0), "urls": number(0), "callbacks": number(0)}
POLICY_CHANGE: Final = CustomJsonSerializer(
    "policy_change",
    object_of(
        is_changed=FLAG,
        version=number(0),
        diff=TEXT,
        counted=or_null(INSTANT),
        callbacks_counted=or_null(INSTANT),
        now=object_of(date=INSTANT, **_IMPACT),
        ahead=list_of(
            object_of(
                date=INSTANT, seconds_left={"type": "number"}, changes=list_of(TEXT), **_IMPACT
            )
        ),
        urls=list_of(
            object_of(
                account_sid=sid_of(SidKind.ACCOUNT),
                url=TEXT,
                source_asked=or_null(SOURCE),
                callbacks=number(0),
                date=INSTANT,
                before=SOURCE,
                after=SOURCE,
                receiver=object_of(**FINDING),
            )
        ),
        urls_left_out=number(0),
    ),
)
_SCOPE: Final = (
    OperationParameter("AccountSid", sid_of(SidKind.ACCOUNT), "The account that the hold is for."),
    OperationParameter(
        "UrlPrefix", text(longest=_LONGEST_URL), "The beginning of the URLs that the hold is for."
    ),
)
_HOW: Final = (
    OperationParameter(
        "Version",
        number(0, _HIGHEST),
        "The version of the policy that this changes (default: the one in force); 409 if another"
        " one is in force.",
    ),
    OperationParameter("DryRun", YES_OR_NO, "`yes`: only say what it would change."),
)
_HOLD: Final = (
    *_SCOPE,
    OperationParameter(
        "Phase",
        text(longest=_LONGEST_NAME),
        "The phase to keep the callbacks in. A new hold needs it; an existing one keeps its own.",
    ),
    OperationParameter(
        "Until",
        {**TEXT, "examples": ["2027-09-01", _NEVER]},
        "When the hold ends, or `none`. Without it, an existing hold keeps its end, and a new one"
        " has none.",
    ),
    *_HOW,
)


class _Preview(NamedTuple):
    """What a change of the policy does, as JSON; and the URLs whose receivers it concerns."""

    record: dict[str, Any]
    first: list[tuple[datetime, UrlUnderBoth]]


class PolicyChangeEndpoints(EndpointGroup):
    """The operations that change holds, and say what a change of the policy does."""

    def __init__(
        self,
        dependencies: ApiDependencies,
        monitor: PolicyMonitor,
        stored: StoredPolicy,
        as_text: Callable[[Policy], str],
    ) -> None:
        """Change the stored policy; `as_text` returns a policy as a settings file has it."""
        super().__init__(dependencies)
        self._monitor = monitor
        self._stored = stored
        self._as_text = as_text

    def operations(self) -> list[ApiOperation]:
        """Return the operations that change holds, or preview a change."""
        previews = (
            "Say what replacing the policy would change: how many URLs and recent callbacks would"
            " get another source, now and at the changes ahead. Nothing is changed. Only with an"
            " operator's key that may change the policy."
        )
        return [
            ApiOperation(
                *("POST", f"{_PATH}/preview", "PreviewPolicy", previews, self.preview),
                {200: POLICY_CHANGE},
                conflicts=True,
                takes_json=NEW_POLICY,
            ),
            self.answers(
                *(f"{_PATH}/holds", "HoldCallbacks"),
                "Keep the callbacks of an account, or to some URLs, in one phase, whatever the date"
                " (a hold), or change a hold. Only with an operator's key.",
                *(POLICY_CHANGE, self._hold),
                verb="POST",
                takes=_HOLD,
                conflicts=True,
                for_all=True,
            ),
            self.answers(
                *(f"{_PATH}/holds/release", "ReleaseCallbacks"),
                "Remove the hold of exactly this account and these URLs. Only with an operator's"
                " key.",
                *(POLICY_CHANGE, self._release),
                verb="POST",
                takes=(*_SCOPE, *_HOW),
                conflicts=True,
                for_all=True,
            ),
        ]

    async def preview(self, request: Request) -> Response:
        """Respond with what replacing the policy would change."""
        refuse_unless_operator(await reach_of(request, self._dependencies.authenticator))
        body = await read_json_body(request, most=MAX_BODY)
        based_on, policy = await asyncio.to_thread(read_policy_body, body)
        await self._stored.check(policy, based_on=based_on)
        return json_answer(await self._what_changes(policy))

    async def _hold(self, call: ApiRequest) -> Mapping[str, object]:
        given, scope = call.given, _scope_of(call.given)
        until = HoldEnd.NEVER if given.text("Until") == _NEVER else given.instant_or_utc("Until")
        phase = given.label("Phase", longest=_LONGEST_NAME) or None
        return await self._change(
            call,
            "HoldCallbacks",
            lambda policy: with_changed_hold(
                policy, *scope, phase=phase, until=until or HoldEnd.KEPT
            ),
        )

    async def _release(self, call: ApiRequest) -> Mapping[str, object]:
        scope = _scope_of(call.given)
        return await self._change(
            call, "ReleaseCallbacks", lambda policy: policy.without_hold(*scope)
        )

    async def _change(
        self, call: ApiRequest, action: str, edit: Callable[[Policy], Policy]
    ) -> Mapping[str, object]:
        refuse_unless_operator(call.account_sid)
        active, given = self._monitor.active, call.given
        based_on = given.number("Version", 0, _HIGHEST, default=active.number)
        try:
            policy = edit(active.stored)
        except ConfigurationError as problem:
            raise given.wrong(str(problem)) from None
        await self._stored.check(policy, based_on=based_on)
        record = await self._what_changes(policy)
        if given.is_yes("DryRun") or not record["diff"]:
            return record
        actor = actor_of(call.request)
        await self._stored.change(policy, based_on=based_on, actor=actor, action=action)
        return {**record, "is_changed": True, "version": active.number}

    async def _what_changes(self, policy: Policy) -> dict[str, Any]:
        """Return the effects of a policy that this process can use, for JSON."""
        self._monitor.ask()
        preview = await asyncio.to_thread(self._compare, policy)

        def look(tx: Transaction) -> list[dict[str, Any]]:
            urls = {(one.used.account_sid, one.used.wire) for _, one in preview.first}
            checks = by_key(check for url in urls for check in tx.receiver_checks.of_url(*url))
            counted = self._monitor.urls
            judge = ReceiverJudge(checks, {} if counted is None else counted.deliveries)
            return [_url_record(judge, at, one) for at, one in preview.first]

        return {**preview.record, "urls": await self.read(EVERY, look)}

    def _compare(self, policy: Policy) -> _Preview:
        monitor, counted = self._monitor, self._monitor.urls
        old, now, _ = monitor.by_date()
        new, *_ = monitor.by_date(monitor.active.as_used(policy))
        used = () if counted is None else counted.used
        first = dict[tuple[str, str, str | None], tuple[datetime, UrlUnderBoth]]()
        ahead = list[dict[str, Any]]()
        for each in compare_policies(old, new, used, now=now, most=MOST_CHANGES):
            for one in each.urls:
                key = one.used.account_sid, one.used.url, one.used.asked
                first.setdefault(key, (each.at, one))
            impact = impact_of(one.used for one in each.urls)._asdict()
            left = (each.at - now).total_seconds()
            ahead.append({"date": each.at, "seconds_left": left, "changes": each.changes, **impact})
        at_once = {name: ahead[0][name] for name in ("date", *_IMPACT)}
        record = {
            "is_changed": False,
            "version": monitor.active.number,
            "diff": self._diff(policy),
            "counted": None if counted is None else counted.counted,
            "callbacks_counted": None if counted is None else counted.callbacks_counted,
            "now": at_once,
            "ahead": ahead[1:],
            "urls_left_out": max(0, len(first) - _MOST_LISTED),
        }
        return _Preview(record, list(first.values())[:_MOST_LISTED])

    def _diff(self, policy: Policy) -> str:
        old, new = (self._as_text(each) for each in (self._monitor.active.stored, policy))
        return text_diff(old, new, "the policy")


def _scope_of(given: RequestParameters) -> tuple[str | None, str | None]:
    """Return the account and the URL prefix of a hold; raises InvalidParameter if it has none."""
    scope = given.text("AccountSid") or None, given.text("UrlPrefix") or None
    if scope == (None, None):
        raise given.wrong("give what the hold is for: AccountSid, UrlPrefix or both")
    if "@" in (scope[1] or "").partition("://")[2].partition("/")[0]:
        raise given.wrong(
            "UrlPrefix has credentials: leave them out, since holds are compared with URLs without"
            " them"
        )
    return scope


def _url_record(judge: ReceiverJudge, at: datetime, one: UrlUnderBoth) -> dict[str, Any]:
    used = one.used
    return {
        "account_sid": used.account_sid,
        "url": used.url,
        "source_asked": used.asked,
        "callbacks": used.callbacks,
        "date": at,
        "before": one.before,
        "after": one.after,
        "receiver": judge.record(used, one.after),
    }
