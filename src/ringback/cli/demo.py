"""`ringback demo`: the two callbacks of KORE's notice, sent, received and compared."""

import sys

from ringback.cli.base_command import command, option
from ringback.cli.options import json_flag


@command(
    examples={
        "ringback demo": "See both requests side by side; nothing is left behind:",
        "ringback demo --keep": "Leave the server and the receiver running, to try more:",
    }
)
@option("--keep", is_flag=True, help="Leave the server and the receiver running until Ctrl-C.")
@json_flag("Print one JSON object.")
def demo(*, keep: bool, as_json: bool) -> None:
    """Show what changes between Twilio's callback and KORE's.

    Starts a server and a receiver, sends the two callbacks of KORE's notice, and prints both
    requests side by side: which headers change, how each signature is computed, and what a receiver
    has to change. Then it stops and removes everything.
    """
    # Here, so that the help does not wait for a whole server to be imported.
    import asyncio

    from ringback.cli.demo_walkthrough import walk_through

    sys.exit(asyncio.run(walk_through(keep=keep, as_json=as_json)))
