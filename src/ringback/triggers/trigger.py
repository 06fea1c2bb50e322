"""Defines triggers, and runs them against a running server.

A trigger is a named list of steps that make Ringback send callbacks. Each step describes what it
did in a sentence, and passes the sentence to the `report` function of the run.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import Final, TypeVar

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError
from ringback.core.streams.event_types import StreamEventType
from ringback.portal_client import JsonObject, PortalClient, poll

T = TypeVar("T")

_PATIENCE: Final = 30.0
_CHANGING: Final = ("scheduled", "updating")
_SUBJECTS: Final = ("EsimProfileSid", "CommandSid", "SimSid")
_LOOKED_THROUGH: Final = "200"
"""How many of the newest callbacks to the receiver are searched for those of the trigger."""


@dataclass
class TriggerRun:
    """One run of a trigger: makes its requests, and at the end restores the changed settings."""

    portal: PortalClient
    product: str
    """The product whose API is used: `supersim` or `wireless`."""
    to: CallbackUrl
    method: str
    report: Callable[[str], None]
    """The function that each step calls with a sentence about what the step did."""
    sim: str | None = None
    """The SID or unique name of the SIM to use; a step may replace it."""
    payload: str = ""
    """The text of an SMS, datagram or Command."""
    patience: float = _PATIENCE
    """The longest wait for the network or the receiver, in seconds."""
    subject: str = ""
    """The SID of the SIM or command that the trigger's callbacks are about."""
    events: list[JsonObject] = field(default_factory=list[JsonObject])
    """The events for event streams that the steps have published, with their SIDs and types."""
    undo: ExitStack = field(default_factory=ExitStack)
    """The functions that restore settings at the end, even after an error."""
    _mark: str | None = None

    def __post_init__(self) -> None:
        """Remember the newest callback, since this run can only cause later ones."""
        self._remember_newest()

    @property
    def api(self) -> PortalClient:
        """The client for the product's API, on the same server as `portal`."""
        return self.portal.for_api(f"{self.product}/v1")

    @property
    def callback_parameters(self) -> Mapping[str, str]:
        """The request parameters `CallbackUrl` and `CallbackMethod`, which ask for a callback."""
        return {"CallbackUrl": self.to.configured, "CallbackMethod": self.method}

    def fetch_sim(self) -> JsonObject:
        """Return the SIM; if it is being changed, wait for the end of the change.

        Raises ConfigurationError if no SIM is named, or if the change takes too long.
        """
        if self.sim is None:
            raise ConfigurationError(
                "no SIM is given; name one by its SID or unique name with --sim"
            )
        fetch = partial(self.api.get, "Sims", self.sim)
        return self.wait_until(
            fetch, lambda sim: sim["status"] not in _CHANGING, "the end of the SIM's change"
        )

    def newest(self, resource: str, key: str) -> str:
        """Return the SID of a resource's newest record; `key` names the list in the JSON answer.

        Raises ConfigurationError if there is no record.
        """
        records = self.api.get(resource, query={"PageSize": "1"})[key]
        if not records:
            raise ConfigurationError(
                f"the account has no record in {resource}, but a SIM needs one; create"
                f" it with POST /{self.product}/v1/{resource}"
            )
        return records[0]["sid"]

    @property
    def callback_in_words(self) -> str:
        """The callback URL and method, in words."""
        return f"CallbackUrl={self.to.shown} ({self.method})"

    def first_callbacks(self, count: int) -> list[JsonObject]:
        """Wait for `count` callbacks about `subject`, and return the first `count`, oldest first.

        A callback that reports a failure ends the wait, since no others follow it. Raises
        ConfigurationError if the callbacks take too long.
        """
        return self.wait_until(
            self._callbacks_of_subject,
            lambda found: (
                len(found) >= count or any("ErrorCode" in one["parameters"] for one in found)
            ),
            "the callback",
        )[:count]

    def settled(self, callback: JsonObject) -> JsonObject:
        """Return a callback once it has ended, or once its first round of attempts has failed."""
        fetch = partial(self.portal.get, "callbacks", callback["sid"])
        return self.wait_until(
            fetch,
            lambda record: record["status"] != "scheduled" or record["round"] > 0,
            "the receiver's answer",
        )

    def wait_until(self, ask: Callable[[], T], is_so: Callable[[T], bool], awaited: str) -> T:
        """Call `ask` until `is_so` returns True for its result, and return the result.

        Raises ConfigurationError if that takes too long; its message says that `awaited`, such as
        "the callback", did not come.
        """
        answer = poll(ask, is_so, until=time.monotonic() + self.patience)
        if not is_so(answer):
            raise ConfigurationError(
                f"{awaited} did not arrive within {self.patience:g} s; if the simulated"
                " network is set to be slow, advance the clock with `ringback clock"
                " advance`"
            )
        return answer

    def choose_subject(self, sid: str) -> None:
        """Set the SIM whose callbacks the run waits for; callbacks from before don't count."""
        self.subject = sid
        self._remember_newest()

    def create(self, resource: str, said: str, **form: str | None) -> None:
        """Create a record that causes callbacks, and report `said`, with the SID in place of `{}`.

        The run then waits for callbacks about this record.
        """
        self.subject = self.api.post(resource, form={**form, **self.callback_parameters})["sid"]
        self.report(f"{said.format(self.subject)}, with {self.callback_in_words}")

    def act_on_connection(self, action: str) -> JsonObject:
        """Let the SIM's device `attach`, `detach`, or `report` its usage; return the answer.

        The events that are published about it are kept in `events`.
        """
        answer = self.portal.post("devices", self.sim or "", action)
        self.events += answer["events"]
        return answer

    def set_until_the_end(self, whose: str, *path: str, before: Mapping[str, str]) -> None:
        """Set this run's callback URL and method on a record, and restore the old ones at the end.

        `before` has the names of the two parameters, and their values before the run.
        """
        url_field = next(iter(before))

        def put_back() -> None:
            self.api.post(*path, form=before)
            self.report(f"{url_field} of the {whose} is restored")

        self.undo.callback(put_back)
        here = dict(zip(before, (self.to.configured, self.method), strict=True))
        self.api.post(*path, form=here)
        self.report(f"{url_field} of {whose} {path[1]} is {self.to.shown} ({self.method})")

    def _callbacks_of_subject(self) -> list[JsonObject]:
        newest = self._newest(_LOOKED_THROUGH)
        since = list(takewhile(lambda callback: callback["sid"] != self._mark, newest))
        return [one for one in reversed(since) if subject_of(one) == self.subject]

    def _remember_newest(self) -> None:
        self._mark = next((callback["sid"] for callback in self._newest("1")), None)

    def _newest(self, count: str) -> list[JsonObject]:
        query = {"Destination": self.to.destination, "PageSize": count}
        return self.portal.get("callbacks", query=query)["callbacks"]


