"""Does all of the work before it answers.

Wrong: the sender waits five seconds for the answer; then it considers the callback lost, and sends
it again.
Why: it was fast enough while there were few SIMs.
Instead: put long work into a queue that survives a restart, and answer.
"""

import time
from os import environ

from serving import Receiver, Request, main


class IsSlow(Receiver):
    """Makes the sender wait for the work."""

    def work(self, request: Request) -> None:
        """Do work that takes WORK_SECONDS, 6 by default."""
        time.sleep(float(environ.get("WORK_SECONDS", "6")))
        super().work(request)


if __name__ == "__main__":
    main(IsSlow)
