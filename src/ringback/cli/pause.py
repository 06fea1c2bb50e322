"""`ringback pause` and `ringback resume`: let a server send nothing for some time."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from ringback.cli.base_command import command, option, option_group
from ringback.cli.data_file import data_in
from ringback.cli.options import data_folder, handing, prints_record, seal_key_file_option
from ringback.cli.output import Output, confirm, echo
from ringback.cli.portal_commands import named_portal, operators_portal_of, server_options
from ringback.core.errors import ConfigurationError
from ringback.core.visible_text import visible
from ringback.dev_environment.dev_file import DevServerDetails, path_in
from ringback.settings.setting_definitions import DATABASE

if TYPE_CHECKING:
    from ringback.data_folder import StoredData
    from ringback.portal_client import PortalClient


class _Pausable(Protocol):
    """What can be paused; each method returns the fields of `GET /portal/v1/pause`."""

    def state(self) -> Mapping[str, Any]: ...

    def pause(self, reason: str | None) -> Mapping[str, Any]: ...

    def resume(self) -> Mapping[str, Any]: ...


class _RunningServer:
    """A server that is asked over HTTP."""

    def __init__(self, portal: "PortalClient") -> None:
        self._portal = portal

    def state(self) -> Mapping[str, Any]:
        return self._portal.get("pause")

    def pause(self, reason: str | None) -> Mapping[str, Any]:
        return self._portal.post("pause", form={} if reason is None else {"Reason": reason})

    def resume(self) -> Mapping[str, Any]:
        return self._portal.post("resume", form={})


class _StoredPause:
    """The data of servers that do not run, or that look at their database each second."""

    def __init__(self, data: "StoredData") -> None:
        from ringback.runtime.system_clock import SystemClock

        data.status()  # without data, nothing must be created
        self._data = data
        self._now = SystemClock().now()

    def state(self) -> Mapping[str, Any]:
        from ringback.core.calendar import iso
        from ringback.operations.sending_pause import PauseStatus

        record = self._data.transact(lambda tx: PauseStatus.of(tx, self._now)).record()
        return json.loads(json.dumps(record, default=iso))

    def pause(self, reason: str | None) -> Mapping[str, Any]:
        from ringback.data_folder import command_line
        from ringback.operations.sending_pause import BY_AN_OPERATOR, begin_pause

        why, actor = reason or BY_AN_OPERATOR, command_line()
        self._data.transact(lambda tx: begin_pause(tx, why, self._now, actor))
        return self.state()

    def resume(self) -> Mapping[str, Any]:
        from ringback.data_folder import command_line
        from ringback.operations.sending_pause import end_pause

        actor = command_line()
        self._data.transact(lambda tx: end_pause(tx, self._now, actor))
        return self.state()


def _pausable_in(
    data: Path,
    seal_key_file: Path | None,
    server: str | None,
    account_sid: str | None,
    auth_token: str | None,
) -> _Pausable:
    """Return the named server, or else the stored data; a running `ringback dev` is asked itself.

    Raises ConfigurationError if another server uses the data: it would not notice the change.
    """
    if server or account_sid or auth_token:
        return _RunningServer(named_portal(server, account_sid, auth_token))
    file = data_in(data, seal_key_file)
    if (process := file.served_by()) is None:
        return _StoredPause(file)
    if not path_in(data).exists():
        raise ConfigurationError(
            f"process {process} serves the data in {data}: name this server with --server URL, and"
            " sign in with an operator's key"
        )
    return _RunningServer(operators_portal_of(DevServerDetails.read(data)))


_WHICH: Final = (
    option_group("Which server", server_options),
    option_group(
        "Which data, if no server runs",
        data_folder(
            "Folder of the data file, ringback.db, or of the running `ringback dev`. Without this"
            f" option, a database that {DATABASE.variable} names comes first."
        ),
        seal_key_file_option(),
    ),
)
_with_pausable: Final = handing("of", _pausable_in, *_WHICH)


@command(
    examples={
        'ringback pause --reason "the receivers are being moved"': (
            "Pause the running `ringback dev`, and say why."
        )
    }
)
@option_group(
    "Pause", option("--reason", metavar="TEXT", help="Why, for those who look at the server.")
)
@_with_pausable
@prints_record
def pause(*, reason: str | None, of: _Pausable) -> Output:
    """Pause a server: it accepts requests, but sends nothing and asks no carrier.

    New callbacks are stored, and wait. Requests that are under way may still end. The pause lasts
    until `ringback resume`, also after a restart. If several processes share a database, all of
    them pause, within a second.

    A server other than `ringback dev` needs an operator's key, which
    `ringback accounts keys create --operator` makes. If no server runs, the data itself is marked.
    """
    state = of.pause(reason)
    return state, _lines_of(state)


@command(
    examples={
        "ringback resume --yes": "Let the paused `ringback dev` send what waits, without asking."
    }
)
@option_group("Resume", option("--yes", is_flag=True, help="Do not ask for confirmation."))
@_with_pausable
@prints_record
def resume(*, yes: bool, of: _Pausable) -> Output:
    """Let a paused server send everything that is due.

    The command first shows since when and why the server is paused, and how much is due, and asks
    for confirmation. After the restore of a backup, what was sent after the backup is sent again.

    A server other than `ringback dev` needs an operator's key, which
    `ringback accounts keys create --operator` makes. If no server runs, the data itself is marked.
    """
    state = of.state()
    if not state["is_paused"]:
        return state, "not paused: nothing to do"
    if not yes:
        for line in _lines_of(state):
            echo(line, err=True)
        confirm("Send all that is due now?", "this sends what is due")
    resumed = of.resume()
    return resumed, "resumed: what is due is sent now"


def _lines_of(state: Mapping[str, Any]) -> Iterator[str]:
    yield f"paused since {state['paused_since']}: {visible(state['reason'])}"
    oldest = state["oldest_due"]
    since = "" if oldest is None else f", the first since {oldest}"
    yield f"callbacks that wait  {state['callbacks_waiting']}"
    yield f"of these, due now    {state['callbacks_due']}{since}"
    yield f"other steps due now  {state['tasks_due']}, of SIMs, Commands and profiles"
