"""The portal in our document: what became of callbacks, devices to play, and the clock."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ringback.api.openapi.answers import content_of, error_answer, warned
from ringback.api.openapi.asked import asked_of
from ringback.api.operation import PAGES, Parameter, required
from ringback.api.portal.filters import STATUSES
from ringback.api.portal.wireless_sims import LONGEST
from ringback.api.schemas import (
    FLAG,
    INSTANT,
    METHOD,
    TEXT,
    URL,
    Schema,
    list_of,
    number,
    one_of,
    text,
)
from ringback.core.message import PayloadType
from ringback.core.policy.source_policy import Source
from ringback.core.scenario import SCENARIOS
from ringback.operations.destinations import MOST
from ringback.operations.metering import MOST_AT_ONCE

_YES: Final[Schema] = {"type": "string", "enum": ["yes", "no"]}


class PortalOperation(NamedTuple):
    """One verb on one path of the portal."""

    verb: str
    path: str
    name: str
    meaning: str
    answers: Mapping[int, str]
    """The names of their schemas."""
    parameters: Sequence[Parameter] = ()
    errors: Sequence[int] = ()
    """Beside those that each can have, and 404 where a path names something."""
    document: str | None = None
    """The schema of the JSON that it takes, instead of a form."""


_STATUS: Final = Parameter(
    "Status", {"type": "string", "enum": list(STATUSES)}, "Only those with this status."
)
_SOURCE: Final = Parameter(
    "Source", one_of(Source), "Only those from this source; one that the settings add will do, too."
)
_DESTINATION: Final = Parameter("Destination", TEXT, "Only those to the host of this URL.")
_FILTERS: Final = (
    _SOURCE,
    Parameter("IdempotencyToken", TEXT, "Only the one with this token."),
    _DESTINATION,
    Parameter("CreatedAfter", INSTANT, "Only those from this instant on."),
    Parameter("CreatedBefore", INSTANT, "Only those before this instant."),
)
_OTHER: Final = Parameter("AsOtherSource", _YES, "Whether to send a new one from the other source.")
_REPLAYS: Final = (
    Parameter("Sids", TEXT, "Up to 500 SIDs, with commas between."),
    Parameter("Since", INSTANT, "Instead of Sids: all from this instant on."),
    Parameter("Until", INSTANT, "Those before this instant."),
    _STATUS,
    _SOURCE,
    _DESTINATION,
    Parameter("After", TEXT, "Where to go on, as `next` of the call before has it."),
    _OTHER,
    Parameter("DryRun", _YES, "Whether only to count."),
)
_SINCE: Final = Parameter("Since", INSTANT, "Only copies sent from this instant on.")
_PAYLOAD: Final = required("Payload", text(shortest=1), "What the device sends.")
_DATAGRAM: Final = (
    required("Payload", TEXT, "What the device sends: text, or Base64."),
    Parameter("PayloadType", one_of(PayloadType), "What Payload is; text without it."),
    Parameter("DevicePort", number(1, 65535), "The device's UDP port; 4000 without it."),
)
_COMMAND: Final = (
    required("Payload", text(shortest=1), "What the device sends: text, or Base64."),
    Parameter("PayloadType", one_of(PayloadType), "What Payload is; text without it."),
)
_CARD: Final = (
    Parameter(
        "Iccid", text(pattern="^(89[0-9]{16,20})?$"), "The card's number; made up without it."
    ),
    Parameter("RegistrationCode", text(longest=LONGEST), "Printed with it."),
    Parameter("EId", text(longest=LONGEST), "The number of its chip."),
    Parameter("Narrowband", FLAG, "Whether it is a Narrowband SIM; it isn't without it."),
)
_DATA: Final = (
    Parameter("Upload", number(0, MOST_AT_ONCE), "Bytes up."),
    Parameter("Download", number(0, MOST_AT_ONCE), "Bytes down."),
)
_SCENARIO: Final = (
    required("Scenario", {"type": "string", "enum": [*SCENARIOS, ""]}, "Empty to choose none."),
    Parameter("Sim", TEXT, "The SIM that it is for; the account without it."),
)

_CALLBACKS: Final = "/portal/v1/callbacks"
_ONE: Final = f"{_CALLBACKS}/{{sid}}"
_DEVICE: Final = "/portal/v1/devices/{sim}"

PORTAL: Final = (
    PortalOperation(
        "GET",
        _CALLBACKS,
        "ListCallback",
        "List callbacks, newest first.",
        {200: "callback_page"},
        (_STATUS, *_FILTERS, *PAGES),
    ),
    PortalOperation(
        "POST",
        _CALLBACKS,
        "SendCallback",
        "Send an event of one's own, or up to 1,000: all or none. 201 means that it is durable.",
        {201: "sent_callbacks"},
        document="new_callbacks",
    ),
    PortalOperation(
        "GET",
        "/portal/v1/undelivered",
        "ListUndelivered",
        "List callbacks that failed or were discarded, newest first.",
        {200: "callback_page"},
        (*_FILTERS, *PAGES),
    ),
    PortalOperation(
        "POST",
        "/portal/v1/replays",
        "ReplayCallbacks",
        "Send many again.",
        {200: "replays"},
        _REPLAYS,
    ),
    PortalOperation("GET", _ONE, "FetchCallback", "Fetch a callback.", {200: "callback"}),
    PortalOperation(
        "GET",
        f"{_ONE}/attempts",
        "ListAttempt",
        "List a callback's attempts, oldest first, with requests and answers.",
        {200: "attempt_page"},
    ),
    PortalOperation(
        "POST",
        f"{_ONE}/replay",
        "ReplayCallback",
        "Send a callback again. 201 means a new one, from the other source.",
        {200: "callback", 201: "callback"},
        (_OTHER,),
        errors=(409,),
    ),
    PortalOperation(
        "POST",
        f"{_ONE}/discard",
        "DiscardCallback",
        "Give a callback up.",
        {200: "callback"},
        (required("Reason", text(shortest=1, longest=200), "Stays on its record."),),
        errors=(409,),
    ),
    PortalOperation(
        "GET",
        "/portal/v1/totals",
        "FetchTotals",
        "Count how the callbacks of a time went, by account, URL and sources. Test events and"
        " replays from the other source are left out.",
        {200: "totals"},
        (
            Parameter(
                "Since", INSTANT, "Those created from this instant on; a day ago without it."
            ),
            Parameter("Until", INSTANT, "Those created before this instant; now without it."),
        ),
    ),
    PortalOperation(
        "GET",
        "/portal/v1/response_storage",
        "FetchResponseStorage",
        "Tell how many bytes are kept of long answers, beyond what stands with each attempt, and"
        " how many may be. An operator's key is told it of all accounts, and of the largest.",
        {200: "response_storage"},
    ),
    PortalOperation(
        "POST",
        "/portal/v1/test_events",
        "SendTestEvent",
        "Send KORE's test event to a URL.",
        {201: "callback"},
        (
            required("Url", URL, "A callback URL, with its fragment."),
            Parameter("Method", METHOD, "How to send it; POST without it."),
        ),
    ),
    PortalOperation(
        "POST",
        "/portal/v1/rehearsals",
        "RehearseSecret",
        "Send test events that the pending webhook secret signs to where callbacks go.",
        {201: "rehearsal"},
        (
            Parameter(
                "Url",
                {**list_of(URL), "maxItems": MOST},
                "To these instead; as many as there are.",
            ),
        ),
        errors=(409,),
    ),
    PortalOperation(
        "GET",
        "/portal/v1/shadows",
        "ListShadow",
        "List copies of callbacks from another source, newest first, beside the first attempts.",
        {200: "shadow_page"},
        (
            _SOURCE,
            Parameter("CallbackSid", TEXT, "Only copies of this callback."),
            _SINCE,
            *PAGES,
        ),
    ),
    PortalOperation(
        "GET",
        "/portal/v1/shadows/report",
        "ReportShadows",
        "Compare the answers to callbacks and to their copies, URL by URL.",
        {200: "shadow_report"},
        (_SINCE,),
    ),
    PortalOperation(
        "GET",
        _DEVICE,
        "FetchDevice",
        "Show how a SIM's device is reached, and what holds for it.",
        {200: "device"},
    ),
    PortalOperation(
        "POST",
        f"{_DEVICE}/sms",
        "SendSmsFromDevice",
        "Have a SIM's device send an SMS.",
        {201: "sms_command"},
        (_PAYLOAD,),
    ),
    PortalOperation(
        "POST",
        f"{_DEVICE}/ip",
        "SendDatagramFromDevice",
        "Have a SIM's device send a datagram.",
        {201: "ip_command"},
        _DATAGRAM,
    ),
    PortalOperation(
        "POST",
        f"{_DEVICE}/commands",
        "SendCommandFromDevice",
        "Have the device of a Programmable Wireless SIM send a Command.",
        {201: "command"},
        _COMMAND,
    ),
    PortalOperation(
        "GET",
        f"{_DEVICE}/inbox",
        "FetchInbox",
        "List the newest SMS or Commands that have come to a SIM's device.",
        {200: "inbox"},
    ),
    PortalOperation(
        "POST",
        f"{_DEVICE}/data",
        "UseData",
        "Have a SIM's device use data, at once.",
        {200: "used_data"},
        _DATA,
    ),
    PortalOperation(
        "POST",
        "/portal/v1/esim_profiles/{sid}/download",
        "DownloadEsimProfile",
        "Have a device download an eSIM Profile.",
        {202: "esim_profile"},
        errors=(409,),
    ),
    PortalOperation(
        "POST",
        "/portal/v1/wireless_sims",
        "RegisterWirelessSim",
        "Register a Programmable Wireless SIM, which that API has no operation for.",
        {201: "wireless_sim"},
        _CARD,
    ),
    PortalOperation(
        "GET",
        "/portal/v1/scenarios",
        "ListScenario",
        "List the scenarios of the simulated network, and say which is in force.",
        {200: "scenarios"},
        (Parameter("Sim", TEXT, "For this SIM: its SID or unique name."),),
    ),
    PortalOperation(
        "POST",
        "/portal/v1/scenarios",
        "ChooseScenario",
        "Choose a scenario for a SIM, or for the account.",
        {200: "scenario"},
        _SCENARIO,
    ),
    PortalOperation(
        "GET",
        "/portal/v1/policy",
        "FetchPolicy",
        "Show which source sends what, and what is ahead.",
        {200: "policy"},
    ),
    PortalOperation(
        "GET", "/portal/v1/clock", "FetchClock", "Say what time it is.", {200: "clock"}
    ),
    PortalOperation(
        "POST",
        "/portal/v1/clock",
        "AdvanceClock",
        "Let time pass, and answer when all that came due is done.",
        {200: "clock"},
        (required("Advance", text(pattern="^[0-9]+(ms|s|m|h|d)$"), "How much: 90s, 2h or 3d."),),
    ),
)
"""All that there can be; the clock is not there in production."""


def describe_portal(operation: PortalOperation) -> dict[str, Any]:
    """Return an operation of the portal as the document has it."""
    asked = asked_of(operation.verb, operation.parameters)
    if operation.document is not None:
        asked = {"requestBody": {"required": True, **content_of(operation.document)}}
    return {
        "operationId": operation.name,
        "tags": ["Portal"],
        "summary": operation.meaning,
        **asked,
        "responses": _answers_of(operation),
    }


def served(paths: Collection[str]) -> list[PortalOperation]:
    """Return the operations of the portal that these paths have."""
    return [operation for operation in PORTAL if operation.path in paths]


def _answers_of(operation: PortalOperation) -> dict[str, Any]:
    missing = [404] if "{" in operation.path else []
    errors = sorted({400, 401, 403, *missing, *operation.errors, 429, 503})
    good = {
        str(status): {"description": operation.meaning, **warned(), **content_of(name)}
        for status, name in operation.answers.items()
    }
    return good | {str(status): error_answer(status) for status in errors}
