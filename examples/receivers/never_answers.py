"""Never answers.

Wrong: the sender hears nothing, and gives up after some seconds.
Why: two threads wait for each other's lock; or all workers are busy, and none is left.
Instead: give whatever one waits for a time-out that is shorter than the sender's.
"""

from threading import Lock

from serving import Receiver, Request, Settings, main


class NeverAnswers(Receiver):
    """Waits for itself."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.lock = Lock()
        self.lock.acquire()

    def answer(self, request: Request) -> int | None:
        """Wait for a turn that never comes."""
        with self.lock:
            return super().answer(request)


if __name__ == "__main__":
    main(NeverAnswers)
