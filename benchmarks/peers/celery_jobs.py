# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false
"""Celery on Redis, with requests; a task is acknowledged when it is done."""

import sys

import requests
from celery import Celery

from benchmarks.peers.signed_post import BODY, REDIS, URL, signed

app = Celery("celery_jobs", broker=REDIS)
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=16,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
_sessions = list[requests.Session]()


# Named explicitly, because the process that queues runs this as a script.
@app.task(name="deliver", acks_late=True, ignore_result=True, max_retries=3)
def deliver(number: int, url: str, body: str) -> None:
    if not _sessions:  # one for each worker process, made after the fork
        _sessions.append(requests.Session())
    answer = _sessions[0].post(
        url, data=body, headers=signed(url, body, number), timeout=10, allow_redirects=False
    )
    answer.raise_for_status()


def enqueue(count: int) -> None:
    with app.producer_pool.acquire() as producer:
        for number in range(count):
            deliver.apply_async((number, URL, BODY), producer=producer)


if __name__ == "__main__":
    enqueue(int(sys.argv[1]))
