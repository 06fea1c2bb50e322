"""Takes a request that has headers of both families, if one of its signatures is right.

Wrong: the rest may trust the other one's headers: here, the token of the family that was not
checked. A sender uses one family.
Why: the two checks stand one after the other, `if twilio_ok or kore_ok`.
Instead: refuse what has headers of both.
"""

from serving import Receiver, Request, main


class TakesEitherFamily(Receiver):
    """Is content with one."""

    def is_genuine(self, request: Request) -> bool:
        """Look for a signature that is right."""
        by_twilio = request.headers.get("X-Twilio-Signature", "")
        by_kore = request.headers.get("Kore-Signature", "")
        signed = self.is_of_twilio(request, by_twilio) or self.is_of_kore(request, by_kore)
        return signed and self.has_its_own_token(request)


if __name__ == "__main__":
    main(TakesEitherFamily)
