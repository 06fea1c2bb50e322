"""Accepts an HMAC as KORE's signature, too.

Wrong: KORE never sends an HMAC, so a request with one isn't KORE's; and each additional scheme can
be attacked.
Why: nobody was sure which scheme was right, and accepting both worked.
Instead: accept only the scheme in the sender's documentation.
"""

import hmac

from serving import Receiver, Request, is_same, main


class TakesHmacToo(Receiver):
    """Tries two schemes for KORE."""

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Return True if the signature is an HMAC, or KORE's SHA-256."""
        secret = self.settings.kore_secret.encode()
        signed = f"{request.method}{self.url}".encode() + request.body
        by_hmac = hmac.digest(secret, signed, "sha256").hex()
        return is_same(signature, by_hmac) or super().is_of_kore(request, signature)


if __name__ == "__main__":
    main(TakesHmacToo)
