"""Shows the progress of a move without a plan: where all URLs are, and which are still to move."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ringback.cli.migrate.options import MigrationAccess
from ringback.cli.output import say
from ringback.cli.policy.options import policy_in_force
from ringback.cli.policy.urls_in_use import outlook_record, read_urls_in_use
from ringback.cli.policy.urls_left import lines_of_each_url, lines_of_urls


def print_progress(
    data: Path,
    access: MigrationAccess,
    *,
    settings: str | None,
    limit: int,
    shows_urls: bool,
    as_json: bool,
) -> None:
    """Print the source of all URLs in use, and what the next change of the policy does to them."""
    # RINGBACK_SERVER may be set for other commands, so a folder that is named comes first.
    origin = click.get_current_context().get_parameter_source("data")
    is_named = origin is click.core.ParameterSource.COMMANDLINE
    portal = None if is_named else access.portal(access.account_sid)
    now, used = read_urls_in_use(data, access.credentials.seal_key_file, portal)
    in_force = policy_in_force(settings, data, portal)
    record = outlook_record(in_force, used, now=now, shows_urls=shows_urls)
    say(record, _lines(record, limit=limit), as_json=as_json)


def _lines(record: Mapping[str, Any], *, limit: int) -> Iterator[str]:
    yield f"policy of {record['policy_of']}: phase {record['phase_now']}"
    if record["stays_in"]:
        yield "the server stays in this phase, whatever the date: what follows is by the dates"
    yield from lines_of_urls(record, limit=limit)
    if "each_url" in record:
        yield from lines_of_each_url(record["each_url"], record["at"])
