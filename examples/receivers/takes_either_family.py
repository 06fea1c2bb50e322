"""Accepts a request with headers of both families if one of the signatures is right.

Wrong: the rest of the code may use the unchecked headers: here, the token of the other family.
A genuine sender uses only one family.
Why: the code calls the two checks one after the other: `if twilio_ok or kore_ok`.
Instead: refuse requests with headers of both families.
"""

from serving import Receiver, Request, main


class TakesEitherFamily(Receiver):
    """Needs only one right signature."""

    def is_genuine(self, request: Request) -> bool:
        """Return True if either signature is right, and the token is valid."""
        by_twilio = request.headers.get("X-Twilio-Signature", "")
        by_kore = request.headers.get("Kore-Signature", "")
        signed = self.is_of_twilio(request, by_twilio) or self.is_of_kore(request, by_kore)
        return signed and self.has_its_own_token(request)


if __name__ == "__main__":
    main(TakesEitherFamily)
