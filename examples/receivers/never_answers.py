"""Never answers.

Wrong: the sender gets no answer, and times out after some seconds.
Why: two threads wait for each other's lock, or all workers are busy.
Instead: give every wait a time-out that is shorter than the sender's.
"""

from threading import Lock

from serving import Receiver, Request, Settings, main


class NeverAnswers(Receiver):
    """Waits for its own lock for ever."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.lock = Lock()
        self.lock.acquire()

    def answer(self, request: Request) -> int | None:
        """Wait for a lock that is never released."""
        with self.lock:
            return super().answer(request)


if __name__ == "__main__":
    main(NeverAnswers)
