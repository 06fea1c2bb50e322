"""Closes the connection without an answer.

Wrong: for the sender, this looks like a crash, so it sends the callback again.
Why: the process ran out of memory and was killed, or a proxy times out before the application; or
somebody wanted to give strangers no answer, and it hits everybody.
Instead: always answer, whatever happened.
"""

from serving import Handler, Receiver, main


class HangsUp(Handler):
    """Closes connections instead of answering."""

    def send(self, status: int, text: str = "") -> None:
        """Answer requests for the number of effects, and no others."""
        if text:
            super().send(status, text)
        self.close_connection = True


if __name__ == "__main__":
    main(Receiver, HangsUp)
