"""Put callbacks on a Redis stream, and process them in other processes.

CALLBACK_URL=http://127.0.0.1:8000/callbacks TWILIO_AUTH_TOKEN=… KORE_SECRET=… \
    python examples/queues/redis_stream.py receive

The same with `work` instead of `receive` starts a worker. Needs Redis 6.2 or newer.
"""

import json
import logging
import sys
from contextlib import suppress
from datetime import timedelta
from os import environ, getpid
from typing import Any
from wsgiref.simple_server import make_server

from redis import Redis, ResponseError

from ringback.receiver import Callback, ReceivedRequest, Receiver, RedisDedupe
from ringback.receiver.events import SimUpdated
from ringback.receiver.wsgi import WsgiCallbackApp

STREAM, GROUP = "callbacks", "workers"
LEASE = timedelta(seconds=int(environ.get("LEASE", "60")))
"""After this time, another worker gets what a worker that has died has not finished."""

redis = Redis.from_url(environ.get("REDIS_URL", "redis://127.0.0.1:6379"))


def receiver(name: str) -> Receiver:
    """Return a receiver with its own tokens: what has arrived, or what has been processed."""
    return Receiver(
        environ["CALLBACK_URL"],
        twilio_auth_tokens=[environ["TWILIO_AUTH_TOKEN"]],
        kore_secrets=[environ["KORE_SECRET"]],
        seen=RedisDedupe(redis, prefix=name),
        lease=LEASE,
    )


# ---- the receiver --------------------------------------------------------------------------------


def put(callback: Callback) -> None:
    """Put a callback on the stream. If this raises, the sender gets a 500 and tries again."""
    request = callback.request
    text = json.dumps(
        [request.method, request.target, request.headers, request.body.decode("latin-1")]
    )
    redis.xadd(STREAM, {"request": text})


def receive() -> None:
    """Serve HTTP: the answer is 200 only if the stream has the callback."""
    app = WsgiCallbackApp(receiver("arrived"), put)
    make_server("127.0.0.1", int(environ.get("PORT", "8000")), app).serve_forever()


# ---- the worker ----------------------------------------------------------------------------------


def work(callback: Callback) -> None:
    """Do the work of a callback; called only once for each."""
    match callback.event:
        case SimUpdated(sim_sid=sim, sim_status=status):
            print(f"SIM {sim} is {status}", flush=True)
        case event:
            print(f"not for this application: {event}", flush=True)


def process_entries() -> None:
    """Process the entries of the stream, without end."""
    callbacks, name = receiver("processed"), f"worker-{getpid()}"
    with suppress(ResponseError):  # the group exists
        redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    while True:
        # First what was begun, but not finished: its worker may have died.
        idle = LEASE // timedelta(milliseconds=1)
        begun: Any = redis.xautoclaim(STREAM, GROUP, name, idle, count=1)
        entries = begun[1]
        if not entries:
            new: Any = redis.xreadgroup(GROUP, name, {STREAM: ">"}, count=1, block=1000)
            entries = new[0][1] if new else []
        for entry, fields in entries:
            if is_processed(callbacks, fields):
                with redis.pipeline() as both:
                    both.xack(STREAM, GROUP, entry)
                    both.xdel(STREAM, entry)
                    both.execute()


def is_processed(callbacks: Receiver, fields: dict[bytes, bytes]) -> bool:
    """Process one entry; return False if it must stay on the stream, to be tried again."""
    method, target, headers, body = json.loads(fields[b"request"])
    pairs = tuple((name, value) for name, value in headers)
    request = ReceivedRequest(method, target, pairs, body.encode("latin-1"))
    try:
        # Not 200 if another worker is on it, or if its secret is not accepted any more.
        return callbacks.handle(request, work).status == 200
    except Exception:
        logging.exception("the work has failed, and is tried again after %s", LEASE)
        return False


if __name__ == "__main__":
    {"receive": receive, "work": process_entries}[sys.argv[1]]()
