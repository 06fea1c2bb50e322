"""Takes KORE's signature for an HMAC.

Wrong: KORE's signature is the plain SHA-256 of secret, method, URL and body, so all of KORE's
callbacks are refused.
Why: nearly all other senders sign webhooks by HMAC-SHA256, and so do most examples.
Instead: hash the four parts joined without a separator, or use a library.
"""

import hmac

from serving import Receiver, Request, main


class ExpectsHmac(Receiver):
    """Computes KORE's signature as an HMAC."""

    def signature_of_kore(self, request: Request) -> str:
        """Sign the method, the URL and the body by HMAC-SHA256."""
        secret = self.settings.kore_secret.encode()
        signed = f"{request.method}{self.url}".encode() + request.body
        return hmac.digest(secret, signed, "sha256").hex()


if __name__ == "__main__":
    main(ExpectsHmac)
