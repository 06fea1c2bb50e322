"""`ringback secrets`: manages webhook secrets of a running server, through KORE's API for them."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.options import handing, json_option, prints_answer
from ringback.cli.output import Output, confirm, say, style
from ringback.cli.portal_commands import with_portal
from ringback.core.errors import ConfigurationError

if TYPE_CHECKING:
    from ringback.portal_client import JsonObject, PortalClient
    from ringback.probe.rehearsal import RehearsedReceiver

_CREATED: Final = """\
webhook secret {name!r}; its value is shown now, and never again:

  id      {id}
  secret  {secret}
  status  {status}
"""
_REHEARSED: Final = "a test event of a rehearsal, whose result was shown"
_PENDING: Final = """
It signs nothing until it is activated. Let your receivers accept it too, then
ringback secrets rehearse
ringback secrets activate {id}"""
_ACTIVE: Final = """
It signs the callbacks from KORE's infrastructure from now on. Start `ringback listen` with
--kore-secret and this value to check their signatures."""
_ACTIVATED: Final = """
The secret before it signs no callback any more. Start `ringback listen` with --kore-secret and the
value of this one."""
_NO_WAY_BACK: Final = (
    "{id} ({name}) will sign all callbacks from KORE's infrastructure. The old secret stops at"
    " once, and this can't be undone. Activate?"
)


def _secrets_api(portal: "PortalClient") -> "PortalClient":
    return portal.for_api("webhook/v1")


with_secrets: Final = handing("api", _secrets_api, with_portal)
"""Gives a command the options of `with_portal`, and passes it the API of webhook secrets."""

_id: Final = "The webhook secret's id (whs_…), as `ringback secrets list` shows it."


@group()
def secrets() -> None:
    """Manage webhook secrets, which sign KORE's callbacks.

    The first secret of an account is active at once. Each later one is pending: it signs nothing
    until it is activated, so that you can add it to your receivers first.
    """


@command("create", examples={"ringback secrets create next": "Make a webhook secret named `next`."})
@argument("name", help="A name for the webhook secret, for example next.")
@with_secrets
@prints_answer
def create(*, name: str, api: "PortalClient") -> Output:
    """Make a webhook secret and print its value, which is shown only once.

    The first secret of an account is active at once. A later one is pending: it signs nothing until
    it is activated. It replaces an earlier pending one.
    """
    made = api.send_json("POST", "secrets", body={"Name": name})
    words = _CREATED + (_PENDING if made["status"] == "pending" else _ACTIVE)
    return made, words.format(**made)


@command(
    "list",
    examples={
        "ringback secrets list": "List the webhook secrets of the running `ringback dev`.",
        "ringback secrets list --json": "List the webhook secrets as JSON.",
    },
)
@with_secrets
@prints_answer
def list_(*, api: "PortalClient") -> Output:
    """List the account's webhook secrets, without their values."""
    page = api.get("secrets")
    nothing = (
        "no webhook secrets, so the signatures of KORE's callbacks are empty; `ringback secrets"
        " create NAME` makes one"
    )
    return page, [*map(_row, page["data"])] or nothing


@command(
    "rename",
    examples={
        "SECRET_ID=$(ringback secrets list | tail -n 1 | cut -d ' ' -f 1)\n"
        'ringback secrets rename "$SECRET_ID" current': (
            "Rename the webhook secret that is last in the list."
        )
    },
)
@argument("secret_id", metavar="ID", help=_id)
@argument("name", help="The new name of the webhook secret, for example current.")
@with_secrets
@prints_answer
def rename(*, secret_id: str, name: str, api: "PortalClient") -> Output:
    """Give a webhook secret another name."""
    changed = api.send_json("PATCH", "secrets", secret_id, body={"Name": name})
    return changed, _row(changed)


@command(
    "activate",
    examples={
        "ringback secrets create next\nringback secrets activate --yes": (
            "Make a webhook secret, and activate it without a question."
        )
    },
)
@argument(
    "secret_id",
    metavar="[ID]",
    required=False,
    help="The id of the pending secret (whs_…). If another secret is pending, nothing is activated."
    " Default: the pending secret, whatever its id.",
)
@with_secrets
@option_group(
    "How to activate",
    option("--yes", is_flag=True, help="Activate the secret without asking first."),
)
@prints_answer
def activate(*, secret_id: str | None, api: "PortalClient", yes: bool) -> Output:
    """Sign KORE's callbacks with the pending secret from now on.

    The active secret signs nothing any more, and this can't be undone. So make all receivers accept
    both secrets first, and test that with `ringback secrets rehearse`.
    """
    pending = _pending(api, secret_id)
    if not yes:
        confirm(_NO_WAY_BACK.format(**pending), f"activating {pending['id']} can't be undone")
    changed = api.send_json("PATCH", "secrets", pending["id"], body={"Status": "active"})
    return changed, f"{_row(changed)}\n{_ACTIVATED}"


