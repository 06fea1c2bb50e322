"""Commands of the receiver's owner: one restarts it, one prints its counter."""

import asyncio
import shlex
from collections.abc import Sequence
from contextlib import suppress

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import error_text


def read_command(text: str) -> tuple[str, ...]:
    """Return the words of a command, by the rules of a Unix shell.

    Raises ValueError where there are none.

    >>> read_command("docker compose restart 'my app'")
    ('docker', 'compose', 'restart', 'my app')
    """
    words = tuple(shlex.split(text))
    if not words:
        raise ValueError("a command is needed")
    return words


async def carry_out(words: Sequence[str], within: float) -> None:
    """Run a command.

    Raises ConfigurationError where it can't be run, fails, or takes more seconds.
    """
    code, _ = await run(words, within=within)
    if code != 0:
        raise ConfigurationError(f"the command {words[0]} failed with exit code {code}")


async def run(words: Sequence[str], *, within: float) -> tuple[int, bytes]:
    """Run a command; return its exit code, and what it printed, which may be a secret.

    Raises ConfigurationError where it can't be run, or takes longer than this many seconds.
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
        raise ConfigurationError(f"the command {name} took longer than {within:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return await process.wait(), output
