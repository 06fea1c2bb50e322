"""Run the user's commands that restart the receiver or print its counter."""

import asyncio
import shlex
from collections.abc import Sequence
from contextlib import suppress

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import error_text


def read_command(text: str) -> tuple[str, ...]:
    """Split a command into words by the rules of a Unix shell.

    Raises ValueError if the text is empty or has unbalanced quotes.

    >>> read_command("docker compose restart 'my app'")
    ('docker', 'compose', 'restart', 'my app')
    """
    words = tuple(shlex.split(text))
    if not words:
        raise ValueError("the command is empty; give a program and its arguments")
    return words


async def carry_out(words: Sequence[str], within: float) -> None:
    """Run a command that must succeed within this number of seconds.

    Raises ConfigurationError if the command can't be run, fails, or takes longer.
    """
    code, _ = await run(words, within=within)
    if code != 0:
        raise ConfigurationError(
            f"the command {words[0]} ended with exit code {code}; it must end with exit code 0"
        )


async def run(words: Sequence[str], *, within: float) -> tuple[int, bytes]:
    """Run a command, and return its exit code and its output, which may contain secrets.

    Raises ConfigurationError if the command can't be run, or takes longer than `within` seconds.
    """
    name = words[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise ConfigurationError(f"the command {name} can't be run: {error_text(error)}") from None
    try:
        async with asyncio.timeout(within):
            output, _ = await process.communicate()
    except TimeoutError:
        raise ConfigurationError(
            f"the command {name} took longer than {within:g} s; it must end within this time"
        ) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return await process.wait(), output
