"""Checks that a signature looks like one.

Wrong: any signature of the right length passes, whoever sent the request and whatever was changed.
Why: the real check failed behind a proxy, whose URL differs from the configured one, and somebody
removed the comparison until the cause was found.
Instead: compute the signature from the URL that is configured at the sender, and compare.
"""

from serving import Receiver, Request, main


class ChecksFormOnly(Receiver):
    """Checks only the length of signatures."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Return True if the signature has the length of Twilio's."""
        return len(signature) == len(self.signature_of_twilio(request))

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Return True if the signature has the length of KORE's."""
        return len(signature) == len(self.signature_of_kore(request))


if __name__ == "__main__":
    main(ChecksFormOnly)
