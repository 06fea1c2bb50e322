"""Commands of the receiver's owner: one restarts it, one prints its counter."""

import asyncio
import shlex
from collections.abc import Sequence
from contextlib import suppress

from ringback.core.errors import Unusable


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


async def output_of(words: Sequence[str], *, within: float) -> bytes:
    """Run a command and return what it prints.

    Raises Unusable where it can't be run, fails, or takes longer than this many seconds. What it
    printed is in no message, since it may be a secret.
    """
    name = words[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise Unusable(f"the command {name} can't be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(within):
            output, _ = await process.communicate()
    except TimeoutError:
        raise Unusable(f"the command {name} took longer than {within:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise Unusable(f"the command {name} failed with exit code {process.returncode}")
    return output
