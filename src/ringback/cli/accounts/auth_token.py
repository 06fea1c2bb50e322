"""`ringback accounts token`: an account's second Auth Token, and how it becomes the first."""

from typing import Final

import click

from ringback.cli.base_command import argument, group
from ringback.cli.data_file import SealedDataFile, account_context, with_data_file
from ringback.cli.options import prints_record
from ringback.cli.output import Output
from ringback.operations.auth_tokens import create_secondary, delete_secondary, promote_secondary

_CREATED: Final = """\
secondary Auth Token of account {account_sid}; shown now, and never again:

  {secondary_auth_token}

It signs in from now on, beside the primary one, and signs no callbacks until it is promoted:
ringback accounts token promote {account_sid}"""


@group()
def token() -> None:
    """Replace an account's Auth Token by another, with a time in which both sign in."""


@token.command("create")
@argument("sid")
@with_data_file
@prints_record
def create(*, sid: str, file: SealedDataFile) -> Output:
    """Make a secondary Auth Token and print it, once; one that was there is gone."""
    account = file.transact(lambda tx: create_secondary(tx, sid, account_context()))
    record = {"account_sid": account.sid, "secondary_auth_token": account.secondary_auth_token}
    return record, _CREATED.format(**record)


@token.command("promote")
@argument("sid")
@with_data_file
def promote(*, sid: str, file: SealedDataFile) -> None:
    """Have the secondary Auth Token be the primary one, which is gone at once.

    From then on it signs the callbacks from Twilio's infrastructure. There is no way back.
    """
    account = file.transact(lambda tx: promote_secondary(tx, sid, account_context()))
    click.echo(
        f"account {account.sid}: the secondary Auth Token is the primary one, and signs callbacks;"
        " the one before is gone"
    )


@token.command("delete")
@argument("sid")
@with_data_file
def delete(*, sid: str, file: SealedDataFile) -> None:
    """Take the secondary Auth Token back: nobody signs in with it any more."""
    account = file.transact(lambda tx: delete_secondary(tx, sid, account_context()))
    click.echo(f"account {account.sid}: the secondary Auth Token is gone")
