"""Tries all its secrets on KORE's signature.

Wrong: anybody who knows Twilio's Auth Token can forge KORE's callbacks. More people know the token
than the webhook secret, and it should be useless after the transition.
Why: a list of secrets is the usual way to rotate from an old secret to a new one.
Instead: keep a separate list for each family.
"""

import hashlib

from serving import Receiver, Request, is_same, main


class TriesAllSecrets(Receiver):
    """Uses one list of secrets for both sources."""

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Return True if the signature is right with any of the secrets."""
        signed = f"{request.method}{self.url}".encode() + request.body
        return any(
            is_same(signature, hashlib.sha256(secret.encode() + signed).hexdigest())
            for secret in (self.settings.kore_secret, self.settings.auth_token)
        )


if __name__ == "__main__":
    main(TriesAllSecrets)
