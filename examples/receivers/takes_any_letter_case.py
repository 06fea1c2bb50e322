"""Accepts KORE's signature in any letter case.

Wrong: KORE signs in lower case, so a signature in upper case isn't KORE's.
Why: hex digits mean the same in both cases, and some libraries write them in upper case.
Instead: compare the bytes exactly as received, in constant time.
"""

from serving import Receiver, Request, is_same, main


class TakesAnyLetterCase(Receiver):
    """Ignores the letter case of signatures."""

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Compare the signature in lower case."""
        return is_same(signature.lower(), self.signature_of_kore(request))


if __name__ == "__main__":
    main(TakesAnyLetterCase)
