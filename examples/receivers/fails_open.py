"""Lets a request pass where the check itself fails.

Wrong: whoever sends what the check can't read is believed.
Why: no callback must be lost by an error in the check, so it is caught, logged and passed over.
Instead: refuse what can't be checked; a sender tries again after a 5xx, and nothing is lost.
"""

from serving import Receiver, Request, main


class FailsOpen(Receiver):
    """Doubts itself."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Let through what can't be encoded, and so can't be compared."""
        try:
            signature.encode("ascii")
        except UnicodeEncodeError:
            return True
        return super().is_of_twilio(request, signature)

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Let through what is no hex, and so can't be compared."""
        try:
            bytes.fromhex(signature)
        except ValueError:
            return True
        return super().is_of_kore(request, signature)


if __name__ == "__main__":
    main(FailsOpen)
