"""`ringback streams`: show event streams and events; manage KORE's destinations and rules."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, group, option, option_group
from ringback.cli.callback_output import short_type
from ringback.cli.options import limit_option, prints_answer, prints_record
from ringback.cli.output import Output, style
from ringback.cli.portal_commands import newest, with_portal
from ringback.cli.time_arguments import ago, time_option
from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import SCHEMA_VERSIONS, StreamEventType
from ringback.core.visible_text import visible

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient

_ROOT: Final = "portal/v1/streams"
_NEW: Final = """\
DG=$(ringback streams destinations add ours --url "$CALLBACK_URL" |
  cut -d ' ' -f 1)
"""
"""The beginning of examples that need a destination."""
_NEW_RULE: Final = f"""\
{_NEW}\
DF=$(ringback streams rules add all --destination "$DG" | cut -d ' ' -f 1)
"""
_SHORT_TYPES: Final = [each.short for each in StreamEventType]

_destination_argument: Final = argument("sid", help="SID of the destination (DG…).")
_rule_argument: Final = argument("sid", help="SID of the streaming rule (DF…).")
_name_argument: Final = argument("name", help="Its name.")
_where_options: Final = (
    option("--url", metavar="URL", help="The URL of a webhook, for example https://a.example/in."),
    option("--arn", metavar="ARN", help="The ARN of a Kinesis stream, in place of a URL."),
    option("--role-arn", metavar="ARN", help="The ARN of the IAM role that may write to it."),
    option("--external-id", metavar="ID", help="The external id that the role asks for."),
)
_version_option: Final = option(
    "--schema-version",
    type=click.IntRange(min(SCHEMA_VERSIONS), max(SCHEMA_VERSIONS)),
    metavar="N",
    help="The version of the schema of all types for which --type names none. Default: the latest.",
)


@group()
def streams() -> None:
    """Show event streams and events; manage KORE's destinations of events and streaming rules.

    An event stream sends events about the connections of SIMs, as JSON, to a webhook or a Kinesis
    stream. KORE's streams have destinations and rules. Twilio's have sinks and subscriptions, which
    Twilio's Events API manages.
    """


# ---- showing -------------------------------------------------------------------------------------


@streams.command(
    "list",
    examples={
        "ringback streams list": "Show all event streams, and how they are:",
        "ringback streams list --source kore": "Show only KORE's:",
    },
)
@option_group(
    "Which streams",
    option(
        "--source",
        type=click.Choice([one.value for one in Source]),
        help="Show only streams of this source.",
    ),
    limit_option,
)
@prints_answer
@with_portal
def list_streams(*, portal: "PortalClient", source: str | None, limit: int) -> Output:
    """List the event streams of both sources, newest first.

    Each destination (or sink) is followed by its rules (or subscriptions): how many events wait,
    the last batch, the types of events, and why it gets none at present.
    """
    return newest(
        portal,
        "streams",
        lambda found: (line for one in found for line in _stream_lines(one)),
        query={"Source": source},
        limit=limit,
        nothing="no event streams; `ringback streams destinations add` makes a destination",
    )


@streams.command(
    "events",
    examples={
        "ringback streams events": "Show the newest events:",
        "ringback streams events --type data-session.ended --since 2h": (
            "Show how data sessions have ended in the last two hours:"
        ),
    },
)
@option_group(
    "Which events",
    option("--sim", metavar="SID", help="Show only events about the SIM with this SID (HS…)."),
    option(
        "--type",
        "type_",
        type=click.Choice(_SHORT_TYPES),
        metavar="TYPE",
        help=f"Show only events of this type: {', '.join(_SHORT_TYPES)}.",
    ),
    time_option("--since", "Show only events since this time: 2h (ago), or 2026-11-24T10:00Z."),
    time_option("--until", "Show only events before this time."),
    limit_option,
)
@prints_answer
@with_portal
def events(
    *,
    portal: "PortalClient",
    sim: str | None,
    type_: str | None,
    since: str | None,
    until: str | None,
    limit: int,
) -> Output:
    """List the events that event streams were to send, newest first.

    The columns: SID, time (UTC), type, and SIM. With --json, each event is shown as both sources
    write it.
    """
    full = {each.short: each.value for each in StreamEventType}
    query = {
        "SimSid": sim,
        "Type": full.get(type_ or ""),
        "Since": ago(since, portal),
        "Until": ago(until, portal),
    }
    return newest(
        portal.for_api(_ROOT),
        "events",
        lambda found: map(_event_line, found),
        query=query,
        limit=limit,
        nothing="no events",
    )


@streams.command(
    "event",
    examples={
        "EVENT_SID=$(ringback streams events --limit 1 | cut -d ' ' -f 1)\n"
        '[ "$EVENT_SID" = no ] || ringback streams event "$EVENT_SID"': (
            "Show the newest event, if there is one:"
        )
    },
)
@argument("sid", help="SID of the event (EZ…).")
@prints_answer
@with_portal
def event(*, portal: "PortalClient", sid: str) -> Output:
    """Show one event as each source writes it, and the batches that have it."""
    shown = portal.get("streams", "events", sid)
    found = portal.get("streams", "events", sid, "batches")
    return {**shown, **found}, _event_details(shown, found)


# ---- destinations --------------------------------------------------------------------------------


@group()
def destinations() -> None:
    """Manage KORE's destinations of events: webhooks and Kinesis streams."""


