"""`ringback policy set`: changes phases and holds of a server, or in the settings file."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ringback.cli.base_command import argument, command, group, option, option_group
from ringback.cli.options import Option, data_folder, handing, json_option, with_options
from ringback.cli.output import ask, echo, echo_text, say
from ringback.cli.policy.options import file_named, instant, portal_in_folder
from ringback.cli.portal_commands import named_portal, server_options
from ringback.core.errors import ConfigurationError
from ringback.settings import ENVIRONMENT
from ringback.settings.setting_definitions import FILE_VARIABLE, ServerCommand

if TYPE_CHECKING:
    from ringback.core.policy.source_policy import Policy
    from ringback.portal_client import PortalClient
    from ringback.settings.file import SettingsFile

_NO_END: Final = "none"
_WAY_TO_A_SERVER: Final = "name a server with --server, --account-sid and RINGBACK_AUTH_TOKEN"


class _FileTarget:
    """A settings file whose policy is changed, and nothing else in it."""

    def __init__(self, file: "SettingsFile") -> None:
        from ringback.settings.load import policy_in

        self._file = file
        self.name = file.path
        self.policy = policy_in(file)
        self.text = file.text
        self.record: dict[str, Any] = {"file": file.path}

    def text_with(self, policy: "Policy") -> str:
        """Return the file's text with another policy."""
        from ringback.settings.policy_editor import with_policy

        return with_policy(self._file, policy)

    def check(self, text: str) -> None:
        """Raise ConfigurationError if no server could start with the file."""
        from ringback.settings.file import SettingsFile

        _check(SettingsFile.of(self.name, text))

    def check_account(self, sid: str) -> None:
        """Raise ConfigurationError unless the text is a SID; say that no server checks it."""
        from ringback.core.sids import SidKind, is_sid

        if not is_sid(sid, SidKind.ACCOUNT):
            raise ConfigurationError(
                f"--account: {sid!r} is not the SID of an account; it must be AC and 32 hex digits"
            )
        echo(f"no server answers, so nobody has checked that {sid} exists", err=True)

    def save(self, policy: "Policy", text: str) -> str:
        """Write the file, and return what is said about it."""
        from ringback.runtime.disk_sync import replace_file

        replace_file(Path(self.name), old=self.text.encode(), new=text.encode())
        return f"{self.name} is changed"


class _ServerTarget:
    """A running server whose policy is changed; raises ConfigurationError if it can't be."""

    def __init__(self, portal: "PortalClient", record: Mapping[str, Any], file: str | None) -> None:
        from ringback.core.policy.policy_json import read_policy

        if "version" not in record:
            raise ConfigurationError(
                f"the server at {portal.base_url} is older than this command, and has the policy of"
                " its settings file: start the server again with this version first"
            )
        if record["origin"] is None:
            raise ConfigurationError(
                "only the operator can change the policy of the server at"
                f" {portal.base_url}: sign in with an operator's key (SK…), which"
                " `ringback accounts keys create --operator` makes"
            )
        self._portal = portal
        self._file = file
        self.name = f"the policy of the server at {portal.base_url}"
        self.policy = read_policy(record)
        self.text = self.text_with(self.policy)
        self.record = {"server": portal.base_url, "version": record["version"]}

    def text_with(self, policy: "Policy") -> str:
        """Return a policy as it would be written in a settings file."""
        from ringback.settings.policy_editor import as_text

        return as_text(policy)

    def check(self, text: str) -> None:
        """Do nothing: the server itself checks the policy."""

    def check_account(self, sid: str) -> None:
        """Do nothing: the server itself looks for the account."""

    def save(self, policy: "Policy", text: str) -> str:
        """Send the policy to the server, and return what is said about it."""
        from ringback.core.policy.policy_json import policy_fields

        body = {"version": self.record["version"], **policy_fields(policy)}
        self.record["version"] = self._portal.send_json("PUT", "policy", body=body)["version"]
        words = f"{self.name} is changed: version {self.record['version']} is in force"
        return f"{words}; {self._file} is not changed" if self._file else words


