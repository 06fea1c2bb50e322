"""Sends the two callbacks of KORE's migration notice, receives them, and compares the requests."""

import asyncio
import shlex
import shutil
import signal
import textwrap
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, NamedTuple

from ringback.api.http.server import ApiHttpServer
from ringback.api.portal.comparison import show_comparison
from ringback.api.serve_on_socket import base_url_of, bind
from ringback.application import ServerProcess
from ringback.cli.comparison_output import comparison_lines, terminal_width, wrapped
from ringback.cli.dev.server import details_of, seed_account
from ringback.cli.log_output import log_to_stderr
from ringback.cli.output import echo_text, say, style, styled
from ringback.cli.signals import event_of_signals, first_of
from ringback.core.calendar import iso
from ringback.core.callbacks.request_comparison import ComparedRequest, RequestComparison, compared
from ringback.core.errors import ConfigurationError
from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.http_exchange import SentRequestRecord
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.core.sources.source_definition import BUILT_IN
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.dev_receiver import callback_report
from ringback.dev_receiver.handler import ListenOptions, ListenRequestHandler
from ringback.dev_receiver.received_callback import CheckedRequest
from ringback.dev_receiver.seen_tokens import SeenTokens
from ringback.dev_receiver.server import ListenServer
from ringback.http_client.http_sender import HttpTransport
from ringback.portal_client import JsonObject, PortalClient
from ringback.receiver.verification import ReceiverSecrets, Rejected
from ringback.runtime.system_clock import SystemClock, stopwatch
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand

_HOST: Final = "127.0.0.1"
_LONGEST_WAIT_SECONDS: Final = 10
_INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as in all shells: 128 and the signal's number."""
_SETTINGS: Final = {
    "host": _HOST,
    "gateway": "none",
    "data_per_day": "0",
    "drain": "0s",
    # Long enough to be an update that is carried out later, and too short to be waited for.
    "update_takes": "20ms",
}


class _Command(NamedTuple):
    """One of the two API requests in KORE's notice; each makes Ringback send a callback."""

    meaning: str
    """What the request does, and which source sends its callback."""
    status: str
    fragment: str = ""


_COMMANDS: Final = (
    _Command("Deactivate the SIM. The callback comes from twilio, the default.", "inactive"),
    _Command(
        "Activate the SIM again. The callback comes from kore, since the URL ends with #cbs=kore.",
        "active",
        "#cbs=kore",
    ),
)

_TITLE: Final = (
    "The two commands of KORE's notice. Everything runs on this machine, in a temporary folder."
)
_CURL: Final = """\
   curl -u "$API_KEY:$API_KEY_SECRET" -X POST \\
     '{url}' \\
     -d 'CallbackUrl={callback_url}' \\
     -d CallbackMethod=POST \\
     -d Status={status}
"""
_COMPARED: Final = "Both requests side by side, as they were received:"
_ENDED: Final = """\
Everything has been stopped and removed. `ringback demo --keep` leaves it running;
`ringback dev` is the server for your own application.
"""
_KEPT: Final = """\
The server and the receiver run until Ctrl-C. The receiver shows each callback here.

  API       {base_url}
  Receiver  {receiver}

In another terminal:

  export RINGBACK_DATA={data}
  eval "$(ringback env)"

  ringback callbacks list
  ringback diff {sid}
  ringback trigger sms.sent --cbs kore --to '{receiver}/sms'
"""


@dataclass(frozen=True, slots=True)
class _Running:
    """The server and the receiver of the demo, on ports of their own."""

    folder: Path
    application: ServerProcess
    details: DevServerDetails
    receiver: ListenServer
    receiver_url: str
    arrivals: asyncio.Queue[CheckedRequest]
    """The requests that the receiver got, in their order."""

    @property
    def client(self) -> PortalClient:
        """A client of the server's API, with the API key that the notice's commands use."""
        key = self.details.api_key_sid, self.details.api_key_secret
        return PortalClient(self.details.base_url, *key, timeout=_LONGEST_WAIT_SECONDS)


class _Result(NamedTuple):
    """The commands of the demo, the callbacks that they caused, and the comparison of these."""

    commands: list[str]
    received: list[CheckedRequest]
    comparison: JsonObject
    remark: str
    sids: list[str]


