"""`ringback trigger`: causes a real callback, named by one word."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import chain
from typing import Any, Final

import click

from ringback.cli.base_command import argument, command, option
from ringback.cli.callback_output import status_in_colour, warning_lines
from ringback.cli.options import method_option
from ringback.cli.output import say
from ringback.cli.portal_commands import with_portal
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError
from ringback.core.policy.url_source_override import override_source
from ringback.portal_client import JsonObject, PortalClient
from ringback.triggers import TRIGGERS, TriggerDefinition
from ringback.triggers.trigger import ExpectedParameters, TriggerRun

_LISTEN_URL: Final = "http://127.0.0.1:9000/"
"""The default address of `ringback listen`."""
_PAYLOAD: Final = "Hello from Ringback"
_OUTCOME_PARAMETERS: Final = ("SimStatus", "Status", "CommandStatus", "ErrorCode")
"""The parameters that say how a SIM or command ended up."""
_NO_CONNECTION: Final = frozenset({"connect", "connect_timeout"})


def _find(
    _ctx: click.Context, _param: click.Parameter, name: str | None
) -> TriggerDefinition | None:
    if name is None:
        return None
    if name in TRIGGERS:
        return TRIGGERS[name]
    near = "".join(f"; did you mean {word}?" for word in get_close_matches(name, TRIGGERS, 1))
    raise click.BadParameter(f"there is no {name!r}{near}; --list shows all there are")


def _list(ctx: click.Context, _param: click.Parameter, is_asked: bool) -> None:
    if not is_asked:
        return
    described = {"triggers": list(map(_described, TRIGGERS.values()))}
    say(described, _table(), as_json=bool(ctx.params.get("as_json")))
    ctx.exit()


@command()
@argument("trigger", required=False, metavar="NAME", callback=_find)
@option("--list", is_flag=True, expose_value=False, callback=_list, help="Show all names.")
@option("--sim", metavar="SIM", help="Do it with this SIM: its SID or unique name.")
@option("--payload", metavar="TEXT", help="What an SMS or a datagram says.")
@option("--cbs", metavar="SOURCE", help="The source to ask for in the URL's fragment.")
@method_option("How the callback is sent.")
@option(
    "--to",
    metavar="URL",
    default=_LISTEN_URL,
    show_default=True,
    help="Who is called back. By default, `ringback listen`.",
)
# Eager, so that it is read before --list, whose output depends on it.
@option("--json", "as_json", is_flag=True, is_eager=True, help="Print one JSON object.")
@with_portal
def trigger(
    *,
    trigger: TriggerDefinition | None,
    sim: str | None,
    payload: str | None,
    cbs: str | None,
    method: str,
    to: str,
    as_json: bool,
    portal: PortalClient,
) -> None:
    """Have happen what NAME says, and see its callbacks arrive.

    The SIM, command or profile really goes through its life cycle; what has to be set for it is put
    back afterwards. --list shows all names.
    """
    if trigger is None:
        raise click.UsageError("say what is to happen; --list shows all names")
    _check_options(trigger, sim=sim, payload=payload)
    did = list[str]()
    run = TriggerRun(
        portal=portal,
        product=trigger.product,
        to=CallbackUrl.parse(override_source(to, cbs) if cbs else to, sources=None),
        method=method,
        report=did.append if as_json else click.echo,
        sim=sim or (portal.sim_sid if trigger.product == "supersim" else portal.wireless_sim_sid),
        payload=_PAYLOAD if payload is None else payload,
    )
    callbacks = [run.settled(callback) for callback in trigger.pull(run)]
    record = {"trigger": trigger.name, "did": did, "callbacks": callbacks}
    say(record, chain.from_iterable(map(_lines, callbacks)), as_json=as_json)
    _complain(trigger, callbacks, run)


def _check_options(trigger: TriggerDefinition, *, sim: str | None, payload: str | None) -> None:
    if payload is not None and not trigger.has_payload:
        raise click.UsageError(f"{trigger.name} has no payload")
    if sim is not None and not trigger.has_sim:
        raise click.UsageError(f"{trigger.name} makes a SIM of its own; leave --sim out")


def _described(trigger: TriggerDefinition) -> dict[str, Any]:
    return {
        "name": trigger.name,
        "meaning": trigger.words,
        "callbacks": [dict(expected) for expected in trigger.calls_back],
    }


def _table() -> Iterator[str]:
    width = max(map(len, TRIGGERS))
    for trigger in TRIGGERS.values():
        yield f"{click.style(f'{trigger.name:{width}}', bold=True)}  {trigger.words}"
        yield f"{'':{width}}  calls back: {'; '.join(map(_in_words, trigger.calls_back))}"


def _in_words(parameters: ExpectedParameters) -> str:
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def _lines(callback: JsonObject) -> Iterator[str]:
    status = status_in_colour(callback)
    yield f"{callback['sid']}  {_outcome_of(callback)}  by {callback['method']}: {status}"
    yield f"  {callback['source']}: {callback['source_reason']}"
    yield from warning_lines(callback)


def _outcome_of(callback: JsonObject) -> str:
    parameters = callback["parameters"]
    return _in_words({name: parameters[name] for name in _OUTCOME_PARAMETERS if name in parameters})


def _complain(trigger: TriggerDefinition, callbacks: Sequence[JsonObject], run: TriggerRun) -> None:
    """Raise ConfigurationError where a callback is missing, unexpected or not delivered."""
    if not trigger.is_as_promised(callbacks):
        came = "; ".join(_outcome_of(callback) for callback in callbacks)
        why = callbacks[-1]["parameters"].get("ErrorMessage", "the network is not set as usual")
        promised = "; ".join(map(_in_words, trigger.calls_back))
        raise ConfigurationError(
            f"{trigger.name} is for {promised}, but what came is {came}: {why}"
        )
    for callback in callbacks:
        if callback["status"] != "delivered":
            raise ConfigurationError(_why_not_delivered(callback, run))


def _why_not_delivered(callback: JsonObject, run: TriggerRun) -> str:
    attempts = run.portal.get("callbacks", callback["sid"], "attempts")["attempts"]
    if attempts and attempts[-1]["failure"] in _NO_CONNECTION:
        return (
            f"nothing listens at {run.to.shown}; start `ringback listen`, or say with --to who is"
            " to be called back"
        )
    last = attempts[-1]["reason"] if attempts else callback["status_reason"]
    return f"{callback['sid']} was not delivered: {last}; `ringback callbacks show` has it all"
