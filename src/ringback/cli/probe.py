"""`ringback probe`: tests whether a receiver is ready for callbacks from both sources."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, option, option_group
from ringback.cli.options import file_option, handing, json_option, read_by, read_url, run_async
from ringback.cli.output import say
from ringback.core.calendar import read_duration
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import RingbackError
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind, is_sid

if TYPE_CHECKING:
    from ringback.http_client.http_sender import HttpTransport
    from ringback.probe.probe_cases import ProbeCase
    from ringback.probe.probe_report import ProbeReport
    from ringback.probe.report.text import ReportLine
    from ringback.probe.request_runner import ProbeTimeouts

# The help is quicker without the imports of `ringback.probe`, so the functions make them.

_NOT_READY, _NO_RESULT, _NOT_ALL_TESTED = 1, 2, 3
_COLOURS: Final = {
    "passed": "green",
    "failed": "red",
    "not observed": "yellow",
    "not run": "yellow",
}


class ProbeImpossible(RingbackError):
    """The probe has no result, for instance because nothing answers at the URL."""

    exit_code = _NO_RESULT


def _seconds(text: str) -> float:
    seconds = read_duration(text) / timedelta(seconds=1)
    if not 0 < seconds <= 60:
        raise ValueError(f"{text!r} must be more than nothing, and at most 1m")
    return seconds


def _sid_of(kind: SidKind) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not is_sid(text, kind):
            raise ValueError(f"{text!r} is not a valid SID; it must be {kind} and 32 hex digits")
        return text

    return read


def _command(text: str) -> tuple[str, ...]:
    from ringback.probe.external_commands import read_command

    return read_command(text)


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


def _timeouts(*, request: float, answer: float, quiet: float) -> "ProbeTimeouts":
    from ringback.probe.request_runner import ProbeTimeouts

    return ProbeTimeouts(request=request, answer=answer, quiet=quiet)


@command(
    examples={
        "ringback probe 'http://127.0.0.1:9000/callbacks' \\\n"
        '  --auth-token "$TWILIO_AUTH_TOKEN" --kore-secret "$KORE_SECRET"': (
            "Test a receiver as twilio and as kore, with the secrets of `ringback dev`."
        ),
        "ringback probe 'http://127.0.0.1:9000/callbacks' \\\n"
        '  --kore-secret "$KORE_SECRET" --source kore --html report.html': (
            "Test a receiver only as the source kore, and write an HTML report."
        ),
        "ringback probe --list": "List all test cases and the faults that they find; send nothing.",
    }
)
@argument(
    "url",
    metavar="URL",
    callback=read_url,
    required=False,
    help="The receiver's callback URL, exactly as it is configured at the sender: Twilio or KORE.",
)
@option_group(
    "What the receiver checks signatures with",
    option(
        "--auth-token",
        envvar="RINGBACK_AUTH_TOKEN",
        show_envvar=True,
        metavar="SECRET",
        help="The Auth Token that the receiver checks Twilio's signatures with. Without it, no"
        " callbacks from twilio are tested. Other users can see an option in the list of processes,"
        " so RINGBACK_AUTH_TOKEN is safer.",
    ),
    option(
        "--kore-secret",
        envvar="RINGBACK_KORE_SECRET",
        show_envvar=True,
        metavar="SECRET",
        help="The webhook secret that the receiver checks KORE's signatures with. Without it, no"
        " callbacks from kore are tested. Other users can see an option in the list of processes,"
        " so RINGBACK_KORE_SECRET is safer.",
    ),
)
@option_group(
    "Which cases",
    option(
        "--source",
        type=click.Choice([str(source) for source in Source]),
        help="Run only the test cases for this source: twilio or kore. Default: for both.",
    ),
    option(
        "--method",
        type=click.Choice([str(method) for method in HttpMethod]),
        help="Run only the test cases with this HTTP method. Default: with both.",
    ),
    option(
        "--list",
        "lists",
        is_flag=True,
        help="List the test cases and the faults that they find, and send nothing.",
    ),
)
@option_group(
    "What the callbacks are about",
    option(
        "--account-sid",
        metavar="SID",
        callback=read_by(_sid_of(SidKind.ACCOUNT)),
        help="SID of the account that the test callbacks name: AC and 32 hex digits. Default: an"
        " account that the probe makes up.",
    ),
    option(
        "--sim-sid",
        metavar="SID",
        callback=read_by(_sid_of(SidKind.SIM)),
        help="SID of the Super SIM that the test callbacks are about: HS and 32 hex digits."
        " Default: a SIM that the probe makes up.",
    ),
)
@option_group(
    "Effects of callbacks",
    option(
        "--observe",
        metavar="URL|COMMAND",
        help="Where to read how many callbacks the receiver has processed: a URL to GET, or a"
        " command that prints the number. Without it, the probe can't check that a repeated"
        " callback is processed only once.",
    ),
    option(
        "--restart",
        metavar="COMMAND",
        callback=read_by(_command),
        help="Command that restarts the receiver, for example 'docker restart app', to test that"
        " the receiver still recognises a repeated callback. Without it, this is not tested.",
    ),
)
@handing(
    "timeouts",
    _timeouts,
    option_group(
        "Times and trust",
        _time_option(
            "--timeout",
            "request",
            "15s",
            "Maximum time to wait for each answer of the receiver, for example 5s. The default is"
            " the time that Twilio and KORE wait.",
        ),
        _time_option(
            "--slow",
            "answer",
            "5s",
            "Report a fault if an answer takes longer than this, for example 5s.",
        ),
        _time_option(
            "--settle",
            "quiet",
            "300ms",
            "After a test callback, wait until the receiver's counter (--observe) has stayed the"
            " same for this long, for example 2s.",
        ),
        file_option("--extra-ca-file", "Trust the certificates in this file too (PEM)."),
    ),
)
@option_group(
    "Output",
    option(
        "-v",
        "--verbose",
        is_flag=True,
        help="Print each test case with its full requests and answers. Default: an overview.",
    ),
    option(
        "--ci",
        is_flag=True,
        help="Print only faults and untested cases, without colours. The exit code is 3 if there"
        " is no fault, but a case was not tested.",
    ),
    file_option("--junit", "Also write the report to this file as JUnit XML."),
    file_option("--html", "Also write the report to this file as an HTML page."),
    json_option,
)
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
    account_sid: str | None,
    sim_sid: str | None,
    timeouts: "ProbeTimeouts",
    extra_ca_file: Path | None,
    as_json: bool,
    verbose: bool,
    junit: Path | None,
    html: Path | None,
    ci: bool,
    lists: bool,
) -> int:
    """Test whether a receiver is ready for both twilio and kore.

    The probe plays both sources of callbacks, Twilio's infrastructure and KORE's. It sends genuine
    callbacks, forgeries and repeats, and reports what the receiver gets wrong and how to fix it.
    The callbacks are about a SIM that the receiver does not know, unless you give --sim-sid.

    Exit code: 0 if no fault was found; 1 if the receiver has a fault; 2 if the probe has no result;
    with --ci, 3 if no fault was found, but a case was not tested.
    """
    from ringback.probe.report import text
    from ringback.probe.report.as_json import as_json as report_as_json
    from ringback.probe.report.html import as_html
    from ringback.probe.report.junit import as_junit

    cases = _chosen(
        None if source is None else Source(source), None if method is None else HttpMethod(method)
    )
    if lists:
        say({"cases": [*map(_case_record, cases)]}, _texts(text.as_table(cases)), as_json=as_json)
        return 0
    if url is None:
        raise click.UsageError("give the URL of the receiver")
    if not (auth_token or kore_secret):
        raise click.UsageError(
            "give the secrets that the receiver checks signatures with: --auth-token"
            " (RINGBACK_AUTH_TOKEN), --kore-secret (RINGBACK_KORE_SECRET) or both"
        )
    try:
        report = await _report(
            cases,
            url,
            secrets={Source.TWILIO: auth_token, Source.KORE: kore_secret},
            account_sid=account_sid,
            sim_sid=sim_sid,
            extra_ca_file=extra_ca_file,
            timeouts=timeouts,
            observe=observe,
            restart=restart,
        )
        _write(junit, as_junit(report))
        _write(html, as_html(report).encode())
    except RingbackError as failure:
        raise ProbeImpossible(str(failure)) from failure
    if as_json:
        click.echo(report_as_json(report))
    elif ci:
        _print(text.as_few_lines(report), has_colours=False)
    else:
        _print(text.as_lines(report) if verbose else text.as_grid(report), has_colours=True)
    return _exit_code(report, ci=ci)


async def _report(
    cases: "Sequence[ProbeCase]",
    url: CallbackUrl,
    *,
    secrets: dict[Source, str | None],
    account_sid: str | None,
    sim_sid: str | None,
    extra_ca_file: Path | None,
    timeouts: "ProbeTimeouts",
    observe: str | None,
    restart: tuple[str, ...] | None,
) -> "ProbeReport":
    """Test a receiver with these cases, and return the report."""
    from ringback.core.http.allowed_addresses import ANYWHERE
    from ringback.core.http.ssrf_guard import SsrfGuard
    from ringback.http_client.connection_pool import KeepAliveLimits
    from ringback.http_client.http_sender import HttpTransport
    from ringback.http_client.sockets_and_tls import SystemNetwork
    from ringback.http_client.tls import ClientTls
    from ringback.probe.external_commands import carry_out
    from ringback.probe.payloads import PROBE_ACCOUNT_SID, PROBE_SIM_SID
    from ringback.probe.probe_runner import probe as run_probe
    from ringback.probe.request_factory import ProbeRequestFactory, account_of
    from ringback.probe.request_runner import ProbeDependencies
    from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch

    clock = SystemClock()
    tls = ClientTls(ca_files=() if extra_ca_file is None else (extra_ca_file,))
    account = account_of(
        account_sid or PROBE_ACCOUNT_SID,
        auth_token=secrets[Source.TWILIO],
        kore_secret=secrets[Source.KORE],
        at=clock.now(),
    )
    # No connection is kept, since a receiver may rightly close one at any time. The guard allows
    # all addresses, since the URL comes from the user's own command line.
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(ANYWHERE),
        network=SystemNetwork(tls),
        keep_alive=KeepAliveLimits(per_peer=0),
    )
    try:
        return await run_probe(
            cases,
            ProbeRequestFactory(
                url, account, sim_sid or PROBE_SIM_SID, SystemRandomSource(), clock.now
            ),
            has=frozenset(source for source, secret in secrets.items() if secret),
            dependencies=ProbeDependencies(sender, tls, stopwatch),
            timeouts=timeouts,
            read_counter=None if observe is None else _counter(observe, sender),
            restart=None if restart is None else partial(carry_out, restart),
        )
    finally:
        await sender.close()


def _chosen(source: Source | None, method: HttpMethod | None) -> "Sequence[ProbeCase]":
    """Return the cases of this source and this method; None for all."""
    from ringback.probe.probe_cases import CASES

    return [
        case
        for case in CASES
        if (source is None or case.needs <= {source})
        and (method is None or case.method in (None, method))
    ]


def _case_record(case: "ProbeCase") -> dict[str, str]:
    return {
        "name": case.name,
        "group": case.group,
        "sent": case.sends,
        "expected": case.expects,
        "fault": case.fault.label,
        "what": case.fault.what,
        "fix": case.fault.mend,
    }


def _counter(text: str, sender: "HttpTransport") -> Callable[[], Any]:
    from ringback.core.errors import ConfigurationError
    from ringback.probe.counter_watch import counter_of

    try:
        return counter_of(text, sender)
    except ValueError as error:
        raise ConfigurationError(f"--observe: {error}; give a URL or a command") from None


def _write(path: Path | None, report: bytes) -> None:
    from ringback.runtime.os_error_messages import refusing

    if path is not None:
        with refusing(f"the report {path} can't be written"):
            path.write_bytes(report)


def _texts(lines: "Iterable[ReportLine]") -> list[str]:
    return [line.text for line in lines]


def _print(lines: "Iterable[ReportLine]", *, has_colours: bool) -> None:
    for line in lines:
        colour = _COLOURS.get(line.verdict) if has_colours and line.verdict else None
        click.echo(click.style(line.text, fg=colour) if colour else line.text)


def _exit_code(report: "ProbeReport", *, ci: bool) -> int:
    if not report.is_ready:
        return _NOT_READY
    return _NOT_ALL_TESTED if ci and not report.is_complete else 0
