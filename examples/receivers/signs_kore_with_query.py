"""Includes the query in the URL that KORE signs.

Wrong: KORE signs the URL without its query. So each GET is refused, and each POST to a URL with a
query.
Why: Twilio signs the query, and the code used the same variable for both.
Instead: sign the configured URL up to its question mark.
"""

import hashlib

from serving import Receiver, Request, main


class SignsKoreWithQuery(Receiver):
    """Signs the same URL for both sources."""

    def signature_of_kore(self, request: Request) -> str:
        """Hash the secret, the method, the URL with its query, and the body."""
        before = f"{self.settings.kore_secret}{request.method}{self.url}{request.query}"
        return hashlib.sha256(before.encode() + request.body).hexdigest()


if __name__ == "__main__":
    main(SignsKoreWithQuery)
