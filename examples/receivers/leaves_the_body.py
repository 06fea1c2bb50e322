"""Refuses a request without having read its body, and keeps the connection.

Wrong: the next request on the connection begins with what was left, and is refused as well, however
genuine it is.
Why: that there is no signature can be seen in the headers, before the body is read.
Instead: read the body first, up to a limit; or answer with Connection: close.
"""

from serving import Handler, Receiver, main


class LeavesTheBody(Handler):
    """Answers too soon."""

    def receive(self) -> None:
        """Refuse what has no signature at once."""
        if "X-Twilio-Signature" in self.headers or "Kore-Signature" in self.headers:
            super().receive()
        else:
            self.send(403)


if __name__ == "__main__":
    main(Receiver, LeavesTheBody)
