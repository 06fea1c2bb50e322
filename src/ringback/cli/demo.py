"""`ringback demo`: the two callbacks of KORE's notice, sent, received and compared."""

import sys

import click

from ringback.cli.options import json_flag


@click.command()
@click.option(
    "--keep", is_flag=True, help="Leave the server and the receiver running until Ctrl-C."
)
@json_flag("Print one JSON object.")
def demo(*, keep: bool, as_json: bool) -> None:
    """Show what changes between Twilio's callback and KORE's.

    Starts a server and a receiver, sends the two callbacks of KORE's notice, and prints both
    requests side by side: which headers change, how each signature is computed, and what a receiver
    has to change. Then it stops and removes everything.

    \b
      ringback demo
      ringback demo --keep
    """  # noqa: D301 (a \b keeps click from wrapping the examples)
    # Here, so that the help does not wait for a whole server to be imported.
    import asyncio

    from ringback.cli.demo_walkthrough import walk_through

    sys.exit(asyncio.run(walk_through(keep=keep, as_json=as_json)))