async def walk_through(*, keep: bool, as_json: bool) -> int:
    """Run the demo and return the exit code; Ctrl-C and SIGTERM end it early."""
    log_to_stderr("text", "warning")
    # A second Ctrl-C would leave the folder behind.
    stop = event_of_signals(second=signal.SIG_IGN)
    tell: Callable[[str], None] = _say_nothing if as_json else echo_text
    async with _started() as running:
        done = list[_Result]()
        await first_of(stop.wait(), _send_both(running, tell, done))
        if not done:
            return _INTERRUPTED
        (result,) = done
        is_right = not any(isinstance(each.verdict, Rejected) for each in result.received)
        _print(result, running if keep else None, as_json=as_json)
        if keep:
            watching = running.application.workers.supervisor.watch()
            showing = _show_arrivals(running, as_json=as_json)
            await first_of(stop.wait(), running.receiver.wait_broken(), watching, showing)
    if not keep:
        tell(f"\n{_ENDED}".rstrip())
    return 0 if is_right else 1


def _say_nothing(text: str) -> None:
    """Print nothing, since the JSON object at the end has it all."""


# ---- starting and stopping -----------------------------------------------------------------------


@asynccontextmanager
async def _started() -> AsyncGenerator[_Running]:
    """Start a server and a receiver on free ports; stop both at the end, and remove the folder."""
    stack = AsyncExitStack()
    try:
        yield await _start(stack)
    finally:
        await stack.aclose()


async def _start(stack: AsyncExitStack) -> _Running:
    folder = _make_folder()
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    settings = load({**_SETTINGS, "data": str(folder)}, {}, command=ServerCommand.DEV)
    listener = bind(_HOST, 0)
    stack.callback(listener.close)
    clock = VirtualClock(SystemClock())
    application = await ServerProcess.start(settings, clock=clock)
    stack.push_async_callback(application.stop)
    seed = await seed_account(settings, application)
    details = details_of(settings, application, seed, base_url_of(listener))
    details.write(folder)
    api = ApiHttpServer(
        application.api.app, connections=application.api.connections, now=SystemClock().now
    )
    api.listen(listener)
    stack.push_async_callback(api.stop)
    stack.callback(application.workers.break_off)
    arrivals = asyncio.Queue[CheckedRequest]()
    receiver = ListenServer(_handler(details, arrivals).handle)
    port = await receiver.start(_HOST, 0)
    stack.push_async_callback(receiver.stop)
    return _Running(folder, application, details, receiver, f"http://{_HOST}:{port}", arrivals)


def _make_folder() -> Path:
    try:
        return Path(mkdtemp(prefix="ringback-demo-"))
    except OSError as failure:
        raise ConfigurationError(
            f"can't make a temporary folder ({failure.strerror}); set the environment"
            " variable TMPDIR to a folder that can be written to"
        ) from failure


def _handler(
    details: DevServerDetails, arrivals: asyncio.Queue[CheckedRequest]
) -> ListenRequestHandler:
    secrets = ReceiverSecrets((details.auth_token,), (details.kore_secret,))
    return ListenRequestHandler(
        ListenOptions(secrets=secrets),
        find_account=lambda: None,
        seen=SeenTokens(),
        clock=SystemClock(),
        transport=HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(ANYWHERE)),
        show=arrivals.put_nowait,
    )


# ---- what is shown -------------------------------------------------------------------------------


async def _send_both(running: _Running, tell: Callable[[str], None], done: list[_Result]) -> None:
    """Run the two commands, one after the other, and append the result to `done`."""
    width = terminal_width()
    tell("\n".join([*wrapped(_TITLE, width), ""]))
    url = f"{running.details.base_url}/v1/Sims/{running.details.sim_sid}"
    commands, received = list[str](), list[CheckedRequest]()
    for number, command in enumerate(_COMMANDS, 1):
        callback_url = f"{running.receiver_url}/path?foo=bar{command.fragment}"
        curl = _CURL.format(url=url, callback_url=callback_url, status=command.status)
        title = "\n".join(wrapped(command.meaning, width, mark=f"{number}. "))
        tell(style(title, bold=True))
        tell(f"\n{curl}")
        form = {"CallbackUrl": callback_url, "CallbackMethod": "POST", "Status": command.status}
        api = running.client.for_api("supersim/v1")
        await asyncio.to_thread(api.post, "Sims", running.details.sim_sid, form=form)
        arrived = await _next_arrival(running)
        tell(f"{_in_words(arrived, width)}\n")
        commands.append(textwrap.dedent(curl))
        received.append(arrived)
    sids = [await _sid_of(running, arrived) for arrived in received]
    first = await asyncio.to_thread(running.client.get, "callbacks", sids[0], "comparison")
    comparison = RequestComparison(
        *(_as_compared(each, sid) for each, sid in zip(received, sids, strict=True))
    )
    done.append(_Result(commands, received, _shown(comparison), _remark(comparison, first), sids))


