"""Stores a callback as done only after its answer is sent.

Wrong: if the connection drops before the end of the answer, the work is done but not stored; the
sender sends the callback again, and the work is done again.
Why: the answer is streamed, or an "after the response" hook stores the token to save time.
Instead: store the token with the work, before the first byte of the answer.
"""

import time

from serving import Receiver, Request, main


class MarksAfterTheAnswer(Receiver):
    """Stores the token once the whole answer is sent."""

    def take(self, request: Request) -> int | None:
        """Do the work of a new callback, and send the answer before its token is stored."""
        claimed = self.seen.claim(request.key)
        if claimed != "new":
            return 200 if claimed == "done" else 503
        with self.seen.held(request.key):
            self.work(request)
            for part in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n\r\n", b"ok"):
                request.connection.sendall(part)
                time.sleep(0.15)  # the rest of the answer isn't ready yet
        return None


if __name__ == "__main__":
    main(MarksAfterTheAnswer)
