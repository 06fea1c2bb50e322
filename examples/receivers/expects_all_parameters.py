"""Breaks where a parameter that mostly comes doesn't.

Wrong: a SIM without a unique name has no SimUniqueName, commands have no SimStatus. Those callbacks
end in a 500, are sent again, and end in a 500 again.
Why: all callbacks had it that anybody looked at.
Instead: read what may be missing by `.get`, or match on the kind of event.
"""

from serving import Receiver, Request, main


class ExpectsAllParameters(Receiver):
    """Looks them up."""

    def work(self, request: Request) -> None:
        """Do what a SIM's new status is for."""
        print(f"{request.told['SimUniqueName']} is {request.told['SimStatus']}")
        super().work(request)


if __name__ == "__main__":
    main(ExpectsAllParameters)
