"""Crashes if a parameter is missing that most callbacks have.

Wrong: a SIM without a unique name has no SimUniqueName, and commands have no SimStatus. Those
callbacks are answered with a 500, each time that the sender retries.
Why: all callbacks that anybody looked at had these parameters.
Instead: read optional parameters by `.get`, or match on the kind of event.
"""

from serving import Receiver, Request, main


class ExpectsAllParameters(Receiver):
    """Requires parameters that are optional."""

    def work(self, request: Request) -> None:
        """Print a SIM's new status, and do the work."""
        print(f"{request.told['SimUniqueName']} is {request.told['SimStatus']}")
        super().work(request)


if __name__ == "__main__":
    main(ExpectsAllParameters)
