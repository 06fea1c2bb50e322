"""`ringback secrets`: webhook secrets of a running server, over the API that KORE has for them."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, Final

import click

from ringback.cli.portal import Portal, with_portal
from ringback.cli.rehearsing import rehearse
from ringback.core.errors import Unusable
from ringback.core.webhook_secret import SecretStatus

_ROOT: Final = "webhook/v1"

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

_json: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print the API's answer as it is."
)


def with_secrets(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `with_portal`, and hand it the API of webhook secrets."""

    @wraps(command)
    def run(*, portal: Portal, **options: Any) -> None:
        command(api=replace(portal, root=_ROOT), **options)

    return with_portal(run)


@click.group()
def secrets() -> None:
    """See to webhook secrets: what signs the callbacks from KORE's infrastructure.

    The first one of an account is active at once. Each later one is pending until it is activated.
    """


@secrets.command("create")
@click.argument("name")
@with_secrets
@_json
def create(*, name: str, api: Portal, as_json: bool) -> None:
    """Make a secret and print its value, once; one that was pending is gone."""
    made = api.post_json("secrets", body=_body({"Name": name}))
    words = _CREATED + (_PENDING if made["status"] == SecretStatus.PENDING else _ACTIVE)
    click.echo(json.dumps(made) if as_json else words.format(**made))


@secrets.command("list")
@with_secrets
@_json
def list_(*, api: Portal, as_json: bool) -> None:
    """List the secrets, without their values."""
    page = api.get("secrets")
    if as_json:
        click.echo(json.dumps(page))
        return
    for secret in page["data"]:
        click.echo(_row(secret))
    if not page["data"]:
        click.echo(
            "no secrets, so KORE's signatures are empty; `ringback secrets create NAME` makes one"
        )


@secrets.command("rename")
@click.argument("secret_id", metavar="ID")
@click.argument("name")
@with_secrets
@_json
def rename(*, secret_id: str, name: str, api: Portal, as_json: bool) -> None:
    """Give a secret another name."""
    changed = api.patch_json("secrets", secret_id, body=_body({"Name": name}))
    click.echo(json.dumps(changed) if as_json else _row(changed))


@secrets.command("activate")
@click.argument("secret_id", metavar="[ID]", required=False)
@with_secrets
@click.option("--yes", is_flag=True, help="Don't ask whether that is meant.")
@_json
def activate(*, secret_id: str | None, api: Portal, yes: bool, as_json: bool) -> None:
    """Have the pending secret sign, in place of the active one, which stops at once.

    There is no way back.
    """
    pending = _pending(api, secret_id)
    if not yes:
        _ask(pending)
    body = _body({"Status": SecretStatus.ACTIVE.value})
    changed = api.patch_json("secrets", pending["id"], body=body)
    click.echo(json.dumps(changed) if as_json else f"{_row(changed)}\n{_ACTIVATED}")


def _pending(api: Portal, secret_id: str | None) -> Mapping[str, Any]:
    """Return the pending secret, which has to be the one that is meant."""
    found = api.get("secrets", query={"status": SecretStatus.PENDING.value})["data"]
    for secret in found:
        if secret_id in (None, secret["id"]):
            return secret
    which = "no secret" if secret_id is None else f"no secret {secret_id}"
    raise Unusable(f"{which} is pending; `ringback secrets list` shows which there are")


def _ask(pending: Mapping[str, Any]) -> None:
    if not sys.stdin.isatty():
        raise Unusable(
            f"activating {pending['id']} can't be undone, and nobody is here to be asked:"
            " give --yes if that is meant"
        )
    click.confirm(_NO_WAY_BACK.format(**pending), abort=True, err=True)


def _row(secret: Mapping[str, Any]) -> str:
    return f"{secret['id']}  {secret['last_modified']}  {secret['status']:7}  {secret['name']}"


def _body(properties: Mapping[str, str]) -> bytes:
    return json.dumps(properties).encode()


secrets.add_command(rehearse)
