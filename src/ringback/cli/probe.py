"""`ringback probe`: tests whether a receiver is ready for callbacks from both sources."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ringback.cli.base_command import argument, command, option, option_group
from ringback.cli.options import (
    file_option,
    handing,
    json_option,
    read_by,
    run_async,
    sources_of_file,
)
from ringback.cli.probe_output import list_cases, print_report, write_reports
from ringback.core.calendar import read_duration
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import InvalidCallbackUrl, RingbackError
from ringback.core.policy.source_policy import SourceName, source_named
from ringback.core.sids import SidKind, is_sid

if TYPE_CHECKING:
    from ringback.core.sources.source_definition import Sources
    from ringback.http_client.http_sender import HttpTransport
    from ringback.probe.case_kinds import ProbeCase
    from ringback.probe.probe_report import ProbeReport
    from ringback.probe.request_runner import ProbeTimeouts

# The help is quicker without the imports of `ringback.probe`, so the functions make them.

_NOT_READY, _NO_RESULT, _NOT_ALL_TESTED = 1, 2, 3


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
        "ringback probe 'http://127.0.0.1:9000/callbacks' \\\n"
        '  --kore-secret "$KORE_SECRET" --settings ringback.toml --source acme': (
            "Test a receiver only as the source acme, which the settings file defines."
        ),
        "ringback probe --streams 'http://127.0.0.1:9000/callbacks' \\\n"
        '  --auth-token "$TWILIO_AUTH_TOKEN" --kore-secret "$KORE_SECRET"': (
            "Test a receiver of the event streams of twilio and of kore."
        ),
        "ringback probe --list": "List all test cases and the faults that they find; send nothing.",
    }
)
@argument(
    "url",
    metavar="URL",
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
        help="The webhook secret that the receiver checks KORE's signatures with, or those of a"
        " source of the settings. Without it, no callbacks from kore are tested. Other users can"
        " see an option in the list of processes,"
        " so RINGBACK_KORE_SECRET is safer.",
    ),
)
@option_group(
    "Which cases",
    option(
        "--source",
        "names",
        multiple=True,
        metavar="NAME",
        help="Run only the test cases for this source: twilio, kore, or one that --settings"
        " defines. Can be repeated. Default: all of these sources.",
    ),
    option("--settings", metavar="FILE", help="Settings file (TOML) that defines further sources."),
    option(
        "--streams",
        is_flag=True,
        help="The receiver is one of event streams (JSON), not of callbacks: run the test cases for"
        " these.",
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
    url: str | None,
    auth_token: str | None,
    kore_secret: str | None,
    names: tuple[str, ...],
    settings: str | None,
    streams: bool,
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
    """Test whether a receiver is ready for both twilio and kore, or for other sources.

    The probe plays both sources of callbacks, Twilio's infrastructure and KORE's, and the sources
    that a settings file defines (--settings). It sends genuine callbacks, forgeries and repeats,
    and reports what the receiver gets wrong and how to fix it. The callbacks are about a SIM that
    the receiver does not know, unless you give --sim-sid. With --streams, it sends batches of
    connection events instead, as the event streams of both sources do.

    Exit code: 0 if no fault was found; 1 if the receiver has a fault; 2 if the probe has no result;
    with --ci, 3 if no fault was found, but a case was not tested.
    """
    sources = sources_of_file(settings)
    if streams:
        cases = _of_streams(names, method)
    else:
        cases = _chosen(sources, names, None if method is None else HttpMethod(method))
    if lists:
        list_cases(cases, as_json=as_json)
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
            _read_url(url, sources),
            sources,
            auth_token=auth_token,
            kore_secret=kore_secret,
            account_sid=account_sid,
            sim_sid=sim_sid,
            extra_ca_file=extra_ca_file,
            timeouts=timeouts,
            observe=observe,
            restart=restart,
        )
        write_reports(report, junit=junit, html=html)
    except RingbackError as failure:
        raise ProbeImpossible(str(failure)) from failure
    print_report(report, as_json=as_json, verbose=verbose, ci=ci)
    if not report.is_ready:
        return _NOT_READY
    return _NOT_ALL_TESTED if ci and not report.is_complete else 0


async def _report(
    cases: "Sequence[ProbeCase]",
    url: CallbackUrl,
    sources: "Sources",
    *,
    auth_token: str | None,
    kore_secret: str | None,
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
    from ringback.probe.case_kinds import ProbeSecret
    from ringback.probe.external_commands import carry_out
    from ringback.probe.payloads import PROBE_ACCOUNT_SID, PROBE_SIM_SID
    from ringback.probe.probe_runner import probe as run_probe
    from ringback.probe.request_factory import ProbeRequestFactory, account_of
    from ringback.probe.request_runner import ProbeDependencies
    from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch

    secrets = {ProbeSecret.AUTH_TOKEN: auth_token, ProbeSecret.WEBHOOK_SECRET: kore_secret}
    clock = SystemClock()
    tls = ClientTls(ca_files=() if extra_ca_file is None else (extra_ca_file,))
    account = account_of(
        account_sid or PROBE_ACCOUNT_SID,
        auth_token=auth_token,
        kore_secret=kore_secret,
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
                url, account, sim_sid or PROBE_SIM_SID, SystemRandomSource(), clock.now, sources
            ),
            has=frozenset(secret for secret, given in secrets.items() if given),
            dependencies=ProbeDependencies(sender, tls, stopwatch),
            timeouts=timeouts,
            read_counter=None if observe is None else _counter(observe, sender),
            restart=None if restart is None else partial(carry_out, restart),
        )
    finally:
        await sender.close()


def _read_url(text: str, sources: "Sources") -> CallbackUrl:
    try:
        return CallbackUrl.parse(text, sources)
    except InvalidCallbackUrl as refusal:
        raise click.BadParameter(refusal.message, param_hint="URL") from refusal


def _chosen(
    sources: "Sources", names: Sequence[str], method: HttpMethod | None
) -> "Sequence[ProbeCase]":
    """Return the cases of these sources, or of all if none is named, and of this method.

    Raises UsageError if a source is not defined. None stands for both methods.
    """
    from ringback.probe.probe_cases import cases_of

    chosen = list[SourceName](dict.fromkeys(map(source_named, names)))
    for name in chosen:
        if name not in sources:
            raise click.UsageError(
                f"--source: there is no source {name!r}; the sources are {', '.join(sources)}, and"
                " a settings file can define others (--settings)"
            )
    cases = cases_of(chosen or [*sources], sources)
    return [case for case in cases if method is None or case.method in (None, method)]


def _of_streams(names: Sequence[str], method: str | None) -> "Sequence[ProbeCase]":
    """Return the cases for event streams of these sources, or of both if none is named.

    Raises UsageError if another source or method is asked for.
    """
    from ringback.core.policy.source_policy import Source
    from ringback.probe.stream_cases import stream_cases_of

    chosen = dict.fromkeys(map(source_named, names))
    others = [name for name in chosen if name not in [*Source]]
    if others:
        raise click.UsageError(
            f"--source: {others[0]!r} sends no event streams; only twilio and kore do"
        )
    if method not in (None, HttpMethod.POST):
        raise click.UsageError(
            f"--method: event streams are tested by POST only, not by {method}; leave it out"
        )
    return stream_cases_of(tuple(chosen) or (*Source,))


def _counter(text: str, sender: "HttpTransport") -> Callable[[], Any]:
    from ringback.core.errors import ConfigurationError
    from ringback.probe.counter_watch import counter_of

    try:
        return counter_of(text, sender)
    except ValueError as error:
        raise ConfigurationError(f"--observe: {error}; give a URL or a command") from None
