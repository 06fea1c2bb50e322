"""Releases a token if the sender has hung up, although the work is done.

Wrong: the sender sends the callback again after its time-out, so the work is done twice.
Why: if the sender has hung up, the framework raises an error, which rolls the stored token back.
Effects elsewhere, such as a message or an API call, are not rolled back.
Instead: store the token as soon as the work is done, whether the sender still waits or not.
"""

import time

from serving import Receiver, Request, main


class GivesBackWhatIsDone(Receiver):
    """Rolls back the token, but not the work."""

    def work(self, request: Request) -> None:
        """Do the work, and raise ConnectionAbortedError if the sender has hung up."""
        super().work(request)
        time.sleep(0.4)  # the rest of the work
        if request.is_given_up():
            raise ConnectionAbortedError("the sender has hung up")


if __name__ == "__main__":
    main(GivesBackWhatIsDone)
