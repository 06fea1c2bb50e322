"""Gives a callback back where the sender has hung up, after its work is done.

Wrong: the sender gave up waiting, and sends again; so the work is done twice.
Why: the framework ends a request whose sender is gone by an error, and an error rolls back what is
written down. What the work did elsewhere, a message, a call of an API, is not rolled back.
Instead: write down what is done as soon as it is, whether anybody hears of it or not.
"""

import time

from serving import Receiver, Request, main


class GivesBackWhatIsDone(Receiver):
    """Undoes half of it."""

    def work(self, request: Request) -> None:
        """Do it; what this raises gives the callback back."""
        super().work(request)
        time.sleep(0.4)  # the rest of the work
        if request.is_given_up():
            raise ConnectionAbortedError("the sender has hung up")


if __name__ == "__main__":
    main(GivesBackWhatIsDone)