def _find_target(
    data: Path,
    server: str | None,
    account_sid: str | None,
    auth_token: str | None,
    settings: str | None = None,
) -> _FileTarget | _ServerTarget:
    """Return the server that is named or runs in the data folder, or else the settings file.

    Raises ConfigurationError if there is neither, and NoServerAnswers if a server is named, but no
    settings file, and the server doesn't answer.
    """
    from ringback.portal_client import NoServerAnswers

    is_named = bool(server or account_sid or auth_token)
    portal = named_portal(server, account_sid, auth_token) if is_named else portal_in_folder(data)
    if portal is not None:
        try:
            other = settings or ENVIRONMENT.get(FILE_VARIABLE)
            return _ServerTarget(portal, portal.get("policy"), other)
        except NoServerAnswers:
            if is_named and settings is None:
                raise
    file = file_named(settings)
    if file is None:
        raise ConfigurationError(
            f"no `ringback dev` runs in {data}: {_WAY_TO_A_SERVER}, or, if none runs, its settings"
            f" file with --settings or {FILE_VARIABLE}"
        )
    return _FileTarget(file)


_which_server: Final[Option[Any]] = with_options(
    data_folder("Data folder of the running `ringback dev` whose policy is changed."),
    server_options,
)
_yes_option: Final[Option[Any]] = option(
    "--yes", is_flag=True, help="Change the policy without asking first."
)
_with_target: Final = handing(
    "target",
    _find_target,
    option_group(
        "What to change",
        _which_server,
        option(
            "--settings",
            metavar="FILE",
            help="The settings file (TOML) to change if no server answers. Default: the file that"
            f" {FILE_VARIABLE} names.",
        ),
        _yes_option,
    ),
    option_group("Output", json_option),
)
"""Adds the options that choose the server or the file, and passes it as `target`."""


def _held_scope(account: str | None, url_prefix: str | None) -> tuple[str | None, str | None]:
    if not account and not url_prefix:
        raise click.UsageError("name what the hold is for: --account, --url-prefix or both")
    return account or None, url_prefix or None


_with_scope: Final = handing(
    "scope",
    _held_scope,
    option_group(
        "What the hold is for",
        option(
            "--account",
            metavar="SID",
            help="SID (AC…) of the account that the hold keeps in a phase.",
        ),
        option(
            "--url-prefix",
            metavar="URL",
            help="Beginning of the callback URLs that the hold keeps in a phase, for example"
            " https://a.example/.",
        ),
    ),
)
"""Gives a command the options for a hold's account and URL prefix, and passes both as `scope`."""


