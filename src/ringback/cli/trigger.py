"""`ringback trigger`: make one callback happen for real, by the name of an event."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, option, option_group
from ringback.cli.callback_output import status_in_colour, warning_lines
from ringback.cli.options import method_option
from ringback.cli.output import echo, say, style
from ringback.cli.portal_commands import with_portal
from ringback.core.errors import ConfigurationError
from ringback.core.sims.message import EXAMPLE_TEXT
from ringback.dev_receiver.usual_address import LISTEN_URL

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient
    from ringback.triggers import TriggerDefinition
    from ringback.triggers.trigger import TriggerRun

_INSTEAD: Final = "give the URL of another receiver with --to"
_MORE: Final = "; see `ringback callbacks show`"
_HINT: Final = "`ringback scenario` shows how the network behaves"


def _find(
    _ctx: click.Context, _param: click.Parameter, name: str | None
) -> "TriggerDefinition | None":
    if name is None:
        return None
    from ringback.triggers import TRIGGERS

    if name in TRIGGERS:
        return TRIGGERS[name]
    from ringback.core.similar_names import suggestion

    guess = suggestion(name, TRIGGERS) or ";"
    raise click.BadParameter(f"there is no trigger {name!r}{guess} --list shows all names")


def _list(ctx: click.Context, _param: click.Parameter, is_asked: bool) -> None:
    if not is_asked:
        return
    from ringback.triggers import TRIGGERS

    triggers = list(TRIGGERS.values())
    described = {"triggers": list(map(_described, triggers))}
    say(described, _table(triggers), as_json=bool(ctx.params.get("as_json")))
    ctx.exit()


@command(
    examples={
        "ringback trigger sim.active": (
            "Activate the SIM, and send its callback to `ringback listen`:"
        ),
        "ringback trigger sms.delivered --cbs kore": (
            "Send an SMS to a device, with its callbacks sent by the source kore:"
        ),
        "ringback trigger sim.failed --to 'http://127.0.0.1:9000/hook'": (
            "Make the deactivation of the SIM fail, and send the callback to this URL:"
        ),
        "ringback trigger --list": "Show the names of all events that can be triggered:",
    }
)
@argument(
    "trigger",
    required=False,
    metavar="NAME",
    callback=_find,
    help="Name of the event to cause, for example sim.active; --list shows all names.",
)
@option_group(
    "What happens",
    option(
        "--list",
        is_flag=True,
        expose_value=False,
        callback=_list,
        help="Show the names of all events, each with the callbacks, or the event, that it causes.",
    ),
    option(
        "--sim",
        metavar="SIM",
        help="SID or unique name of the SIM that the event is about. Default: the SIM of `ringback"
        " dev`.",
    ),
    option(
        "--payload",
        metavar="TEXT",
        help="Text of the message, if the event is an SMS, a datagram, or a Command of Programmable"
        f" Wireless. Default: {EXAMPLE_TEXT}.",
    ),
)
@option_group(
    "The callback",
    option(
        "--to",
        metavar="URL",
        default=LISTEN_URL,
        show_default=True,
        help="URL to send the callbacks to. The default is the URL of `ringback listen`.",
    ),
    option(
        "--cbs",
        metavar="SOURCE",
        help="Source that should send the callbacks: twilio or kore. The command adds #cbs=SOURCE"
        " to the URL. Default: the source that the server selects.",
    ),
    method_option("HTTP method to send the callbacks with."),
)
# Eager, since --list reads it.
@option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,
    help="Print the result as JSON instead of text.",
)
@with_portal
def trigger(
    *,
    trigger: "TriggerDefinition | None",
    sim: str | None,
    payload: str | None,
    cbs: str | None,
    method: str,
    to: str,
    as_json: bool,
    portal: "PortalClient",
) -> None:
    """Cause an event, such as an SMS, so that its callbacks are sent.

    The event really happens in the simulated network: a SIM changes its status, an SMS is sent, an
    eSIM Profile is ordered. The command then waits until the callbacks are delivered. Afterwards,
    it restores what it changed for the event, such as callback URLs and scenarios (behaviours of
    the network).

    What happens to the connection of a SIM is not sent as a callback, but as an event to the sinks
    that have subscribed to it.
    """
    if trigger is None:
        raise click.UsageError("give the NAME of an event; --list shows all names")
    _check_options(trigger, sim=sim, payload=payload, cbs=cbs)
    from ringback.core.callback_urls.callback_url import CallbackUrl
    from ringback.core.policy.url_source_override import override_source
    from ringback.triggers.trigger import TriggerRun

    did = list[str]()
    run = TriggerRun(
        portal=portal,
        product=trigger.product,
        to=CallbackUrl.parse(override_source(to, cbs) if cbs else to, sources=None),
        method=method,
        report=did.append if as_json else echo,
        sim=sim or (portal.sim_sid if trigger.product == "supersim" else portal.wireless_sim_sid),
        payload=EXAMPLE_TEXT if payload is None else payload,
    )
    callbacks = [run.settled(callback) for callback in trigger.pull(run)]
    events = [one for one in run.events if one["event_type"] == trigger.publishes]
    record = {"trigger": trigger.name, "did": did, "callbacks": callbacks, "events": events}
    lines = chain(map(_event_line, events), chain.from_iterable(map(_lines, callbacks)))
    say(record, lines, as_json=as_json)
    _complain(trigger, callbacks, run)


def _check_options(
    trigger: "TriggerDefinition", *, sim: str | None, payload: str | None, cbs: str | None
) -> None:
    if cbs is not None and trigger.publishes is not None:
        raise click.UsageError(
            f"{trigger.name} sends no callback, but publishes an event for the sinks that subscribe"
            " to it: leave --cbs out"
        )
    if payload is not None and not trigger.has_payload:
        raise click.UsageError(f"{trigger.name} sends no text: leave --payload out")
    if sim is not None and not trigger.has_sim:
        raise click.UsageError(f"{trigger.name} creates a new SIM: leave --sim out")


def _described(trigger: "TriggerDefinition") -> dict[str, Any]:
    return {
        "name": trigger.name,
        "meaning": trigger.words,
        "callbacks": [dict(expected) for expected in trigger.calls_back],
        "event": trigger.publishes,
    }


def _table(triggers: "Sequence[TriggerDefinition]") -> Iterator[str]:
    from ringback.triggers.outcome import in_words

    width = max(len(trigger.name) for trigger in triggers)
    for trigger in triggers:
        yield f"{style(f'{trigger.name:{width}}', bold=True)}  {trigger.words}"
        if trigger.publishes is None:
            yield f"{'':{width}}  sends {'; '.join(map(in_words, trigger.calls_back))}"
        else:
            yield f"{'':{width}}  publishes {trigger.publishes}"


def _lines(callback: "JsonObject") -> Iterator[str]:
    from ringback.triggers.outcome import outcome_of

    status = status_in_colour(callback)
    yield f"{callback['sid']}  {outcome_of(callback)}  by {callback['method']}: {status}"
    yield f"  {callback['source']}: {callback['source_reason']}"
    yield from warning_lines(callback)


def _event_line(event: "JsonObject") -> str:
    return f"{event['event_sid']}  {event['event_type']}: goes to its subscribers' sinks"


def _complain(
    trigger: "TriggerDefinition", callbacks: "Sequence[JsonObject]", run: "TriggerRun"
) -> None:
    """Raise ConfigurationError if a callback is missing, unexpected or not delivered."""
    from ringback.triggers.outcome import why_not_as_promised, why_not_delivered

    problem = why_not_as_promised(trigger, callbacks, hint=_HINT)
    if problem is not None:
        raise ConfigurationError(problem)
    for callback in callbacks:
        problem = why_not_delivered(run, callback, instead=_INSTEAD, more=_MORE)
        if problem is not None:
            raise ConfigurationError(problem)
