"""Writes a callback down as done once its answer has left.

Wrong: where the connection drops meanwhile, the work is done and not written down; the sender sends
again, and it is done again.
Why: the answer is streamed, or a hook "after the response" does the writing, so as to be quick.
Instead: write it down with the work, before the first byte of the answer.
"""

import time

from serving import Receiver, Request, main


class MarksAfterTheAnswer(Receiver):
    """Waits to hear that all went well."""

    def take(self, request: Request) -> int | None:
        """Do the work of what is not written down, and answer before that is."""
        claimed = self.seen.claim(request.key)
        if claimed != "new":
            return 200 if claimed == "done" else 503
        with self.seen.held(request.key):
            self.work(request)
            for part in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\n", b"ok"):
                request.connection.sendall(part)
                time.sleep(0.15)  # until there is more of it
        return None


if __name__ == "__main__":
    main(MarksAfterTheAnswer)
