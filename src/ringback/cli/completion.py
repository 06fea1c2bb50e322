"""`ringback completion`: the Tab key completes commands, options and their values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from ringback.cli.base_command import argument, group
from ringback.cli.options import prints_record
from ringback.cli.output import Output, echo_text
from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import refusing
from ringback.settings import ENVIRONMENT

_COMPLETERS: Final[Mapping[str, type[ShellComplete]]] = {
    "bash": BashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}
SHELLS: Final = tuple(_COMPLETERS)

# zsh knows `compdef` only once its completion system is loaded; many a .zshrc doesn't load it.
_LOAD_ZSH_COMPLETION: Final = (
    "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }"
)


@dataclass(frozen=True, slots=True)
class CompletionFiles:
    """The files that `ringback completion install` writes for one shell."""

    script: Path
    startup: Path | None
    """The shell's startup file, which gets a line that loads the script; fish needs none."""

    @classmethod
    def of(cls, shell: str, environment: Mapping[str, str], home: Path) -> "CompletionFiles":
        """Return the files of a shell; XDG_DATA_HOME, XDG_CONFIG_HOME and ZDOTDIR move them.

        >>> files = CompletionFiles.of("zsh", {"ZDOTDIR": "/z"}, Path("/home/me"))
        >>> files.script.as_posix(), str(files.startup)
        ('/home/me/.local/share/ringback/completion.zsh', '/z/.zshrc')
        """
        if shell == "fish":
            config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
            return cls(config / "fish" / "completions" / "ringback.fish", None)
        data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
        startup = home if shell == "bash" else Path(environment.get("ZDOTDIR") or home)
        return cls(data / "ringback" / f"completion.{shell}", startup / f".{shell}rc")

    @property
    def line(self) -> str:
        """The line that the startup file gets; it loads the completion script."""
        return f"source {quote(str(self.script))}  # completion for ringback"


def shell_of(environment: Mapping[str, str]) -> str:
    """Return the login shell that SHELL names; raises ConfigurationError if it isn't supported.

    >>> shell_of({"SHELL": "/usr/bin/zsh"})
    'zsh'
    """
    login = environment.get("SHELL", "")
    name = Path(login).name
    if name not in SHELLS:
        found = f"SHELL is {login!r}" if login else "SHELL is not set"
        raise ConfigurationError(
            f"{found}; name a supported shell: ringback completion install {'|'.join(SHELLS)}"
        )
    return name


@group()
def completion() -> None:
    """Set up the Tab key to complete commands, options and values."""


@completion.command("install")
@argument(
    "shell",
    type=click.Choice(SHELLS),
    required=False,
    help="Shell in which the Tab key should complete `ringback`. Default: your login shell.",
)
@prints_record
def install(*, shell: str | None) -> Output:
    """Install Tab completion of `ringback` for a shell.

    Writes a completion script, and for bash and zsh adds a line to the startup file that loads the
    script. Run this command again after an upgrade of Ringback; the line is added only once.
    """
    name = shell or shell_of(ENVIRONMENT)
    files = CompletionFiles.of(name, ENVIRONMENT, Path.home())
    with refusing(f"{files.script} can't be written"):
        files.script.parent.mkdir(parents=True, exist_ok=True)
        files.script.write_text(script_of(name), "utf-8")
    written = [f"wrote {files.script}"]
    if files.startup is not None:
        with refusing(f"{files.startup} can't be written"):
            added = _add_line(files.startup, files.line)
        written.append(f"{'added a line to' if added else 'unchanged:'} {files.startup}")
    record = {"shell": name, "script": str(files.script), "startup": str(files.startup or "")}
    return record, [*written, "Open a new terminal, type `ringback ` and press Tab."]


@completion.command("show")
@argument("shell", type=click.Choice(SHELLS), help="Shell that the script is for.")
def show(*, shell: str) -> None:
    """Print the script that completes `ringback` in a shell."""
    echo_text(script_of(shell), nl=False)


def script_of(shell: str) -> str:
    """Return click's completion script for `ringback` in one of SHELLS."""
    completer = _COMPLETERS[shell](click.Group("ringback"), {}, "ringback", "_RINGBACK_COMPLETE")
    script = completer.source()
    if shell == "zsh":
        # The first line says what is completed, to a zsh that finds the script in its `fpath`.
        script = script.replace("\n", f"\n{_LOAD_ZSH_COMPLETION}\n", 1)
    return script


def _add_line(startup: Path, line: str) -> bool:
    """Add a line to a file unless it has it; return True if it was added."""
    present = startup.read_text("utf-8", "surrogateescape") if startup.exists() else ""
    if line in present.splitlines():
        return False
    with startup.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n" if present else f"{line}\n")
    return True
