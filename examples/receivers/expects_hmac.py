"""Takes KORE's signature for an HMAC.

Wrong: KORE's is the plain SHA-256 of secret, method, URL and body; so all that it sends is refused.
Why: nearly all others sign webhooks by HMAC-SHA256, and so do most examples.
Instead: hash the four run together, without a separator; or leave it to a library.
"""

import hmac

from serving import Receiver, Request, main


class ExpectsHmac(Receiver):
    """Signs as others do."""

    def signature_of_kore(self, request: Request) -> str:
        """Sign what KORE signs, by another scheme."""
        secret = self.settings.kore_secret.encode()
        signed = f"{request.method}{self.url}".encode() + request.body
        return hmac.digest(secret, signed, "sha256").hex()


if __name__ == "__main__":
    main(ExpectsHmac)