@command(
    "rehearse",
    examples={
        "ringback secrets create after-next\nringback secrets rehearse": (
            "Make a pending secret, and test which of the account's receivers accept it."
        ),
        "ringback secrets rehearse 'http://127.0.0.1:9000/path?foo=bar'": (
            "Test whether one receiver accepts the pending secret."
        ),
    },
)
@argument(
    "urls",
    metavar="[URLS]",
    nargs=-1,
    help="Callback URLs of the receivers to test. Default: all URLs that the account has"
    " configured, and those of its newest callbacks.",
)
@with_portal
@option_group("Output", json_option)
def rehearse(*, urls: tuple[str, ...], portal: "PortalClient", as_json: bool) -> None:
    """Test which receivers accept the pending secret.

    Each receiver gets two test events: one signed with the pending secret, which it must accept
    with a 2xx, and one with a forged signature, which it must refuse with a 4xx. The exit code is 0
    if every receiver does both, else 1.
    """
    from ringback.probe.rehearsal import judge_rehearsal

    portal.refuse_if_paused()
    answer = portal.post("rehearsals", form={"Url": urls, "Forgeries": "yes"})
    genuine, forged = answer["callbacks"], answer["forgeries"]
    attempts = portal.attempts_when_ended([each["sid"] for each in (*genuine, *forged)])
    last = [found[-1] if found else None for found in attempts]
    receivers = [
        judge_rehearsal(callback, attempt, of_forgery)
        for callback, attempt, of_forgery in zip(
            genuine, last[: len(genuine)], last[len(genuine) :], strict=True
        )
    ]
    _put_away(portal, [*genuine, *forged], last)
    ready = sum(each.problem is None for each in receivers)
    record = {
        "secret_id": answer["secret_id"],
        "ready": ready,
        "receivers": [each._asdict() for each in receivers],
    }
    say(record, [*map(_receiver_line, receivers), _summary(record)], as_json=as_json)
    if ready < len(receivers):
        sys.exit(1)


def _put_away(
    portal: "PortalClient", events: Sequence["JsonObject"], last: Sequence["JsonObject | None"]
) -> None:
    """Discard the test events that were refused, so that none is left among the undelivered."""
    from ringback.portal_client import PortalClientError

    for event, attempt in zip(events, last, strict=True):
        if attempt is None or attempt["result"] != "delivered":
            # Another person may have discarded it meanwhile.
            with suppress(PortalClientError):
                portal.post("callbacks", event["sid"], "discard", form={"Reason": _REHEARSED})


for _command in (create, list_, rename, rehearse, activate):
    secrets.add_command(_command)


def _receiver_line(receiver: "RehearsedReceiver") -> str:
    color = "yellow" if receiver.verdict == "no answer" else "red"
    verdict = style(f"{receiver.verdict:<12}", fg="green" if receiver.problem is None else color)
    more = f"  {receiver.more}" if receiver.more else ""
    return f"{verdict}  {receiver.method:<4}  {receiver.url}{more}"


def _summary(record: Mapping[str, Any]) -> str:
    receivers: Sequence[Mapping[str, Any]] = record["receivers"]
    ready = f"{record['ready']} of {len(receivers)} accept the pending secret and refuse a forgery"
    if record["ready"] < len(receivers):
        return f"{ready}; `ringback probe URL` shows what is wrong with the others"
    return f"{ready}; activate it with `ringback secrets activate {record['secret_id']}`"


def _pending(api: "PortalClient", secret_id: str | None) -> Mapping[str, Any]:
    """Return the pending secret.

    Raises ConfigurationError if there is none, or if it has another id.
    """
    found = api.get("secrets", query={"status": "pending"})["data"]
    for secret in found:
        if secret_id in (None, secret["id"]):
            return secret
    which = "no secret" if secret_id is None else f"no secret {secret_id}"
    raise ConfigurationError(f"{which} is pending; `ringback secrets list` lists the secrets")


def _row(secret: Mapping[str, Any]) -> str:
    return f"{secret['id']}  {secret['last_modified']}  {secret['status']:7}  {secret['name']}"
