"""Refuses a request without having read its body, and keeps the connection.

Wrong: the next request on the connection begins with what was left, and is refused as well, however
genuine it is.
Why: the check needs headers only where there is no signature, so it is made before the body is read.
Instead: read the body first, up to a limit; or answer with Connection: close.
"""

from serving import Handler, Receiver, main


class LeavesTheBody(Handler):
    """Answers too soon."""

    def do_POST(self) -> None:
        """Refuse what has no signature at once."""
        if "X-Twilio-Signature" in self.headers or "Kore-Signature" in self.headers:
            super().do_POST()
        else:
            self.send(403)


if __name__ == "__main__":
    main(Receiver, LeavesTheBody)
