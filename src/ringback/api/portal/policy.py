"""The portal's operations on the source policy: which source sends callbacks, and when."""

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.authentication import actor_of, reach_of
from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SECONDS,
    SOURCE,
    TEXT,
    list_of,
    number,
    object_of,
    or_null,
)
from ringback.api.serializers import CustomJsonSerializer, json_answer
from ringback.api.strict_json import Json, check_names, parse_json, read_json_body, refuse_deep
from ringback.core.accounts.account import EVERY
from ringback.core.errors import SUPER_SIM, ConfigurationError, Forbidden, InvalidParameter
from ringback.core.policy.dated_changes import POLICY_CHANGE_KINDS
from ringback.core.policy.policy_json import policy_record, read_policy
from ringback.core.policy.source_policy import Policy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.policy.stored_policy import StoredPolicy

_PATH: Final = "/portal/v1/policy"
MAX_BODY: Final = 4 * 1024 * 1024
"""The most bytes of a policy, which may have thousands of holds."""
_FIELDS: Final = ("version", "phases", "holds")
_SHOWN: Final = 80

PHASE: Final = object_of(name=TEXT, since=or_null(INSTANT), default=SOURCE, may_ask=list_of(SOURCE))
"""The schema of a phase."""
HOLD: Final = object_of(
    phase=TEXT, account_sid=or_null(TEXT), url_prefix=or_null(TEXT), until=or_null(INSTANT)
)
"""The schema of a hold, without whether it has ended."""
_HOLD: Final = object_of(**HOLD["properties"], has_ended=FLAG)
_CHANGE: Final = object_of(
    date=INSTANT,
    change={"type": "string", "enum": [change.label for change in POLICY_CHANGE_KINDS]},
    meaning=TEXT,
    seconds_left=SECONDS,
)
_DEPENDENTS: Final = object_of(
    source=SOURCE, accounts=number(0), urls=number(0), callbacks=number(0)
)
POLICY: Final = CustomJsonSerializer(
    "policy",
    object_of(
        date=INSTANT,
        version=number(0),
        origin=or_null(TEXT),
        date_created=or_null(INSTANT),
        phase=TEXT,
        stays_in=or_null(TEXT),
        phases=list_of(PHASE),
        holds=list_of(_HOLD),
        borders=list_of(_CHANGE),
        warnings=list_of(TEXT),
        counted=or_null(INSTANT),
        dependents=list_of(_DEPENDENTS),
        problem=or_null(TEXT),
        behind=or_null(TEXT),
    ),
)
NEW_POLICY: Final = CustomJsonSerializer(
    "new_policy",
    {
        "type": "object",
        "properties": {
            "version": {
                **number(0),
                "description": "The version that this changes; 409 if it is not in force any more.",
            },
            "phases": {**list_of(PHASE), "minItems": 1},
            "holds": list_of({**_HOLD, "required": ["phase"]}),
        },
        "required": list(_FIELDS),
    },
)


class PolicyEndpoints(EndpointGroup):
    """The operations that show the policy in force, and replace it."""

    def __init__(
        self, dependencies: ApiDependencies, monitor: PolicyMonitor, stored: StoredPolicy
    ) -> None:
        super().__init__(dependencies)
        self._monitor = monitor
        self._stored = stored

    def operations(self) -> list[ApiOperation]:
        """Return the operations that show and replace the policy."""
        fetches = "Show the phases of the source policy, its holds, and its next changes."
        replaces = (
            "Replace the phases and holds of the source policy; only with an operator's key. Send"
            " what was fetched, with changes: `phases`, `holds`, and the `version` that they are"
            " from. Its other fields have no effect."
        )
        replacing = ApiOperation(
            *("PUT", _PATH, "ReplacePolicy", replaces, self.replace, {200: POLICY}),
            conflicts=True,
            takes_json=NEW_POLICY,
        )
        return [
            self.answers(_PATH, "FetchPolicy", fetches, POLICY, self._fetch, for_all=True),
            replacing,
        ]

    async def replace(self, request: Request) -> Response:
        """Make a new version of the policy, and respond 200 when it is in force."""
        refuse_unless_operator(await reach_of(request, self._dependencies.authenticator))
        body = await read_json_body(request, most=MAX_BODY)
        # In a thread, since there may be thousands of holds.
        based_on, policy = await asyncio.to_thread(read_policy_body, body)
        await self._stored.change(policy, based_on=based_on, actor=actor_of(request))
        return json_answer(self._record(None))

    async def _fetch(self, call: ApiRequest) -> dict[str, Any]:
        return self._record(call.owner)

    def _record(self, account_sid: str | None) -> dict[str, Any]:
        monitor, concerns = self._monitor, self._monitor.holds_shown_to(account_sid)
        # By its identity: a hold of the policy itself may be equal to it.
        stay = monitor.active.stay
        record = policy_record(
            monitor.policy,
            date=monitor.date,
            before=monitor.before,
            concerns=lambda hold: hold is not stay and concerns(hold),
        )
        shown = {**record, "stays_in": None if stay is None else stay.phase}
        return {**shown, **self._version(account_sid), **self._counted(account_sid)}

    def _version(self, account_sid: str | None) -> dict[str, Any]:
        active, is_operator = self._monitor.active, account_sid is None
        version = active.version if is_operator else None
        # Problems of the policy file are shown to the operator only.
        return {
            "version": active.number,
            "origin": version and version.origin,
            "date_created": version and version.date_created,
            "problem": (active.unusable or active.problem) if is_operator else None,
            "behind": active.behind if is_operator else None,
        }

    def _counted(self, account_sid: str | None) -> dict[str, Any]:
        monitor, known = self._monitor, self._monitor.dependents
        return {
            "counted": None if known is None else known.counted,
            "dependents": [
                {"source": source, **impact._asdict()}
                for source, impact in monitor.depending_on_ends(account_sid).items()
            ],
        }


def refuse_unless_operator(reach: str) -> None:
    """Raise Forbidden unless the request may change what is everybody's."""
    if reach != EVERY:
        raise Forbidden(
            "only the operator can change the policy: sign in with an operator's key, which"
            " `ringback accounts keys create --operator` makes"
        )


def read_policy_body(body: bytes) -> tuple[int, Policy]:
    """Return the version that a request changes, and the new policy.

    Raises InvalidParameter if the body is not valid.
    """
    document = parse_json(body)
    if not isinstance(document, dict):
        raise _wrong(f"the body must be an object with {', '.join(_FIELDS)}")
    known = POLICY.schema["properties"]
    if unknown := next((name for name in document if name not in known), None):
        raise _wrong(f"{unknown[:_SHOWN]!a} is not a field of a policy")
    refuse_deep(document)
    check_names(body, document)
    try:
        policy = read_policy(document)
    except ConfigurationError as problem:
        raise _wrong(str(problem)) from None
    return _version_of(document), policy


def _version_of(document: dict[str, Json]) -> int:
    version = document.get("version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise _wrong("version must be the number of the version that this changes")
    return version


def _wrong(message: str) -> InvalidParameter:
    return InvalidParameter(message, code=SUPER_SIM.invalid)
