"""What a trigger plays on: a running Ringback, one SIM, and the URL that is called back."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar

from ringback.cli.portal import Portal
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Unusable

T = TypeVar("T")
Record = dict[str, Any]

_PATIENCE: Final = 30.0
_PAUSE: Final = 0.05
_CHANGING: Final = ("scheduled", "updating")
_LOOKED_THROUGH: Final = "200"
"""So many callbacks may be made to the same receiver meanwhile, by others too."""


@dataclass
class Stage:
    """Asks the server, and remembers what has to be put back."""

    portal: Portal
    product: str
    """Whose API is asked: `supersim`, or `wireless`."""
    to: CallbackUrl
    method: str
    say: Callable[[str], None]
    """Tells of a step that was taken."""
    sim: str | None = None
    """The SID or unique name of the SIM to do it with; a step may take another one."""
    payload: str = ""
    """What an SMS or a datagram says."""
    patience: float = _PATIENCE
    """How long the network and the receiver are waited for, in seconds."""
    subject: str = ""
    """The SID that the awaited callbacks mention."""
    undo: ExitStack = field(default_factory=ExitStack)
    """What is done at the end, whatever happens."""
    _mark: str | None = None

    def __post_init__(self) -> None:
        """Remember which callbacks there are already."""
        self._mark = next((callback["sid"] for callback in self._newest("1")), None)

    @property
    def api(self) -> Portal:
        """The product's API of the same server."""
        return replace(self.portal, root=f"{self.product}/v1")

    @property
    def called_back(self) -> Mapping[str, str]:
        """The parameters that ask for a callback."""
        return {"CallbackUrl": self.to.configured, "CallbackMethod": self.method}

    def fetch_sim(self) -> Record:
        """Return the SIM, once no change of it is being carried out any more."""
        if self.sim is None:
            raise Unusable("say which SIM, by its SID or unique name: --sim")
        fetch = partial(self.api.get, "Sims", self.sim)
        return self.wait_until(
            fetch, lambda sim: sim["status"] not in _CHANGING, "the SIM's change"
        )

    def newest(self, resource: str, key: str) -> str:
        """Return the account's newest record of a resource, whose list has it under this key."""
        records = self.api.get(resource, query={"PageSize": "1"})[key]
        if not records:
            raise Unusable(
                f"the account has none of {resource}, and a SIM needs one: POST"
                f" /{self.product}/v1/{resource}"
            )
        return records[0]["sid"]

    @property
    def where(self) -> str:
        """Who is called back, in words."""
        return f"CallbackUrl={self.to.shown} ({self.method})"

    def told(self, count: int) -> list[Record]:
        """Return the first callbacks that tell of the subject, oldest first.

        Waits for so many of them, or for one that tells of a failure.
        """
        return self.wait_until(
            self._told,
            lambda told: (
                len(told) >= count or any("ErrorCode" in one["parameters"] for one in told)
            ),
            "what is to be told",
        )[:count]

    def settled(self, callback: Record) -> Record:
        """Return a callback once it has ended, or waits for a later round."""
        fetch = partial(self.portal.get, "callbacks", callback["sid"])
        return self.wait_until(
            fetch,
            lambda record: record["status"] != "scheduled" or record["round"] > 0,
            "the receiver's answer",
        )

    def wait_until(self, ask: Callable[[], T], is_so: Callable[[T], bool], awaited: str) -> T:
        """Ask until the answer is so, and return it; raises Unusable where it takes too long."""
        deadline = time.monotonic() + self.patience
        while not is_so(answer := ask()):
            if time.monotonic() > deadline:
                raise Unusable(
                    f"{awaited} did not come within {self.patience:g} s; where the network is set"
                    " to be slow, `ringback clock advance` lets time pass meanwhile"
                )
            time.sleep(_PAUSE)
        return answer

    def _told(self) -> list[Record]:
        told = list[Record]()
        for callback in self._newest(_LOOKED_THROUGH):
            if callback["sid"] == self._mark:
                break
            if self.subject in callback["parameters"].values():
                told.insert(0, callback)
        return told

    def _newest(self, count: str) -> list[Record]:
        query = {"Destination": self.to.destination, "PageSize": count}
        return self.portal.get("callbacks", query=query)["callbacks"]


Step = Callable[[Stage], None]
"""Asks the server for one thing, and says what."""
