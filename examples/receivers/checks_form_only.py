"""Checks that a signature looks like one.

Wrong: whatever has the right length passes, whoever sent it and whatever was changed in it.
Why: the real check failed behind the proxy, whose URL differs from the configured one, and somebody
took the comparison out until that was found.
Instead: sign the URL as it is configured at the sender, and compare.
"""

from serving import Receiver, Request, main


class ChecksFormOnly(Receiver):
    """Counts characters."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Look at it."""
        return len(signature) == len(self.signature_of_twilio(request))

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Look at it."""
        return len(signature) == len(self.signature_of_kore(request))


if __name__ == "__main__":
    main(ChecksFormOnly)
