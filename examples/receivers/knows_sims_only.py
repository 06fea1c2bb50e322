"""Refuses what it has no use for.

Wrong: callbacks of commands and of eSIM profiles come to the same URL; they are refused, are sent
again, and end as undelivered.
Why: the application knows updates of SIMs, and what is unknown must be an error.
Instead: answer 200 to each genuine callback, and leave alone what is of no use.
"""

from serving import Receiver, Request, main


class KnowsSimsOnly(Receiver):
    """Wants nothing else."""

    def take(self, request: Request) -> int | None:
        """Do the work of an update of a SIM."""
        return super().take(request) if "SimStatus" in request.told else 400


if __name__ == "__main__":
    main(KnowsSimsOnly)