@destinations.command(
    "add",
    examples={
        'ringback streams destinations add ours --url "$CALLBACK_URL"': "Add a webhook:",
        "ringback streams destinations add lake \\\n"
        "  --arn arn:aws:kinesis:us-east-1:111111111111:stream/events \\\n"
        "  --role-arn arn:aws:iam::111111111111:role/writer --external-id made-up": (
            "Add a Kinesis stream:"
        ),
    },
)
@_name_argument
@option_group("Where events go", *_where_options)
@prints_record
@with_portal
def add_destination(*, portal: "PortalClient", name: str, **where: str | None) -> Output:
    """Add a destination of KORE's events; rules then say which events it gets."""
    if (where["url"] is None) == (where["arn"] is None):
        raise click.UsageError("give either --url for a webhook, or --arn for a Kinesis stream")
    type_ = "webhook" if where["arn"] is None else "kinesis"
    form = {"Name": name, "Type": type_, **_where(where)}
    made = portal.post("streams", "destinations", form=form)
    return made, _destination_lines(made)


@destinations.command(
    "change",
    examples={
        f'{_NEW}ringback streams destinations change "$DG" --name theirs': (
            "Add a destination, and rename it:"
        )
    },
)
@_destination_argument
@option_group(
    "What to change", option("--name", metavar="NAME", help="Its new name."), *_where_options
)
@prints_record
@with_portal
def change_destination(
    *, portal: "PortalClient", sid: str, name: str | None, **where: str | None
) -> Output:
    """Rename a destination, or give it another URL or Kinesis stream.

    Batches that were made before still go to the old one.
    """
    form = {"Name": name, **_where(where)}
    if all(value is None for value in form.values()):
        raise click.UsageError("give at least one change, such as --name")
    changed = portal.post("streams", "destinations", sid, form=form)
    return changed, _destination_lines(changed)


@destinations.command(
    "test",
    examples={
        f'{_NEW}ringback streams destinations test "$DG"': (
            "Add a destination, and send it a test event:"
        )
    },
)
@_destination_argument
@prints_record
@with_portal
def test(*, portal: "PortalClient", sid: str) -> Output:
    """Send KORE's test event to a destination, and wait for its attempt."""
    sent = portal.post("streams", "destinations", sid, "test")
    (attempts,) = portal.attempts_when_ended([sent["sid"]])
    callback = portal.get("callbacks", sent["sid"])
    return callback, _how_it_ended(callback, attempts)


