"""Says in words what callbacks a trigger has caused, and what went wrong with them."""

from collections.abc import Sequence
from typing import Final

from ringback.portal_client import JsonObject
from ringback.triggers.trigger import ExpectedParameters, TriggerDefinition, TriggerRun

_OUTCOME_PARAMETERS: Final = ("SimStatus", "Status", "CommandStatus", "ErrorCode")
"""The parameters with the new status of a SIM or command."""
_NO_CONNECTION: Final = frozenset({"connect", "connect_timeout"})


def in_words(parameters: ExpectedParameters) -> str:
    """Return parameters as a text.

    >>> in_words({"SimStatus": "active", "ErrorCode": "83004"})
    'SimStatus=active ErrorCode=83004'
    """
    return " ".join(f"{name}={value}" for name, value in parameters.items())


def outcome_of(callback: JsonObject) -> str:
    """Return the parameters of a callback that say how its SIM or command has changed."""
    parameters = callback["parameters"]
    return in_words({name: parameters[name] for name in _OUTCOME_PARAMETERS if name in parameters})


def why_not_as_promised(
    trigger: TriggerDefinition, callbacks: Sequence[JsonObject], *, hint: str
) -> str | None:
    """Return why these are not the callbacks that the trigger should cause; None if they are.

    `hint` says where to look if no callback has an error message.
    """
    if trigger.is_as_promised(callbacks):
        return None
    came = "; ".join(outcome_of(callback) for callback in callbacks)
    why = callbacks[-1]["parameters"].get("ErrorMessage", hint)
    promised = "; ".join(map(in_words, trigger.calls_back))
    return f"{trigger.name} should cause {promised}, but it caused {came}: {why}"


def why_not_delivered(
    run: TriggerRun, callback: JsonObject, *, instead: str, more: str = ""
) -> str | None:
    """Return why a callback of the run was not delivered; None if it was.

    `instead` says what to do if nothing listens at the URL, besides starting a receiver there;
    `more` says where to find out more about any other failure.
    """
    if callback["status"] == "delivered":
        return None
    attempts = run.portal.get("callbacks", callback["sid"], "attempts")["attempts"]
    if attempts and attempts[-1]["failure"] in _NO_CONNECTION:
        return f"nothing listens at {run.to.shown}; start `ringback listen`, or {instead}"
    last = attempts[-1]["reason"] if attempts else callback["status_reason"]
    return f"{callback['sid']} was not delivered: {last}{more}"