async def _next_arrival(running: _Running) -> CheckedRequest:
    """Return the next request that the receiver gets; raises ConfigurationError if none comes."""
    try:
        return await asyncio.wait_for(running.arrivals.get(), _LONGEST_WAIT_SECONDS)
    except TimeoutError:
        raise ConfigurationError(
            f"no callback arrived at {running.receiver_url} within {_LONGEST_WAIT_SECONDS} s;"
            " does something on this machine block connections to 127.0.0.1?"
        ) from None


def _in_words(arrived: CheckedRequest, width: int) -> str:
    request, verdict = arrived.request, arrived.verdict
    status = dict(request.parameters).get("SimStatus")
    what = f"Received from {verdict.source}: {request.method} {request.target}, SimStatus={status}."
    is_wrong = isinstance(verdict, Rejected)
    signature = f"wrong: {verdict.explanation}" if is_wrong else "right"
    lines = wrapped(f"{what} Its signature is {signature}.", width, mark="   ")
    return style("\n".join(lines), fg="red" if is_wrong else "green")


async def _sid_of(running: _Running, arrived: CheckedRequest) -> str:
    query = {"IdempotencyToken": arrived.verdict.token}
    page = await asyncio.to_thread(partial(running.client.get, "callbacks", query=query))
    return page["callbacks"][0]["sid"]


def _as_compared(arrived: CheckedRequest, sid: str) -> ComparedRequest:
    """Return a received callback in the form in which callbacks are compared."""
    request, source = arrived.request, arrived.verdict.source or Source.TWILIO
    lines = [f"{name}: {value}" for name, value in request.headers]
    record = SentRequestRecord(
        request.method,
        f"http://{request.fields['host']}{request.target}",
        "\r\n".join([f"{request.method} {request.target} HTTP/1.1", *lines]),
        request.body.decode(),
    )
    return compared(record, BUILT_IN[source], source=source, callback_sid=sid, date_sent=arrived.at)


def _shown(comparison: RequestComparison) -> JsonObject:
    shown = show_comparison(comparison)
    for which in ("first", "second"):
        shown[which]["date_sent"] = iso(shown[which]["date_sent"])
    return shown


def _remark(comparison: RequestComparison, first: JsonObject) -> str:
    """Return a sentence that explains why the bodies differ only in SimStatus, or an empty text.

    `first` is the JSON comparison of the first callback with the same callback sent by kore.
    """
    names = [each.name for each in comparison.parameters]
    if names != ["SimStatus"] or not first["body_is_same"]:
        return ""
    return (
        "SimStatus differs because the two commands set different statuses: for one and the same"
        " event, both sources send the same body, byte for byte."
    )


def _print(result: _Result, kept: _Running | None, *, as_json: bool) -> None:
    record: dict[str, Any] = {
        "commands": result.commands,
        "received": [callback_report.as_record(each) for each in result.received],
        "comparison": result.comparison,
        "running": None
        if kept is None
        else {**asdict(kept.details), "receiver": kept.receiver_url},
    }
    say(record, _lines(result, kept), as_json=as_json)


def _lines(result: _Result, kept: _Running | None) -> Iterator[str]:
    yield style(_COMPARED, bold=True)
    yield ""
    yield from comparison_lines(
        result.comparison, width=terminal_width(), seen="received", remark=result.remark
    )
    if kept is not None:
        yield ""
        text = _KEPT.format(
            **asdict(kept.details),
            receiver=kept.receiver_url,
            data=shlex.quote(str(kept.folder)),
            sid=result.sids[0],
        )
        yield from text.splitlines()


async def _show_arrivals(running: _Running, *, as_json: bool) -> None:
    """Print each further callback as `ringback listen` does."""
    while True:
        arrived = await running.arrivals.get()
        lines = callback_report.as_lines(arrived, verbose=False)
        say(callback_report.as_record(arrived), ["", *map(styled, lines)], as_json=as_json)