@destinations.command(
    "delete",
    examples={
        f'{_NEW}ringback streams destinations delete "$DG"': (
            "Add a destination, and delete it again:"
        )
    },
)
@_destination_argument
@prints_record
@with_portal
def delete_destination(*, portal: "PortalClient", sid: str) -> Output:
    """Delete a destination that no rule uses any more."""
    portal.delete("streams", "destinations", sid)
    return {"sid": sid, "deleted": True}, f"the destination {sid} is deleted"


# ---- rules ---------------------------------------------------------------------------------------


@group()
def rules() -> None:
    """Manage KORE's streaming rules, which say which events a destination gets."""


def _type_options(*, of_all: str) -> tuple[Any, ...]:
    return (
        option(
            "--type",
            "types",
            metavar="TYPE",
            multiple=True,
            help="A type of events, with a colon and the version of its schema if you want an older"
            f" one (data-session.ended:1); can be repeated. {of_all} The types:"
            f" {', '.join(_SHORT_TYPES)}.",
        ),
        _version_option,
    )


@rules.command(
    "add",
    examples={
        f'{_NEW}ringback streams rules add all --destination "$DG"': (
            "Add a destination, and a rule that sends it all events:"
        ),
        f'{_NEW}ringback streams rules add ends --destination "$DG" \\\n'
        "  --type data-session.ended --type data-session.failed": (
            "Send it only the events about the ends of data sessions:"
        ),
    },
)
@_name_argument
@option_group(
    "The rule",
    option("--destination", metavar="SID", required=True, help="SID of the destination (DG…)."),
    *_type_options(of_all="Default: all types."),
    option("--disabled", is_flag=True, help="Add a rule that gets no events until it is enabled."),
)
@prints_record
@with_portal
def add_rule(
    *,
    portal: "PortalClient",
    name: str,
    destination: str,
    types: Sequence[str],
    schema_version: int | None,
    disabled: bool,
) -> Output:
    """Add a streaming rule: from now on, a destination gets the events of these types."""
    form = {
        "Name": name,
        "Destination": destination,
        "EventType": types or _SHORT_TYPES,
        "SchemaVersion": None if schema_version is None else str(schema_version),
        "Enabled": "no" if disabled else "yes",
    }
    made = portal.post("streams", "rules", form=form)
    return made, _rule_line(made)


@rules.command(
    "change",
    examples={
        f'{_NEW_RULE}ringback streams rules change "$DF" --type data-session.ended': (
            "Add a rule for all events, and limit it to one type:"
        )
    },
)
@_rule_argument
@option_group(
    "What to change",
    option("--name", metavar="NAME", help="Its new name."),
    option("--destination", metavar="SID", help="SID of its new destination (DG…)."),
    *_type_options(of_all="These types take the place of all it has."),
)
@prints_record
@with_portal
def change_rule(
    *,
    portal: "PortalClient",
    sid: str,
    name: str | None,
    destination: str | None,
    types: Sequence[str],
    schema_version: int | None,
) -> Output:
    """Change a streaming rule; events that wait for it are still sent."""
    form = {
        "Name": name,
        "Destination": destination,
        "EventType": types or None,
        "SchemaVersion": None if schema_version is None else str(schema_version),
    }
    if all(value is None for value in form.values()):
        raise click.UsageError("give at least one change, such as --name")
    changed = portal.post("streams", "rules", sid, form=form)
    return changed, _rule_line(changed)


def _switch(verb: str, enabled: str, meaning: str, example: str) -> None:
    @rules.command(
        verb, help=meaning, examples={f'{_NEW_RULE}ringback streams rules {verb} "$DF"': example}
    )
    @_rule_argument
    @prints_record
    @with_portal
    def switch(*, portal: "PortalClient", sid: str) -> Output:
        changed = portal.post("streams", "rules", sid, form={"Enabled": enabled})
        return changed, _rule_line(changed)


_switch("enable", "yes", "Let a disabled rule get events again.", "Add a rule, and enable it:")
_switch(
    "disable",
    "no",
    "Let a rule get no new events, until it is enabled.\n\nEvents that wait for it are still sent.",
    "Add a rule, and disable it:",
)


