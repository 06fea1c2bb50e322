"""`ringback probe`: is this receiver ready for both sources, and if not, why not?"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from ringback.cli.base_command import argument, command, option
from ringback.cli.options import file_option, handing, json_option, read_by, read_url, run_async
from ringback.core.calendar import read_duration
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import ConfigurationError, RingbackError
from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind, is_sid
from ringback.http_client.connection_pool import KeepAliveLimits
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.probe.counter_watch import counter_of
from ringback.probe.external_commands import carry_out, read_command
from ringback.probe.payloads import PROBE_ACCOUNT_SID, PROBE_SIM_SID
from ringback.probe.probe_cases import CASES, SOURCES, ProbeCase
from ringback.probe.probe_report import CaseVerdict, ProbeReport
from ringback.probe.probe_runner import probe as run_probe
from ringback.probe.report.as_json import as_json as report_as_json
from ringback.probe.report.html import as_html
from ringback.probe.report.junit import as_junit
from ringback.probe.report.text import ReportLine, as_few_lines, as_lines, as_table
from ringback.probe.request_factory import ProbeRequestFactory, account_of
from ringback.probe.request_runner import ProbeDependencies, ProbeTimeouts
from ringback.runtime.os_error_messages import refusing
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch

_NOT_READY, _NOTHING_SAID, _NOT_ALL_SHOWN = 1, 2, 3
_COLOURS: Final = {
    CaseVerdict.PASSED: "green",
    CaseVerdict.FAILED: "red",
    CaseVerdict.NOT_OBSERVED: "yellow",
    CaseVerdict.NOT_RUN: "yellow",
}


def _seconds(text: str) -> float:
    seconds = read_duration(text) / timedelta(seconds=1)
    if not 0 < seconds <= 60:
        raise ValueError(f"{text!r} must be more than nothing, and at most 1m")
    return seconds


def _sid_of(kind: SidKind) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not is_sid(text, kind):
            raise ValueError(f"{text!r} is no SID; it is {kind} and 32 hex digits")
        return text

    return read


def _time_option(flag: str, name: str, default: str, help_: str) -> Callable[..., Any]:
    return option(
        flag,
        name,
        metavar="DURATION",
        default=default,
        show_default=True,
        callback=read_by(_seconds),
        help=help_,
    )


@command()
@argument("url", metavar="URL", callback=read_url, required=False)
@option(
    "--auth-token",
    envvar="RINGBACK_AUTH_TOKEN",
    show_envvar=True,
    metavar="SECRET",
    help="The Auth Token that the receiver checks Twilio's callbacks with. Better in the variable:"
    " whoever can list processes sees what is given here.",
)
@option(
    "--kore-secret",
    envvar="RINGBACK_KORE_SECRET",
    show_envvar=True,
    metavar="SECRET",
    help="The webhook secret that it checks KORE's callbacks with, likewise.",
)
@option(
    "--source",
    type=click.Choice([str(source) for source in SOURCES]),
    help="Leave out the cases that are about the other source.",
)
@option(
    "--method",
    type=click.Choice([str(method) for method in HttpMethod]),
    help="Leave out the cases that come by the other method.",
)
@option(
    "--observe",
    metavar="URL|COMMAND",
    help="Where the receiver's own count of its effects is read: a GET, or what a command prints.",
)
@option(
    "--restart",
    metavar="COMMAND",
    callback=read_by(read_command),
    help="Restart the receiver with this, to see what it still knows then.",
)
@option(
    "--account-sid",
    metavar="SID",
    default=PROBE_ACCOUNT_SID,
    callback=read_by(_sid_of(SidKind.ACCOUNT)),
    help="The account that the callbacks tell of; one of the probe's own without it.",
)
@option(
    "--sim-sid",
    metavar="SID",
    default=PROBE_SIM_SID,
    callback=read_by(_sid_of(SidKind.SIM)),
    help="The Super SIM that they tell of, likewise.",
)
@handing(
    "timeouts",
    ProbeTimeouts,
    _time_option(
        "--timeout", "request", "15s", "Give a request up after so long, as the sources do."
    ),
    _time_option("--slow", "answer", "5s", "Take it for a fault where an answer takes longer."),
    _time_option(
        "--settle", "quiet", "300ms", "Believe a counter that stays the same for so long."
    ),
)
@file_option("--extra-ca-file", "Believe these certificates too (PEM).")
@json_option
@file_option("--junit", "Write the report to this file as JUnit XML, too.")
@file_option("--html", "Write the report to this file as an HTML page, too.")
@option(
    "--ci",
    is_flag=True,
    help="Print what didn't pass alone, without colours, and end with 3 where not all was shown.",
)
@option("--list", "lists", is_flag=True, help="Show all cases and faults, and send nothing.")
@run_async
async def probe(
    *,
    url: CallbackUrl | None,
    auth_token: str | None,
    kore_secret: str | None,
    source: str | None,
    method: str | None,
    observe: str | None,
    restart: tuple[str, ...] | None,
    account_sid: str,
    sim_sid: str,
    timeouts: ProbeTimeouts,
    extra_ca_file: Path | None,
    as_json: bool,
    junit: Path | None,
    html: Path | None,
    ci: bool,
    lists: bool,
) -> int:
    """Act as both sources towards the receiver at URL, and say what it gets wrong.

    URL is the callback URL exactly as it is configured at the sender. The receiver gets real
    callbacks, about a SIM that it doesn't know unless --sim-sid says one.

    The exit code is 0 where no fault was found, 1 where one was, 2 where nothing can be said. With
    --ci it is 3 where no fault was found, but a case was not run or not observed.
    """
    cases = _chosen(
        None if source is None else Source(source), None if method is None else HttpMethod(method)
    )
    if lists:
        _print(as_table(cases), has_colours=False)
        return 0
    if url is None:
        raise click.UsageError("give the URL of the receiver")
    if not (auth_token or kore_secret):
        raise click.UsageError(
            "give what the receiver checks signatures with: --auth-token (RINGBACK_AUTH_TOKEN),"
            " --kore-secret (RINGBACK_KORE_SECRET) or both"
        )
    try:
        clock = SystemClock()
        tls = ClientTls(ca_files=() if extra_ca_file is None else (extra_ca_file,))
        account = account_of(
            account_sid, auth_token=auth_token, kore_secret=kore_secret, at=clock.now()
        )
        given = {Source.TWILIO: auth_token, Source.KORE: kore_secret}
        # A receiver may close a kept connection at any time, so none is kept: that is no fault. No
        # guard either, since the address comes from the user's own command line.
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(ANYWHERE),
            network=SystemNetwork(tls),
            keep_alive=KeepAliveLimits(per_peer=0),
        )
        try:
            report = await run_probe(
                cases,
                ProbeRequestFactory(url, account, sim_sid, SystemRandomSource(), clock.now),
                has=frozenset(source for source, secret in given.items() if secret),
                dependencies=ProbeDependencies(sender, tls, stopwatch),
                timeouts=timeouts,
                read_counter=None if observe is None else _counter(observe, sender),
                restart=None if restart is None else partial(carry_out, restart),
            )
        finally:
            await sender.close()
        _write(junit, as_junit(report))
        _write(html, as_html(report).encode())
    except RingbackError as refusal:
        click.echo(f"ringback: {refusal}", err=True)
        return _NOTHING_SAID
    if as_json:
        click.echo(report_as_json(report))
    else:
        _print(as_few_lines(report) if ci else as_lines(report), has_colours=not ci)
    return _exit_code(report, ci=ci)


def _chosen(source: Source | None, method: HttpMethod | None) -> Sequence[ProbeCase]:
    """Return the cases that are about this source and this method, where one is asked for."""
    return [
        case
        for case in CASES
        if (source is None or case.needs <= {source})
        and (method is None or case.method in (None, method))
    ]


def _counter(text: str, sender: HttpTransport) -> Callable[[], Any]:
    try:
        return counter_of(text, sender)
    except ValueError as error:
        raise ConfigurationError(f"--observe: {error}; it is a URL or a command") from None


def _write(path: Path | None, report: bytes) -> None:
    if path is not None:
        with refusing(f"the report {path} can't be written"):
            path.write_bytes(report)


def _print(lines: Iterable[ReportLine], *, has_colours: bool) -> None:
    for line in lines:
        colour = _COLOURS.get(line.verdict) if has_colours and line.verdict else None
        click.echo(click.style(line.text, fg=colour) if colour else line.text)


def _exit_code(report: ProbeReport, *, ci: bool) -> int:
    if not report.is_ready:
        return _NOT_READY
    return _NOT_ALL_SHOWN if ci and not report.is_complete else 0
