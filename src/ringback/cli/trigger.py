"""`ringback trigger`: one word, and a callback arrives that is the real thing."""

import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final

import click

from ringback.cli.portal import Portal, with_portal
from ringback.cli.triggers.stage import Record, Stage
from ringback.cli.triggers.table import TRIGGERS
from ringback.cli.triggers.trigger import Told, Trigger
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Unusable
from ringback.core.method import Method
from ringback.core.policy.source_override import override_source

_LISTENER: Final = "http://127.0.0.1:9000/"
"""Where `ringback listen` listens."""
_PAYLOAD: Final = "Hello from Ringback"
_COLORS: Final = {"delivered": "green", "failed": "red", "scheduled": "yellow"}
_TELLING: Final = ("SimStatus", "Status", "CommandStatus", "ErrorCode")
"""The parameters that say what became of it."""
_NO_CONNECTION: Final = frozenset({"connect", "connect_timeout"})


def _find(_ctx: click.Context, _param: click.Parameter, name: str | None) -> Trigger | None:
    if name is None:
        return None
    if name in TRIGGERS:
        return TRIGGERS[name]
    near = "".join(f"; did you mean {word}?" for word in get_close_matches(name, TRIGGERS, 1))
    raise click.BadParameter(f"there is no {name!r}{near}; --list shows all there are")


def _list(ctx: click.Context, _param: click.Parameter, is_asked: bool) -> None:
    if not is_asked:
        return
    if ctx.params.get("as_json"):
        click.echo(json.dumps({"triggers": list(map(_described, TRIGGERS.values()))}))
    else:
        for line in _table():
            click.echo(line)
    ctx.exit()


@click.command()
@click.argument("trigger", required=False, metavar="NAME", callback=_find)
@click.option("--list", is_flag=True, expose_value=False, callback=_list, help="Show all names.")
@click.option("--sim", metavar="SIM", help="Do it with this SIM: its SID or unique name.")
@click.option("--payload", metavar="TEXT", help="What an SMS or a datagram says.")
@click.option(
    "--cbs",
    metavar="SOURCE",
    help="The source to ask for in the URL's fragment.",
)
@click.option(
    "--method",
    type=click.Choice([method.value for method in Method]),
    default="POST",
    show_default=True,
    help="How the callback is sent.",
)
@click.option(
    "--to",
    metavar="URL",
    default=_LISTENER,
    show_default=True,
    help="Who is called back. By default, `ringback listen`.",
)
# Read before --list, which asks for it.
@click.option("--json", "as_json", is_flag=True, is_eager=True, help="Print one JSON object.")
@with_portal
def trigger(
    *,
    trigger: Trigger | None,
    sim: str | None,
    payload: str | None,
    cbs: str | None,
    method: str,
    to: str,
    as_json: bool,
    portal: Portal,
) -> None:
    """Have happen what NAME says, and see its callbacks arrive.

    The SIM, command or profile really goes through its life cycle; what has to be set for it is put
    back afterwards. --list shows all names.
    """
    if trigger is None:
        raise click.UsageError("say what is to happen; --list shows all names")
    _check_options(trigger, sim=sim, payload=payload)
    did = list[str]()
    stage = Stage(
        portal=portal,
        product=trigger.product,
        to=CallbackUrl.parse(override_source(to, cbs) if cbs else to, sources=None),
        method=method,
        say=did.append if as_json else click.echo,
        sim=sim or (portal.sim_sid if trigger.product == "supersim" else portal.wireless_sim_sid),
        payload=_PAYLOAD if payload is None else payload,
    )
    callbacks = [stage.settled(callback) for callback in trigger.pull(stage)]
    if as_json:
        click.echo(json.dumps({"trigger": trigger.name, "did": did, "callbacks": callbacks}))
    else:
        for callback in callbacks:
            for line in _lines(callback):
                click.echo(line)
    _complain(trigger, callbacks, stage)


def _check_options(trigger: Trigger, *, sim: str | None, payload: str | None) -> None:
    if payload is not None and not trigger.has_payload:
        raise click.UsageError(f"{trigger.name} has no payload")
    if sim is not None and not trigger.has_sim:
        raise click.UsageError(f"{trigger.name} makes a SIM of its own; leave --sim out")


def _described(trigger: Trigger) -> dict[str, Any]:
    return {
        "name": trigger.name,
        "meaning": trigger.words,
        "callbacks": [dict(told) for told in trigger.calls_back],
    }


def _table() -> Iterator[str]:
    width = max(map(len, TRIGGERS))
    for trigger in TRIGGERS.values():
        yield f"{click.style(f'{trigger.name:{width}}', bold=True)}  {trigger.words}"
        yield f"{'':{width}}  calls back: {'; '.join(map(_in_words, trigger.calls_back))}"


def _in_words(told: Told) -> str:
    return " ".join(f"{name}={value}" for name, value in told.items())


def _lines(callback: Record) -> Iterator[str]:
    status = click.style(callback["status"], fg=_COLORS.get(callback["status"]))
    yield f"{callback['sid']}  {_told_by(callback)}  by {callback['method']}: {status}"
    yield f"  {callback['source']}: {callback['source_reason']}"
    for warning in callback["warnings"]:
        yield click.style(f"  warning  {warning}", fg="yellow")


def _told_by(callback: Record) -> str:
    told = callback["parameters"]
    return _in_words({name: told[name] for name in _TELLING if name in told})


def _complain(trigger: Trigger, callbacks: Sequence[Record], stage: Stage) -> None:
    """Raise Unusable where anything came otherwise than it should have."""
    if not trigger.is_as_promised(callbacks):
        came = "; ".join(_told_by(callback) for callback in callbacks)
        why = callbacks[-1]["parameters"].get("ErrorMessage", "the network is not set as usual")
        promised = "; ".join(map(_in_words, trigger.calls_back))
        raise Unusable(f"{trigger.name} is for {promised}, but what came is {came}: {why}")
    for callback in callbacks:
        if callback["status"] != "delivered":
            raise Unusable(_why_not_delivered(callback, stage))


def _why_not_delivered(callback: Record, stage: Stage) -> str:
    attempts = stage.portal.get("callbacks", callback["sid"], "attempts")["attempts"]
    if attempts and attempts[-1]["failure"] in _NO_CONNECTION:
        return (
            f"nothing listens at {stage.to.shown}; start `ringback listen`, or say with --to who is"
            " to be called back"
        )
    last = attempts[-1]["reason"] if attempts else callback["status_reason"]
    return f"{callback['sid']} was not delivered: {last}; `ringback callbacks show` has it all"
