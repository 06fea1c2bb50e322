"""Answers 200 to everything, and checks afterwards.

Wrong: the sender hears that all is well before anything is checked or done. What a forger sends is
answered like the rest, and work that fails is never sent again.
Why: the sender waits a few seconds only, so the request is put on a queue and answered at once.
Instead: check first, which takes microseconds. Then either do the work, or answer as soon as what
is to be done is safe in a queue that survives a restart.
"""

from threading import Thread

from serving import Receiver, Request, main


class AnswersBeforeItChecks(Receiver):
    """Leaves all to a thread."""

    def answer(self, request: Request) -> int:
        """Answer, and see later what it was."""
        Thread(target=super().answer, args=[request]).start()
        return 200


if __name__ == "__main__":
    main(AnswersBeforeItChecks)
