"""Lets a request pass where the check itself fails.

Wrong: whoever sends what the check can't read is believed.
Why: no callback must be lost by an error in the check, so it is caught, logged and passed over.
Instead: refuse what can't be checked; a sender tries again after a 5xx, and nothing is lost.
"""

import base64
import hashlib
import hmac

from serving import Receiver, Request, main


class FailsOpen(Receiver):
    """Doubts itself."""

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Compare the bytes that the signatures stand for."""
        try:
            given = base64.b64decode(signature, validate=True)
        except ValueError:
            return True
        return hmac.compare_digest(given, base64.b64decode(self.signature_of_twilio(request)))

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Compare what has the right length."""
        try:
            length = len(bytes.fromhex(signature))
        except ValueError:
            return True
        return length == hashlib.sha256().digest_size and super().is_of_kore(request, signature)


if __name__ == "__main__":
    main(FailsOpen)