def _until(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | str | None:
    return text if text == _NO_END else instant(ctx, param, text)


@group("set")
def set_() -> None:
    """Change a phase or a hold of a running server, or in the settings file.

    A phase begins on a date, and decides which source (twilio or kore) sends callbacks from then
    on. A hold keeps an account or URLs in one phase. The command shows the lines that it will
    change, and asks you first. It changes the policy of the server that runs; only an operator's
    key may do that. If no server runs, it changes the settings file, and no other lines in it.
    """


@command(
    "phase",
    examples={
        "ringback policy set phase after --since 2027-06-01 \\\n  --settings ringback.toml --yes": (
            "Make the phase `after` begin on 1 June 2027."
        )
    },
)
@argument("name", help="The name of the phase, for example after.")
@option_group(
    "The phase",
    option(
        "--since",
        required=True,
        callback=instant,
        metavar="DATE",
        help="The date (UTC) on which the phase begins, for example 2027-06-01.",
    ),
)
@_with_target
def phase(
    *, name: str, since: datetime, target: _FileTarget | _ServerTarget, yes: bool, as_json: bool
) -> None:
    """Change when a phase of the transition from twilio to kore begins."""
    _edit(target, lambda policy: policy.with_phase_since(name, since), yes=yes, as_json=as_json)


@command(
    "hold",
    examples={
        'ringback policy set hold --account "$ACCOUNT_SID" --phase before \\\n'
        "  --settings ringback.toml --yes": "Keep an account in the phase `before`.",
        "ringback policy set hold --url-prefix 'https://a.example/' \\\n"
        "  --phase before --until 2027-09-01 --settings ringback.toml --yes": (
            "Keep URLs under https://a.example/ in the phase `before` until 2027-09-01."
        ),
    },
)
@_with_scope
@option_group(
    "The hold",
    option(
        "--phase",
        "name",
        metavar="NAME",
        help="The phase to keep the account or URLs in, for example before. A new hold needs it;"
        " an existing one keeps its phase by default.",
    ),
    option(
        "--until",
        callback=_until,
        metavar="DATE",
        help=f"The date (UTC) on which the hold ends, for example 2027-09-01, or {_NO_END} for no"
        " end. Default: an existing hold keeps its end, and a new one has none.",
    ),
)
@_with_target
def hold(
    *,
    scope: tuple[str | None, str | None],
    name: str | None,
    until: datetime | str | None,
    target: _FileTarget | _ServerTarget,
    yes: bool,
    as_json: bool,
) -> None:
    """Keep an account or URLs in one phase, whatever the date (a hold).

    The phases are the parts of the transition from twilio to kore, such as before, between and
    after. With both --account and --url-prefix, the hold is only for those URLs of the account.
    """
    from ringback.core.policy.hold_changes import HoldEnd, with_changed_hold

    def edit(policy: "Policy") -> "Policy":
        existing, (account, _) = policy.hold_of(*scope), scope
        if existing is None and account is not None:
            target.check_account(account)
        if existing is None and not name:
            raise ConfigurationError("a new hold needs a phase: give --phase")
        end = HoldEnd.KEPT if until is None else HoldEnd.NEVER
        date = until if isinstance(until, datetime) else end
        return with_changed_hold(policy, *scope, phase=name or None, until=date)

    _edit(target, edit, yes=yes, as_json=as_json)


@command(
    "release",
    examples={
        'ringback policy set release --account "$ACCOUNT_SID" \\\n'
        "  --settings ringback.toml --yes": "Remove the hold that keeps an account in one phase."
    },
)
@_with_scope
@_with_target
def release_(
    *,
    scope: tuple[str | None, str | None],
    target: _FileTarget | _ServerTarget,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove a hold, which keeps an account or URLs in one phase.

    From then on, the phase of the account or the URLs depends on the date again.
    """
    _edit(target, lambda policy: policy.without_hold(*scope), yes=yes, as_json=as_json)


@command(
    "file",
    examples={
        "ringback policy set file ringback.toml --yes": (
            "Put the policy of a settings file in force, whether the file is new or old."
        )
    },
)
@argument("path", metavar="FILE", help="The settings file (TOML) with the policy.")
@handing(
    "target",
    _find_target,
    option_group("What to change", _which_server, _yes_option),
    option_group("Output", json_option),
)
def file_(*, path: str, target: _FileTarget | _ServerTarget, yes: bool, as_json: bool) -> None:
    """Put the policy of a settings file in force in a running server.

    A server makes the policy of its settings file the newest version by itself, but only once. Use
    this command to return to an earlier policy.
    """
    from ringback.cli.policy.options import policy_of_file

    if not isinstance(target, _ServerTarget):
        raise ConfigurationError(f"no server answers whose policy could change: {_WAY_TO_A_SERVER}")
    policy = policy_of_file(path).policy
    _edit(target, lambda _: policy, yes=yes, as_json=as_json)


set_.add_command(file_)
set_.add_command(phase)
set_.add_command(hold)
set_.add_command(release_)


def _edit(
    target: _FileTarget | _ServerTarget,
    edit: "Callable[[Policy], Policy]",
    *,
    yes: bool,
    as_json: bool,
) -> None:
    from ringback.core.policy.hold_changes import text_diff

    policy = edit(target.policy)
    text = target.text_with(policy)
    is_changed, diff = text != target.text, text_diff(target.text, text, target.name)
    words = f"nothing to change in {target.name}"
    if is_changed:
        target.check(text)
        echo_text(diff, nl=False, err=as_json)
        if not yes:
            ask(f"Change {target.name}?", err=as_json)
        words = target.save(policy, text)
    say({**target.record, "changed": is_changed, "diff": diff}, words, as_json=as_json)


def _check(file: "SettingsFile") -> None:
    """Raise ConfigurationError unless `serve` or `dev` can start with this file.

    One of the two is enough, since a file may have settings of only one command.
    """
    from ringback.settings.load import load

    try:
        load({}, {}, command=ServerCommand.SERVE, file=file)
    except ConfigurationError as problem:
        try:
            load({}, {}, command=ServerCommand.DEV, file=file)
        except ConfigurationError:
            raise ConfigurationError(
                f"{file.path} is not changed, because no server could start with it: {problem}"
            ) from None
