"""Does all of the work before it answers.

Wrong: the sender waits five seconds for the answer; then it takes the callback for lost, and sends
it again.
Why: it was quick while there were few SIMs.
Instead: put what takes long in a queue that survives a restart, and answer.
"""

import time
from os import environ

from serving import Receiver, Request, main


class IsSlow(Receiver):
    """Lets the sender wait."""

    def work(self, request: Request) -> None:
        """Do what takes long."""
        time.sleep(float(environ.get("WORK_SECONDS", "6")))
        super().work(request)


if __name__ == "__main__":
    main(IsSlow)
