"""Closes the connection without an answer.

Wrong: the sender can't tell this from a crash, so it sends again.
Why: the process is killed for its memory, or a proxy gives up before the application does; or it is
meant as "no answer for strangers", and hits everybody.
Instead: answer, whatever happened.
"""

from serving import Handler, Receiver, main


class HangsUp(Handler):
    """Goes away."""

    def send(self, status: int, text: str = "") -> None:
        """Answer how many effects there were, and nothing else."""
        if text:
            super().send(status, text)
        self.close_connection = True


if __name__ == "__main__":
    main(Receiver, HangsUp)