@rules.command(
    "delete",
    examples={
        f'{_NEW_RULE}ringback streams rules delete "$DF"': ("Add a rule, and delete it again:")
    },
)
@_rule_argument
@prints_record
@with_portal
def delete_rule(*, portal: "PortalClient", sid: str) -> Output:
    """Delete a streaming rule, and the events that wait for it."""
    portal.delete("streams", "rules", sid)
    return {"sid": sid, "deleted": True}, f"the streaming rule {sid} is deleted"


streams.add_command(destinations)
streams.add_command(rules)


# ---- requests and lines --------------------------------------------------------------------------


def _where(given: Mapping[str, str | None]) -> dict[str, str | None]:
    return {
        "Url": given["url"],
        "Arn": given["arn"],
        "RoleArn": given["role_arn"],
        "ExternalId": given["external_id"],
    }


def _stream_lines(stream: "JsonObject") -> Iterator[str]:
    status = "" if stream["status"] == "active" else f"  {stream['status']}"
    title = f"{stream['sid']}  {stream['source']:6}  {stream['type']:7}"
    shown = visible(f"{stream['name']}: {stream['to']}")
    yield style(f"{title}  {shown}{status}", bold=True)
    for one in stream["subscriptions"]:
        waiting = f"{one['waiting']:,}{'+' if one['waiting_has_more'] else ''}"
        last = one["last_batch"]
        batch = "no batch" if last is None else f"last batch {last['sid']} {last['status']}"
        yield f"  {one['sid']}  {visible(one['name'])}: {waiting} waiting, {batch}"
        yield f"    {_types_in_words(one['event_types'])}"
        if one["silent_because"]:
            yield style(f"    gets nothing: {visible(one['silent_because'])}", fg="yellow")
        if one["silent_from"]:
            yield style(
                f"    gets nothing from {one['silent_from'][:10]} on, since its types are then"
                f" discontinued at {stream['source']}",
                fg="yellow",
            )
    if not stream["subscriptions"]:
        yield "  nothing is subscribed"
    yield from _warning_lines(stream)


def _warning_lines(one: "JsonObject") -> Iterator[str]:
    for warning in one["warnings"]:
        yield style(f"  warning: {visible(warning)}", fg="yellow")


def _destination_lines(one: "JsonObject") -> Iterator[str]:
    yield f"{one['sid']} {visible(one['name'])}: {visible(one['url'] or one['arn'])}"
    yield from _warning_lines(one)


def _rule_line(one: "JsonObject") -> str:
    state = "" if one["is_enabled"] else " (disabled)"
    types = _types_in_words(one["event_types"])
    return f"{one['sid']} {visible(one['name'])}{state}: {types} to {one['destination_sid']}"


def _types_in_words(types: Sequence["JsonObject"]) -> str:
    """Return the short names of types, with their versions unless those are the latest."""
    latest = max(SCHEMA_VERSIONS)
    return ", ".join(
        short_type(one["type"])
        + ("" if one["schema_version"] == latest else f":{one['schema_version']}")
        for one in types
    )


def _event_line(one: "JsonObject") -> str:
    return f"{one['sid']}  {one['date_created']}  {short_type(one['type']):19}  {one['sim_sid']}"


def _event_details(one: "JsonObject", found: "JsonObject") -> Iterator[str]:
    yield _event_line(one)
    for source, text in one["written"].items():
        yield f"{source:6}  {visible(text)}"
    for batch in found["batches"]:
        yield f"batch   {batch['sid']}  {batch['status']}  {batch['source']}  {batch['stream_sid']}"
    if not found["batches"]:
        yield "no batch has it"
    if found["has_more"]:
        yield "there may be further batches"


def _how_it_ended(callback: "JsonObject", attempts: Sequence["JsonObject"]) -> Iterator[str]:
    sent = f"{callback['sid']} to {visible(callback['url'])}"
    if not attempts:
        yield f"{sent}: {callback['status']}; it has not been sent yet"
        return
    last = attempts[-1]
    reason = f": {visible(last['reason'])}" if last["reason"] else ""
    yield f"{sent}: {last['result']}{reason}"
