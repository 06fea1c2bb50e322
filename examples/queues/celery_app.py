"""Process callbacks in Celery's workers.

CALLBACK_URL=http://127.0.0.1:8000/callbacks TWILIO_AUTH_TOKEN=… KORE_SECRET=… \
    python examples/queues/celery_app.py

The same variables, and this command in the folder of this file, start a worker:

    celery --app celery_app worker
"""

from datetime import timedelta
from os import environ
from wsgiref.simple_server import make_server

from celery import Celery, Task
from redis import Redis

from ringback.receiver import Callback, ReceivedRequest, Receiver, RedisDedupe
from ringback.receiver.events import SimUpdated
from ringback.receiver.wsgi import WsgiCallbackApp

TASK = "process_callback"

app = Celery("celery_app", broker=environ.get("BROKER_URL", "redis://127.0.0.1:6379"))
app.conf.update(
    task_acks_late=True,  # a task leaves the queue when it is done, not when it begins
    task_reject_on_worker_lost=True,  # the task of a process that was killed is put back
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)
redis = Redis.from_url(environ.get("REDIS_URL", "redis://127.0.0.1:6379"))


def receiver(name: str) -> Receiver:
    """Return a receiver with its own tokens: what has arrived, or what has been processed."""
    return Receiver(
        environ["CALLBACK_URL"],
        twilio_auth_tokens=[environ["TWILIO_AUTH_TOKEN"]],
        kore_secrets=[environ["KORE_SECRET"]],
        seen=RedisDedupe(redis, prefix=name),
        lease=timedelta(seconds=int(environ.get("LEASE", "60"))),
    )


# ---- the receiver --------------------------------------------------------------------------------


def put(callback: Callback) -> None:
    """Put a callback on the queue. If this raises, the sender gets a 500 and tries again."""
    request = callback.request
    body = request.body.decode("latin-1")
    given = (request.method, request.target, request.headers, body)
    app.send_task(TASK, given, retry=False)


# ---- the worker ----------------------------------------------------------------------------------

processed = receiver("processed")


@app.task(name=TASK, bind=True, autoretry_for=(Exception,), retry_backoff=True, max_retries=None)
def process(task: Task, method: str, target: str, headers: list[list[str]], body: str) -> None:
    """Do the work of a callback unless it is done; if it fails, try again later."""
    pairs = tuple((name, value) for name, value in headers)
    request = ReceivedRequest(method, target, pairs, body.encode("latin-1"))
    answer = processed.handle(request, work)
    if answer.status != 200:
        # Another worker is on it, Redis can't be reached, or its secret is not accepted any more.
        raise task.retry(countdown=int(answer.headers.get("Retry-After", "60")))


def work(callback: Callback) -> None:
    """Do the work of a callback; called only once for each."""
    match callback.event:
        case SimUpdated(sim_sid=sim, sim_status=status):
            print(f"SIM {sim} is {status}", flush=True)
        case event:
            print(f"not for this application: {event}", flush=True)


if __name__ == "__main__":
    make_server(
        "127.0.0.1", int(environ.get("PORT", "8000")), WsgiCallbackApp(receiver("arrived"), put)
    ).serve_forever()
