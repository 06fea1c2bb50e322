"""Answers 200 to everything, and checks afterwards.

Wrong: the sender gets a 200 before anything is checked or done. Forgeries are answered like genuine
callbacks, and if the work fails, the sender doesn't send the callback again.
Why: the sender waits only a few seconds, so the request is put into a queue and answered at once.
Instead: check first, which takes microseconds. Then either do the work, or answer as soon as the
work is stored in a queue that survives a restart.
"""

from threading import Thread

from serving import Receiver, Request, main


class AnswersBeforeItChecks(Receiver):
    """Handles each request in a thread after its answer."""

    def answer(self, request: Request) -> int:
        """Answer 200 at once; a thread checks the request and does the work."""
        Thread(target=super().answer, args=[request]).start()
        return 200


if __name__ == "__main__":
    main(AnswersBeforeItChecks)
