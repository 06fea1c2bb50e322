"""Checks the signature only if there is one.

Wrong: a request without the signature header is accepted.
Why: `if signature and signature != expected` looks right, and makes manual tests with curl easy.
Instead: refuse requests without a signature, and sign your test requests.
"""

from serving import Receiver, Request, main


class TakesUnsigned(Receiver):
    """Trusts requests without a signature."""

    def is_genuine(self, request: Request) -> bool:
        """Check the signature if there is one; otherwise accept the request."""
        signatures = "X-Twilio-Signature", "Kore-Signature"
        if not any(name in request.headers for name in signatures):
            return True
        return super().is_genuine(request)


if __name__ == "__main__":
    main(TakesUnsigned)
