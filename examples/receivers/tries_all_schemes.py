"""Checks a signature by both schemes, in whichever header it comes.

Wrong: Twilio's signature is accepted in KORE's header. So KORE's callbacks stay only as safe as
Twilio's Auth Token, which the move should make unnecessary.
Why: the code has one function, and one variable for either header.
Instead: choose the scheme by the header.
"""

from serving import Receiver, Request, main


class TriesAllSchemes(Receiver):
    """Uses the same check for both headers."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Return True if the signature is right by either scheme."""
        return super().is_of_twilio(request, signature) or super().is_of_kore(request, signature)

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Return True if the signature is right by either scheme."""
        return self.is_of_twilio(request, signature)


if __name__ == "__main__":
    main(TriesAllSchemes)
