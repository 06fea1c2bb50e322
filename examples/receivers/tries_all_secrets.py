"""Tries each secret that it has on KORE's signature.

Wrong: Twilio's Auth Token then makes callbacks of KORE's. It ends with the transition, and is known
to more people than the webhook secret.
Why: a list of secrets is how one goes from an old secret to a new one.
Instead: keep a list for each family.
"""

import hashlib

from serving import Receiver, Request, is_same, main


class TriesAllSecrets(Receiver):
    """Has one bunch of keys."""

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Try each."""
        signed = f"{request.method}{self.url}".encode() + request.body
        return any(
            is_same(signature, hashlib.sha256(secret.encode() + signed).hexdigest())
            for secret in (self.settings.kore_secret, self.settings.auth_token)
        )


if __name__ == "__main__":
    main(TriesAllSecrets)
