"""A process that is stopped and continues: answers that arrived meanwhile count."""

import asyncio
import signal
import sys

import pytest

from tests.receivers import Hang, RecordingReceiver

COUNT = 50
READ_LIMIT = 0.5

# Sends this many requests at once, and prints how each ended.
SENDING = """
import asyncio, sys
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.http_client.http_sender import HttpTransport
from ringback.runtime.system_clock import stopwatch
from tests.sending import post

async def main(url, count, read):
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
    limits = Timeouts(connect=10, read=read, total=10)
    sends = [sender.send(post(url), limits=limits) for _ in range(count)]
    for exchange in await asyncio.gather(*sends):
        print(exchange.outcome.label)
    await sender.close()

url, count, read, loop = sys.argv[1:]
if loop == "uvloop":
    import uvloop
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(url, int(count), float(read)))
else:
    asyncio.run(main(url, int(count), float(read)))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_answers_that_arrived_while_it_was_stopped_are_read_before_timeouts(
    loop: str,
) -> None:
    hangs = [Hang() for _ in range(COUNT)]
    async with RecordingReceiver(*hangs) as receiver:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SENDING, receiver.url(), str(COUNT), str(READ_LIMIT), loop),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await receiver.wait_for(COUNT)
            process.send_signal(signal.SIGSTOP)
            for hang in hangs:
                hang.release()
            await asyncio.sleep(3 * READ_LIMIT)
            process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(20):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert output.decode().split() == ["delivered"] * COUNT
