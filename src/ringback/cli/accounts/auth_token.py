"""`ringback accounts token`: replaces an account's Auth Token, by way of a secondary one."""

from typing import TYPE_CHECKING, Final

from ringback.cli.base_command import argument, command, group
from ringback.cli.data_file import account_context, with_data_file
from ringback.cli.options import prints_record
from ringback.cli.output import Output

if TYPE_CHECKING:
    from ringback.data_folder import StoredData

_CREATED: Final = """\
secondary Auth Token of account {account_sid}; shown now, and never again:

  {secondary_auth_token}

It signs in from now on, like the primary one. It signs no callback until it is promoted:
ringback accounts token promote {account_sid}"""

_sid: Final = argument("sid", help="The account's SID (AC…), or its id at KORE (acct_…).")


@group()
def token() -> None:
    """Replace an account's Auth Token without an interruption.

    Create a secondary Auth Token, make clients and receivers accept it too, and then promote it to
    the primary one. Until then, both tokens can sign in.
    """


@command(
    "create",
    examples={
        'ringback accounts token create "$ACCOUNT_SID"': (
            "Make a secondary Auth Token for an account."
        )
    },
)
@_sid
@with_data_file
@prints_record
def create(*, sid: str, file: "StoredData") -> Output:
    """Make a secondary Auth Token and print it; it is shown only once.

    The token can sign in at once, but signs no callbacks until it is promoted. It replaces an
    earlier secondary token.
    """
    from ringback.operations.auth_tokens import create_secondary

    account = file.transact(lambda tx: create_secondary(tx, sid, account_context()))
    record = {"account_sid": account.sid, "secondary_auth_token": account.secondary_auth_token}
    return record, _CREATED.format(**record)


@command(
    "promote",
    examples={
        "NEWEST=$(ringback accounts list | tail -n 1 | cut -d ' ' -f 1)\n"
        'ringback accounts token create "$NEWEST"\n'
        'ringback accounts token promote "$NEWEST"': (
            "Give the newest account a new Auth Token; the old one is no longer valid."
        )
    },
)
@_sid
@with_data_file
@prints_record
def promote(*, sid: str, file: "StoredData") -> Output:
    """Make the secondary Auth Token the primary one.

    The old primary token is no longer valid, and this can't be undone. From now on, the new one
    signs the callbacks from Twilio's infrastructure.
    """
    from ringback.operations.auth_tokens import promote_secondary

    account = file.transact(lambda tx: promote_secondary(tx, sid, account_context()))
    words = (
        f"account {account.sid}: the secondary Auth Token is now the primary one and signs"
        " callbacks; the old one is deleted"
    )
    return {"account_sid": account.sid, "promoted": True}, words


@command(
    "delete",
    examples={
        'ringback accounts token create "$ACCOUNT_SID"\n'
        'ringback accounts token delete "$ACCOUNT_SID"': (
            "Make a secondary Auth Token for an account, and delete the token again."
        )
    },
)
@_sid
@with_data_file
@prints_record
def delete(*, sid: str, file: "StoredData") -> Output:
    """Delete an account's secondary Auth Token: it can no longer sign in."""
    from ringback.operations.auth_tokens import delete_secondary

    account = file.transact(lambda tx: delete_secondary(tx, sid, account_context()))
    words = f"account {account.sid}: the secondary Auth Token is deleted"
    return {"account_sid": account.sid, "deleted": True}, words


for _command in (create, promote, delete):
    token.add_command(_command)
