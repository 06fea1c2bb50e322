"""Checks Twilio's signature, but accepts every request with KORE's headers.

Wrong: anybody can send a request with KORE's headers, and it is accepted with any signature.
Why: callbacks had to get through on the day of the move; the new check was planned for later.
Instead: check each family by its own scheme, and refuse requests of neither family.
"""

from serving import Receiver, Request, main


class ChecksTwilioOnly(Receiver):
    """Trusts every request with KORE's headers."""

    def is_genuine(self, request: Request) -> bool:
        """Check requests from Twilio; accept those from KORE unchecked."""
        if "X-Twilio-Signature" in request.headers:
            return super().is_genuine(request)
        return "Kore-Idempotency-Token" in request.headers


if __name__ == "__main__":
    main(ChecksTwilioOnly)
