"""Checks a signature by both schemes, whichever header it stands in.

Wrong: Twilio's signature is good in KORE's header. KORE's callbacks then are no safer than Twilio's
Auth Token, which was to be given up.
Why: one function and one variable, in which the one header stands or the other.
Instead: let the header say which scheme it is.
"""

from serving import Receiver, Request, main


class TriesAllSchemes(Receiver):
    """Has one function for both."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Try either."""
        return super().is_of_twilio(request, signature) or super().is_of_kore(request, signature)

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Try either."""
        return self.is_of_twilio(request, signature)


if __name__ == "__main__":
    main(TriesAllSchemes)
