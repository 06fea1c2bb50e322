"""Refuses an event that is older than one that it has seen.

Wrong: callbacks may come in another order than their events. The late one is refused, sent again,
refused again, and ends as undelivered.
Why: commands have a life cycle, and the application treats a step backwards as an error.
Instead: answer 200, and don't overwrite the newer state.
"""

from serving import Receiver, Request, Settings, main

STATUSES = "queued", "sent", "delivered"


class RefusesLateEvents(Receiver):
    """Requires callbacks about a command in the order of its life cycle."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.furthest = dict[str, int]()

    def take(self, request: Request) -> int | None:
        """Answer 409 if a later status of the command has come before."""
        command, status = request.told.get("CommandSid"), request.told.get("Status")
        if command and status in STATUSES:
            rank = STATUSES.index(status)
            if rank < self.furthest.get(command, 0):
                return 409
            self.furthest[command] = rank
        return super().take(request)


if __name__ == "__main__":
    main(RefusesLateEvents)
