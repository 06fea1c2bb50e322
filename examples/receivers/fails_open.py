"""Accepts a request if the check itself raises an error.

Wrong: a request with a signature that can't be decoded is accepted.
Why: an error in the check must not lose callbacks, so it is caught, logged and ignored.
Instead: refuse what can't be checked; after a 5xx, the sender retries, and nothing is lost.
"""

import base64
import hashlib
import hmac

from serving import Receiver, Request, main


class FailsOpen(Receiver):
    """Treats errors of the check like a right signature."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Compare the decoded signatures; accept one that can't be decoded."""
        try:
            given = base64.b64decode(signature, validate=True)
        except ValueError:
            return True
        return hmac.compare_digest(given, base64.b64decode(self.signature_of_twilio(request)))

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Compare signatures of the right length; accept one that isn't hex."""
        try:
            length = len(bytes.fromhex(signature))
        except ValueError:
            return True
        return length == hashlib.sha256().digest_size and super().is_of_kore(request, signature)


if __name__ == "__main__":
    main(FailsOpen)
