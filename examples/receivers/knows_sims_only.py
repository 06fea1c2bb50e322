"""Refuses callbacks that it doesn't use.

Wrong: callbacks about commands and eSIM profiles come to the same URL. They are refused, sent
again, and end as undelivered.
Why: the application knows only updates of SIMs, and treats everything unknown as an error.
Instead: answer 200 to each genuine callback, and ignore those that you don't use.
"""

from serving import Receiver, Request, main


class KnowsSimsOnly(Receiver):
    """Accepts only updates of SIMs."""

    def take(self, request: Request) -> int | None:
        """Do the work of an update of a SIM; answer 400 to other callbacks."""
        return super().take(request) if "SimStatus" in request.told else 400


if __name__ == "__main__":
    main(KnowsSimsOnly)
