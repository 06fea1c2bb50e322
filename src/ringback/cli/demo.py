"""`ringback demo`: the two callbacks of KORE's notice, sent, received and compared."""

import sys

from ringback.cli.base_command import command, option
from ringback.cli.options import json_flag


@command(
    examples={
        "ringback demo": (
            "Send a callback from twilio and one from kore, and compare the two requests:"
        ),
        "ringback demo --keep": (
            "Compare the requests, and leave the server and the receiver running:"
        ),
    }
)
@option(
    "--keep",
    is_flag=True,
    help="Leave the server and the receiver of the demo running until Ctrl-C. Without this option,"
    " they are stopped when the comparison is printed.",
)
@json_flag("Print the requests and their comparison as JSON instead of text.")
def demo(*, keep: bool, as_json: bool) -> None:
    """Show how Twilio's callback request differs from KORE's.

    Starts a server and a receiver, sends one callback from each source (twilio and kore), and
    prints both requests side by side: which headers change, how each signature is computed, and
    what a receiver has to change. Then the server and the receiver are stopped, and their data is
    removed.
    """
    # Here, so that the help does not wait for a whole server to be imported.
    import asyncio

    from ringback.cli.demo_walkthrough import walk_through

    sys.exit(asyncio.run(walk_through(keep=keep, as_json=as_json)))
