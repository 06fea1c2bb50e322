"""Compares KORE's signature in any letter case.

Wrong: KORE signs in lower case, so what is in upper case was signed by somebody else's code.
Why: hex is hex, and some libraries write it in upper case.
Instead: compare the bytes as they came, in constant time.
"""

from serving import Receiver, Request, is_same, main


class TakesAnyLetterCase(Receiver):
    """Is not strict."""

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Compare the digits."""
        return is_same(signature.lower(), self.signature_of_kore(request))


if __name__ == "__main__":
    main(TakesAnyLetterCase)