def subject_of(callback: JsonObject) -> str | None:
    """Return the SID of the SIM, command or eSIM Profile that a callback is about.

    A callback about a command or an eSIM Profile names the SIM too, but is not about the SIM.

    >>> subject_of({"parameters": {"SimSid": "HS01", "CommandSid": "HC01", "Status": "sent"}})
    'HC01'
    """
    parameters = callback["parameters"]
    return next((parameters[name] for name in _SUBJECTS if name in parameters), None)


TriggerStep = Callable[[TriggerRun], None]
"""A step of a trigger: a function that makes requests to the server, and reports what it did."""
ExpectedParameters = Mapping[str, str]
"""Parameters that a callback must have; it may have others."""


@dataclass(frozen=True, slots=True)
class TriggerDefinition:
    """A trigger of `ringback trigger`: its name, its steps, and the callbacks that they cause."""

    name: str
    words: str
    calls_back: Sequence[ExpectedParameters]
    """The callbacks that the trigger causes, in this order."""
    steps: Sequence[TriggerStep]
    product: str = "supersim"
    has_sim: bool = True
    """True if the trigger uses a SIM, and so accepts `--sim`."""
    has_payload: bool = False
    """True if the trigger sends a text, and so accepts `--payload`."""
    publishes: StreamEventType | None = None
    """The event for event streams that the trigger publishes, in place of callbacks."""

    def pull(self, run: TriggerRun) -> list[JsonObject]:
        """Run the trigger's steps, and return the callbacks that they caused, sent or not.

        Raises ConfigurationError if a step fails, or takes too long, or if nobody is subscribed to
        the trigger's event, and PortalClientError if the server refuses a request or is paused.
        """
        run.portal.refuse_if_paused()
        # Restored only once the callbacks exist: they depend on the scenario or URL until then.
        with run.undo:
            for step in self.steps:
                step(run)
            self._check_published(run)
            return run.first_callbacks(len(self.calls_back))

    def _check_published(self, run: TriggerRun) -> None:
        if self.publishes is None or any(one["event_type"] == self.publishes for one in run.events):
            return
        raise ConfigurationError(
            f"no event {self.publishes} was published. Only an enabled subscription of the account"
            " to this type makes Ringback publish it; and the scenario of the SIM, or of the"
            " account, says how the network behaves"
        )

    def is_as_promised(self, callbacks: Sequence[JsonObject]) -> bool:
        """Return True if these are the callbacks that the trigger should cause."""
        return len(callbacks) == len(self.calls_back) and all(
            expected.items() <= callback["parameters"].items()
            for expected, callback in zip(self.calls_back, callbacks, strict=True)
        )


# ---- steps for both products ---------------------------------------------------------------------


def device_sends(kind: str, **form: str) -> TriggerStep:
    """Return a step in which the device sends the payload; `kind` is `sms`, `ip` or `commands`."""

    def send(run: TriggerRun) -> None:
        path = ("devices", run.sim or "", kind)
        run.subject = run.portal.post(*path, form={"Payload": run.payload, **form})["sid"]
        run.report(f"the device has sent {run.subject}")

    return send


def sim_scenario(name: str) -> TriggerStep:
    """Return a step that sets the SIM's simulated network scenario, until the run ends."""
    return lambda run: _choose_scenario(run, name, Sim=run.fetch_sim()["sid"])


def account_scenario(name: str) -> TriggerStep:
    """Return a step that sets the account's simulated network scenario, until the run ends."""
    return lambda run: _choose_scenario(run, name)


def _choose_scenario(run: TriggerRun, name: str, **whose: str) -> None:
    whom = "the SIM" if whose else "the account"
    before = run.portal.get("scenarios", query=whose)["chosen"] or ""

    def put_back() -> None:
        run.portal.post("scenarios", form={"Scenario": before, **whose})
        run.report(f"the scenario of {whom} is restored")

    run.undo.callback(put_back)
    run.portal.post("scenarios", form={"Scenario": name, **whose})
    run.report(f"the scenario of {whom} is {name}")
