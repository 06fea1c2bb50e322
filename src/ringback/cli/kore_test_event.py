"""`ringback test-event`: does a URL take what KORE signs?"""

import sys

import click

from ringback.cli.callback_output import attempt_lines
from ringback.cli.options import method_option
from ringback.cli.portal_commands import with_portal
from ringback.portal_client import PortalClient


@click.command("test-event")
@click.argument("url")
@with_portal
@method_option("How to send it; a GET has no body, and so no event in it.")
def test_event(*, url: str, portal: PortalClient, method: str) -> None:
    """Send KORE's test event to URL, and show what was sent and how it was answered.

    The exit code is 1 where it was not accepted.
    """
    callback = portal.post("test_events", form={"Url": url, "Method": method})
    (attempts,) = portal.attempts_when_ended([callback["sid"]])
    for attempt in attempts:
        for line in attempt_lines(attempt):
            click.echo(line)
    if not attempts or attempts[-1]["result"] != "delivered":
        sys.exit(1)
