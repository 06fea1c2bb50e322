"""`ringback secrets`: webhook secrets of a running server, over the API that KORE has for them."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from ringback.cli.base_command import argument, group, option
from ringback.cli.callback_output import is_accepted
from ringback.cli.options import handing, prints_answer
from ringback.cli.output import Output
from ringback.cli.portal_commands import with_portal
from ringback.core.accounts.webhook_secret import WebhookSecretStatus
from ringback.core.errors import ConfigurationError
from ringback.portal_client import PortalClient

_CREATED: Final = """\
webhook secret {name!r}; its value is shown now, and never again:

  id      {id}
  secret  {secret}
  status  {status}
"""
_PENDING: Final = """
It signs nothing until it is activated: have your receivers accept it too, then
ringback secrets activate {id}"""
_ACTIVE: Final = """
It signs the callbacks from KORE's infrastructure from now on. `ringback listen` checks them with it
where it is started with --kore-secret."""
_ACTIVATED: Final = """
The secret before it signs nothing any more. `ringback listen` needs this one's value: start it with
--kore-secret."""
_NO_WAY_BACK: Final = (
    "{id} ({name}) signs all callbacks from KORE's infrastructure from then on. The old secret"
    " stops at once, and there is no way back. Activate?"
)


def _secrets_api(portal: PortalClient) -> PortalClient:
    return portal.for_api("webhook/v1")


with_secrets: Final = handing("api", _secrets_api, with_portal)
"""Gives a command the options of `with_portal`, and hands it the API of webhook secrets."""


@group()
def secrets() -> None:
    """See to webhook secrets: what signs the callbacks from KORE's infrastructure.

    The first one of an account is active at once. Each later one is pending until it is activated.
    """


@secrets.command("create")
@argument("name")
@with_secrets
@prints_answer
def create(*, name: str, api: PortalClient) -> Output:
    """Make a secret and print its value, once; one that was pending is gone."""
    made = api.send_json("POST", "secrets", body={"Name": name})
    words = _CREATED + (_PENDING if made["status"] == WebhookSecretStatus.PENDING else _ACTIVE)
    return made, words.format(**made)


@secrets.command("list")
@with_secrets
@prints_answer
def list_(*, api: PortalClient) -> Output:
    """List the secrets, without their values."""
    page = api.get("secrets")
    nothing = "no secrets, so KORE's signatures are empty; `ringback secrets create NAME` makes one"
    return page, [*map(_row, page["data"])] or nothing


@secrets.command("rename")
@argument("secret_id", metavar="ID")
@argument("name")
@with_secrets
@prints_answer
def rename(*, secret_id: str, name: str, api: PortalClient) -> Output:
    """Give a secret another name."""
    changed = api.send_json("PATCH", "secrets", secret_id, body={"Name": name})
    return changed, _row(changed)


@secrets.command("activate")
@argument("secret_id", metavar="[ID]", required=False)
@with_secrets
@option("--yes", is_flag=True, help="Don't ask whether that is meant.")
@prints_answer
def activate(*, secret_id: str | None, api: PortalClient, yes: bool) -> Output:
    """Have the pending secret sign, in place of the active one, which stops at once.

    There is no way back.
    """
    pending = _pending(api, secret_id)
    if not yes:
        _ask(pending)
    body = {"Status": WebhookSecretStatus.ACTIVE.value}
    changed = api.send_json("PATCH", "secrets", pending["id"], body=body)
    return changed, f"{_row(changed)}\n{_ACTIVATED}"


@secrets.command("rehearse")
@argument("urls", metavar="[URL]...", nargs=-1)
@with_portal
def rehearse(*, urls: tuple[str, ...], portal: PortalClient) -> None:
    """Send test events that the pending secret signs, and report who accepts them.

    They go to all that the account has configured, and to where its newest callbacks went; or to
    each URL that is given. The exit code is 1 unless all accept.
    """
    answer = portal.post("rehearsals", form={"Url": urls})
    callbacks = answer["callbacks"]
    accepted = 0
    all_attempts = portal.attempts_when_ended([each["sid"] for each in callbacks])
    for callback, attempts in zip(callbacks, all_attempts, strict=True):
        accepted += is_accepted(attempts)
        ending, more = _ending(attempts)
        click.echo(f"{ending}  {callback['method']:<4}  {callback['url']}{more}")
    click.echo(
        f"{accepted} of {len(callbacks)} accepted;"
        f" activate with `ringback secrets activate {answer['secret_id']}`"
    )
    if accepted < len(callbacks):
        sys.exit(1)


def _pending(api: PortalClient, secret_id: str | None) -> Mapping[str, Any]:
    """Return the pending secret.

    Raises ConfigurationError where there is none, or it has another id.
    """
    found = api.get("secrets", query={"status": WebhookSecretStatus.PENDING.value})["data"]
    for secret in found:
        if secret_id in (None, secret["id"]):
            return secret
    which = "no secret" if secret_id is None else f"no secret {secret_id}"
    raise ConfigurationError(f"{which} is pending; `ringback secrets list` shows which there are")


def _ask(pending: Mapping[str, Any]) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"activating {pending['id']} can't be undone, and nobody is here to be asked:"
            " give --yes if that is meant"
        )
    # On stderr, so that --json prints nothing but JSON.
    click.confirm(_NO_WAY_BACK.format(**pending), abort=True, err=True)


def _row(secret: Mapping[str, Any]) -> str:
    return f"{secret['id']}  {secret['last_modified']}  {secret['status']:7}  {secret['name']}"


def _ending(attempts: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return how the last attempt ended: the words to print before its URL, and those after."""
    match attempts:
        case [*_, {"result": "delivered"}]:
            return click.style(f"{'accepted':<12}", fg="green"), ""
        case [*_, {"result": "refused", "status_code": status}]:
            return click.style(f"{f'refused {status}':<12}", fg="red"), ""
        case [*_, {"result": "unreachable", "failure": failure}]:
            return click.style(f"{'unreachable':<12}", fg="red"), f"  {failure}"
        case _:
            return click.style(f"{'no answer':<12}", fg="yellow"), ""
