"""`ringback test-event`: does a URL take what KORE signs?"""

import sys

import click

from ringback.cli.awaiting import attempts_of_ended
from ringback.cli.callback_lines import attempt_lines
from ringback.cli.portal import Portal, with_portal
from ringback.core.callback_url import Method

# So that pytest, which goes by names, looks for no tests here.
__test__ = dict[str, str]()


@click.command("test-event")
@click.argument("url")
@with_portal
@click.option(
    "--method",
    type=click.Choice([method.value for method in Method]),
    default="POST",
    show_default=True,
    help="How to send it; a GET has no body, and so no event in it.",
)
def test_event(*, url: str, portal: Portal, method: str) -> None:
    """Send KORE's test event to URL, and show what was sent and how it was answered.

    The exit code is 1 where it was not accepted.
    """
    callback = portal.post("test_events", form={"Url": url, "Method": method})
    (attempts,) = attempts_of_ended(portal, [callback["sid"]])
    for attempt in attempts:
        for line in attempt_lines(attempt):
            click.echo(line)
    if not attempts or attempts[-1]["result"] != "delivered":
        sys.exit(1)
